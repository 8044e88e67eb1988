"""Whether an image agrees with what a text states of it, told by the measurements of the writer `measured`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from zeusseg.instruct.finding import FindingAttributes, Outlier
from zeusseg.instruct.instruction import Check, Instruction
from zeusseg.instruct.signals import signal_of
from zeusseg.instruct.statements import Statement, statements
from zeusseg.wording import words_of

# Sizes agree within this factor: texts round, and a drawn diameter is not that of a ball of the same volume.
SIZE_FACTOR = 1.5
# What small and large may fill of the body or picture, and what contradicts them; between the two nothing is said.
SMALL_SHARE, NOT_SMALL_SHARE = 0.02, 0.06
LARGE_SHARE, NOT_LARGE_SHARE = 0.03, 0.005
ALIKE_BELOW = 0.5
# A clause with more than this share of its words in a target's definition repeats the definition.
DEFINITION_SHARE = 0.6
INSTRUCTION = "instruction"

Verdict = str
# What is said, what was measured, and whether they agree; None where it cannot be told.
Compared = tuple[str, str, Verdict]


def check(line: Instruction, measured: Mapping[str, FindingAttributes], definition: str = "") -> tuple[Check, ...]:
    """Check every statement of a line's findings and text against what was measured in its modalities.

    Each statement is held against the measured area that it fits best; one of the text that names no modality against
    the modality that it fits best. What the text takes from the target's `definition` is not about this image.
    """
    found: list[Check] = []
    for modality, text in line.findings.items():
        if modality in measured:
            found += _checks(modality, statements(text, (), modality), measured)
    told = [s for s in statements(line.text, tuple(measured)) if not _is_of(s.text, definition)]
    return (*found, *_checks(INSTRUCTION, told, measured))


def _is_of(clause: str, definition: str) -> bool:
    """Whether most words of a clause stand in a definition."""
    words = words_of(clause)
    return bool(words) and len(set(words) & set(words_of(definition))) >= DEFINITION_SHARE * len(set(words))


def agreement(checks: Sequence[Check] | None) -> str:
    """Counts for people: "5 of 7 details agree with the image; 1 differs, 1 not found"; empty without checks."""
    if not checks:
        return ""
    counts = {verdict: sum(c.verdict == verdict for c in checks) for verdict in ("agrees", "differs", "not found")}
    against = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ("differs", "not found") if counts[verdict])
    return f"{counts['agrees']} of {len(checks)} details agree with the image" + (f"; {against}" if against else "")


def _checks(place: str, told: Iterable[Statement], measured: Mapping[str, FindingAttributes]) -> Iterator[Check]:
    for statement in told:
        images = [measured[statement.modality]] if statement.modality else list(measured.values())
        names = [statement.modality] if statement.modality else list(measured)
        by_image = [_compare(statement, image, str(name)) for name, image in zip(names, images, strict=True)]
        if statement.absent:  # said of all images at once: the one that shows something decides
            against = (found for found in by_image if found and found["presence"][2] == "differs")
            best = next(against, by_image[0])
        else:
            best = max(by_image, key=_fit)
        for about, (said, seen, verdict) in best.items():
            yield Check(place, statement.text, about, said, seen, verdict)


def _compare(statement: Statement, image: FindingAttributes, modality: str) -> dict[str, Compared]:
    """What a statement says, by what it is about, beside what was measured in one image."""
    if statement.alike:
        if image.asymmetry is None:
            return {}
        alike = image.asymmetry < ALIKE_BELOW
        return {"symmetry": ("alike", "alike" if alike else "not alike", _verdict(alike))}
    if statement.absent and statement.side is not None and image.frame == "crop":
        return {}
    if statement.absent:
        against = [outlier for outlier in image.outliers if _is_meant(statement, outlier, image)]
        seen = _area(against[0], image, modality) if against else "nothing stands out"
        return {"presence": ("nothing", seen, _verdict(not against))}
    if not image.outliers:
        return {"presence": ("an area", "nothing stands out", "not found")}
    if statement.side == "both" and image.frame != "crop":
        sides = {_side(outlier, image) for outlier in image.outliers}
        return {"side": ("both", " and ".join(sorted(sides)), _verdict({"left", "right"} <= sides))}
    return max((_compare_area(statement, outlier, image, modality) for outlier in image.outliers), key=_fit)


def _compare_area(
    statement: Statement, outlier: Outlier, image: FindingAttributes, modality: str
) -> dict[str, Compared]:
    found: dict[str, Compared] = {}
    if statement.polarity is not None:
        signal = signal_of(modality)
        said, seen = (signal.bright if p == "bright" else signal.dark for p in (statement.polarity, outlier.polarity))
        found["signal"] = (said, seen, _verdict(statement.polarity == outlier.polarity))
    found.update(_places(statement, outlier, image))
    found.update(_sizes(statement, outlier, image))
    return found


def _places(statement: Statement, outlier: Outlier, image: FindingAttributes) -> Iterator[tuple[str, Compared]]:
    """Side, front or back, and height. A crop has no sides of the body; and a volume's slices are not seen from where
    the patient's right is right and the head is up: what a text says of the picture is not compared with them."""
    if statement.of_picture and image.frame != "picture":
        return
    side = _side(outlier, image)
    # What lies near the midline may be said to be on the side that it leans to.
    told = statement.side == "midline" or side != "midline"
    if statement.side is not None and told and image.frame != "crop":
        yield "side", (statement.side, side, _verdict(statement.side == side))
    thirds = [("height", *_height(statement, outlier, image))]
    if image.frame != "picture":
        thirds.append(("front or back", statement.anterior_posterior, outlier.anterior_posterior))
    for about, said_third, seen_third in thirds:
        if said_third is not None and seen_third != "middle":
            yield about, (said_third, seen_third, _verdict(said_third == seen_third))


