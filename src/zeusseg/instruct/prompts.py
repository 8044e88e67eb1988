"""The prompts P0 to P9 of the transfer study of vision-language models (arXiv 2308.07706), in this project's own words.

`prompts.yaml` says which attributes each prompt has. Their values are given as `Facts`: measured on the image by the
writer `prompt:P5`, or on the reference mask by the oracle of a study.
"""

from __future__ import annotations

import colorsys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.resources import files
from typing import Any

from zeusseg.case import Target
from zeusseg.errors import UsageError

# Shares of the picture, as the study's annotations have them.
TINY_BELOW, MEDIUM_ABOVE, LARGE_ABOVE = 0.001, 0.08, 0.3
# The study asked a model for shapes and colours. These borders are ours; those of roundness are those of `phrases`.
ROUND_ABOVE, IRREGULAR_BELOW = 0.9, 0.7
GREY_BELOW, PALE_BELOW, DARK_BELOW, BRIGHT_ABOVE, BLACK_BELOW = 0.15, 0.5, 0.6, 0.75, 0.2
HUES = ((15, "red"), (45, "orange"), (70, "yellow"), (170, "green"), (260, "blue"), (335, "purple"), (361, "red"))
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
# What owners publish beside a picture, and whoever takes the picture knows too. A diagnosis is not among it.
TOLD = ("view", "phase", "sex", "age", "quality")
# These need no picture.
_ALWAYS = ("class", "description")


@dataclass(frozen=True)
class Facts:
    """What is known of a target in a picture. None is unknown, and left out of prompts.

    `present` says whether the target is there at all; `findings` names all that is.
    """

    present: bool | None = None
    malignancy: str | None = None
    number: int | None = None
    size: str | None = None
    colour: str | None = None
    shape: str | None = None
    location: str | None = None
    view: str | None = None
    phase: str | None = None
    sex: str | None = None
    age: str | None = None
    quality: str | None = None
    findings: str | None = None


@dataclass(frozen=True)
class Region:
    """One area of a picture: the share of the picture that it fills, its roundness (as of `shapes.roundness`), its
    centre from the left and from the top as shares of width and height, and its mean colour (red, green and blue from
    0 to 1; None in grey pictures)."""

    share: float
    roundness: float
    across: float
    down: float
    colour: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Family:
    """One entry of `prompts.yaml`, which says what its fields are."""

    targets: Sequence[str]
    parts: Mapping[str, str]
    kinds: Mapping[str, Sequence[str]]
    measured: Sequence[str] = ()
    descriptions: Sequence[str] = field(default=())
    absent: str = ""


def family_of(target: Target) -> str:
    """The family that a target's name belongs to.

    Raises `UsageError` where there is none: there are published prompts for some data only.
    """
    for name, family in families().items():
        if target.name.casefold() in family.targets:
            return name
    known = "; ".join(f"{name} ({', '.join(family.targets)})" for name, family in families().items())
    raise UsageError(
        f"there are no published prompts for the target {target.name!r}: they exist for {known}; "
        "rename the target in a targets file where it is one of these, or take another writer"
    )


def attributes_of(family: str, kind: str) -> tuple[str, ...]:
    """The attributes that a prompt says, such as (class, shape). Raises `UsageError` for an unknown family or kind.

    >>> attributes_of("polyp", "P3")
    ('class', 'shape', 'colour')
    """
    if family not in families():
        raise UsageError(f"there is no family of prompts {family!r}: expected one of {', '.join(families())}")
    kinds = families()[family].kinds
    if kind not in kinds:
        raise UsageError(f"there is no prompt {kind!r} for {family}: expected one of {', '.join(kinds)}")
    return tuple(kinds[kind])


def only_from_reference(family: str, kind: str) -> tuple[str, ...]:
    """The attributes of a prompt that nobody has who does not know the answer: only the oracle states them.

    >>> only_from_reference("breast", "P3")
    ('presence', 'malignancy')
    """
    others = (*_ALWAYS, *TOLD, *families()[family].measured)
    return tuple(attribute for attribute in attributes_of(family, kind) if attribute not in others)


def prompt_text(family: str, kind: str, target: Target, facts: Facts, variant: int = 0) -> str:
    """The prompt of a kind; the empty text for P0. `variant` chooses among the descriptions of the class (any number).

    A target that is not present has the family's words for that, else no more than its name in the words of P1.
    Raises `UsageError` for an unknown family or kind.

    >>> facts = Facts(number=2, size="small", colour="pink", location="top left")
    >>> prompt_text("polyp", "P6", Target("polyp", (1,)), facts)
    'two small pink polyps, at the top left of the picture'
    """
    wanted = attributes_of(family, kind)
    plan = families()[family]
    if facts.present is False and wanted:
        if plan.absent:
            return plan.absent.format(target.name)
        wanted, facts = attributes_of(family, "P1"), Facts()
    text = ""
    for attribute, mould in plan.parts.items():
        said = _said(attribute, plan, target, facts, variant, several="number" in wanted) if attribute in wanted else ""
        if said:
            part = mould.format(said)
            text += part if part[0] in ",;" else f" {part}"
    return text.strip()


