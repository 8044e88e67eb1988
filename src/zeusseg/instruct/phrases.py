"""Radiology's words for what was measured."""

from __future__ import annotations

from zeusseg.instruct.finding import FindingAttributes, Outlier

MODALITY_NAMES = {
    "t1": "T1",
    "t1ce": "T1 after contrast",
    "t1c": "T1 after contrast",
    "t1gd": "T1 after contrast",
    "t1post": "T1 after contrast",
    "t2": "T2",
    "t2w": "T2",
    "t1w": "T1",
    "flair": "FLAIR",
    "pd": "proton density",
    "adc": "ADC",
    "dwi": "DWI",
    "ct": "CT",
    "us": "ultrasound",
    "mri": "MRI",
    "mr": "MRI",
    "cine": "cine MRI",
}
BRIGHT_AND_DARK = {"ct": ("hyperdense", "hypodense"), "us": ("hyperechoic", "hypoechoic"), "rgb": ("bright", "dark")}
MAGNETIC = ("hyperintense", "hypointense")


def modality_name(modality: str) -> str:
    """A modality's name as radiologists write it.

    >>> modality_name("flair"), modality_name("xa")
    ('FLAIR', 'XA')
    """
    return MODALITY_NAMES.get(modality.casefold(), modality.upper() if len(modality) <= 4 else modality)


def state(attributes: FindingAttributes, modality: str, areas: int = 2) -> str:
    """A finding in words: up to so many areas, most conspicuous first, or that nothing stands out."""
    if not attributes.outliers:
        alike = "; left and right are alike" if attributes.asymmetry is not None and attributes.asymmetry < 0.5 else ""
        return f"no bright or dark area stands out from the tissue around it{alike}."
    bright, dark = BRIGHT_AND_DARK.get(modality.casefold(), MAGNETIC)
    words = [
        _area(outlier, bright if outlier.polarity == "bright" else dark, attributes)
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