def _sizes(statement: Statement, outlier: Outlier, image: FindingAttributes) -> Iterator[tuple[str, Compared]]:
    if statement.diameter_mm is not None and image.spacing_known and image.frame != "picture":
        said, seen = f"{statement.diameter_mm:.0f} mm", f"{outlier.diameter:.0f} mm"
        yield "size", (said, seen, _verdict(_within(statement.diameter_mm, outlier.diameter)))
    elif statement.share is not None:
        said, seen = f"{100 * statement.share:.0f} %", f"{100 * outlier.share:.0f} %"
        yield "size", (said, seen, _verdict(_within(statement.share, outlier.share)))
    elif statement.extent is not None:
        small = statement.extent == "small"
        agrees = outlier.share <= SMALL_SHARE if small else outlier.share >= LARGE_SHARE
        differs = outlier.share > NOT_SMALL_SHARE if small else outlier.share < NOT_LARGE_SHARE
        if agrees or differs:
            yield "size", (statement.extent, f"{100 * outlier.share:.1f} %", _verdict(agrees))


def _within(said: float, seen: float) -> bool:
    return seen / SIZE_FACTOR <= said <= seen * SIZE_FACTOR


def _height(statement: Statement, outlier: Outlier, image: FindingAttributes) -> tuple[str | None, str]:
    """Up and down: along the body, or in a picture from its top (the front) to its bottom."""
    if image.frame != "picture":
        return statement.superior_inferior, outlier.superior_inferior
    return statement.superior_inferior, {"anterior": "superior", "posterior": "inferior"}.get(
        outlier.anterior_posterior, "middle"
    )


def _side(outlier: Outlier, image: FindingAttributes) -> str:
    """The side as a text says it: the patient's; in a picture the picture's own, where the patient's right is left."""
    if image.frame == "picture" and outlier.side != "midline":
        return "left" if outlier.side == "right" else "right"
    return outlier.side


def _is_meant(statement: Statement, outlier: Outlier, image: FindingAttributes) -> bool:
    """Whether an area is of the kind that a statement says is not there."""
    return statement.polarity in (None, outlier.polarity) and statement.side in (None, _side(outlier, image))


def _area(outlier: Outlier, image: FindingAttributes, modality: str) -> str:
    signal = signal_of(modality)
    size = f" of {outlier.diameter:.0f} mm" if image.spacing_known and image.frame != "picture" else ""
    side = _side(outlier, image)
    place = "in the midline" if side == "midline" else f"on the {side}"
    return f"{signal.bright if outlier.polarity == 'bright' else signal.dark} area{size} {place}"


def _fit(found: Mapping[str, Compared]) -> tuple[int, int]:
    """How well a statement fits: agreement less contradiction, then agreement."""
    agree = sum(verdict == "agrees" for _, _, verdict in found.values())
    return 2 * agree - len(found), agree


def _verdict(agrees: bool) -> Verdict:
    return "agrees" if agrees else "differs"