def variant_of(case_id: str) -> int:
    """The `variant` of a case: always the same for the same id, and all of them alike often."""
    return zlib.crc32(case_id.encode())


def describe(regions: Sequence[Region]) -> Facts:
    """The facts of what the regions show, all of one target: number, sizes and places of all, shape and colour of the
    largest. All are unknown where there is no region."""
    if not regions:
        return Facts()
    ordered = sorted(regions, key=lambda region: -region.share)
    sizes = sorted({_size_rank(region.share) for region in regions})
    places = dict.fromkeys(location_word(region.across, region.down) for region in ordered)
    return Facts(
        number=len(regions),
        size=" and ".join(("tiny", "small", "medium", "large")[rank] for rank in sizes),
        location=" and ".join(places),
        shape=shape_word(ordered[0].roundness),
        colour=None if ordered[0].colour is None else colour_word(*ordered[0].colour),
    )


def with_told(facts: Facts, about: Mapping[str, str]) -> Facts:
    """The facts with what `about` says of view, phase, sex, age and image quality, abbreviations written out.

    >>> with_told(Facts(), {"view": "2CH", "class": "malignant"})  # doctest: +ELLIPSIS
    Facts(present=None, malignancy=None, ..., view='two-chamber', ...)
    """
    told = {name: about[name].strip().casefold() for name in TOLD if about.get(name)}
    return replace(facts, **{name: _content()["abbreviations"].get(name, {}).get(v, v) for name, v in told.items()})


def shape_word(roundness: float) -> str:
    """Round, oval, or irregular: long or ragged, which roundness does not tell apart."""
    return "round" if roundness > ROUND_ABOVE else "irregular" if roundness < IRREGULAR_BELOW else "oval"


def location_word(across: float, down: float) -> str:
    """The cell of three by three that a place lies in, given as shares of width and height from the top left corner.

    >>> location_word(0.1, 0.1), location_word(0.5, 0.9), location_word(0.5, 0.5)
    ('top left', 'bottom', 'center')
    """
    row = ("top", "", "bottom")[min(2, int(3 * down))]
    column = ("left", "", "right")[min(2, int(3 * across))]
    return f"{row} {column}".strip() or "center"


def colour_word(red: float, green: float, blue: float) -> str:
    """The name of a colour, its parts from 0 to 1.

    >>> colour_word(0.9, 0.6, 0.6), colour_word(0.45, 0.3, 0.2), colour_word(0.5, 0.5, 0.5)
    ('pink', 'brown', 'grey')
    """
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    if value < BLACK_BELOW:
        return "black"
    if saturation < GREY_BELOW:
        return "white" if value > BRIGHT_ABOVE else "grey"
    name = next(name for limit, name in HUES if 360 * hue < limit)
    if name in ("red", "orange") and saturation < PALE_BELOW and value > DARK_BELOW:
        return "pink" if name == "red" else "tan"
    return "brown" if name == "orange" and value < DARK_BELOW else name


@lru_cache(maxsize=1)
def families() -> Mapping[str, Family]:
    """Every family of prompts by its name."""
    return {name: Family(**content) for name, content in _content()["families"].items()}


@lru_cache(maxsize=1)
def _content() -> Any:
    import yaml

    return yaml.safe_load(files("zeusseg.instruct").joinpath("prompts.yaml").read_text(encoding="utf-8"))


def _said(attribute: str, plan: Family, target: Target, facts: Facts, variant: int, *, several: bool) -> str:
    """An attribute in words; empty where it is unknown."""
    if attribute == "class":
        return f"{target.name}s" if several and facts.number not in (None, 1) else target.name
    if attribute == "description":
        return plan.descriptions[variant % len(plan.descriptions)]
    if attribute == "number" and facts.number is not None:
        return NUMBERS[facts.number - 1] if facts.number <= len(NUMBERS) else str(facts.number)
    return getattr(facts, attribute) or ""


def _size_rank(share: float) -> int:
    """0 for tiny, 1 for small, 2 for medium, 3 for large."""
    return sum((share >= TINY_BELOW, share > MEDIUM_ABOVE, share > LARGE_ABOVE))
