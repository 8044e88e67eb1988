"""Radiology's words for what was measured."""

from __future__ import annotations

from zeusseg.instruct.finding import FindingAttributes, Outlier
from zeusseg.instruct.signals import signal_of


def state(attributes: FindingAttributes, modality: str, areas: int = 2) -> str:
    """A finding in words: up to so many areas, most conspicuous first, or that nothing stands out."""
    if not attributes.outliers:
        alike = "; left and right are alike" if attributes.asymmetry is not None and attributes.asymmetry < 0.5 else ""
        return f"no bright or dark area stands out from the tissue around it{alike}."
    signal = signal_of(modality)
    words = [
        _area(outlier, signal.bright if outlier.polarity == "bright" else signal.dark, attributes)
        for outlier in attributes.outliers[:areas]
    ]
    return "; ".join(words) + "."


def _area(outlier: Outlier, signal: str, attributes: FindingAttributes) -> str:
    shape = "round " if outlier.roundness > 0.9 else "irregular " if outlier.roundness < 0.7 else ""
    ring = "ring-shaped " if outlier.texture == "ring" else ""
    texture = "" if outlier.texture == "ring" else f", {outlier.texture}"
    words = f"{shape}{ring}{signal} area"
    article = "an" if words[0] in "aeiou" else "a"
    return f"{article} {words} {_size(outlier, attributes)} {_place(outlier, attributes)}, {outlier.border}{texture}"


def _size(outlier: Outlier, attributes: FindingAttributes) -> str:
    """Millimetres where they are known; otherwise the share of what is seen, which needs no spacing."""
    if attributes.spacing_known and attributes.frame != "picture":
        return f"of about {outlier.diameter:.0f} mm"
    share = 100 * outlier.share
    return f"filling about {share:.0f} % of the {_whole(attributes)}" if share >= 1 else "of very small size"


def _whole(attributes: FindingAttributes) -> str:
    return {"body": "body part", "crop": "image", "picture": "picture"}[attributes.frame]


def _place(outlier: Outlier, attributes: FindingAttributes) -> str:
    if attributes.frame == "picture":
        return _place_in_picture(outlier)
    side = "in the midline" if outlier.side == "midline" else f"on the {outlier.side}"
    if attributes.frame == "crop" and outlier.side == "midline":
        side = "in the middle of the image"
    parts = [part for part in (outlier.anterior_posterior, outlier.superior_inferior) if part != "middle"]
    return f"{side}, {' and '.join(parts)}" if parts else side


def _place_in_picture(outlier: Outlier) -> str:
    """Where in the picture as it is looked at: the patient's right and front are its left and top."""
    height = {"anterior": "upper", "middle": "", "posterior": "lower"}[outlier.anterior_posterior]
    across = {"right": "left", "midline": "", "left": "right"}[outlier.side]
    place = " ".join(part for part in (height, across) if part)
    return f"in the {place} part of the picture" if place else "in the centre of the picture"
