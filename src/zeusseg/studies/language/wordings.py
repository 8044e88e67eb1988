"""Wordings that no training may use: the reserve in `wordings.yaml`, and gibberish, which is made up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from string import ascii_lowercase
from typing import Any

import numpy as np

from zeusseg.case import Target
from zeusseg.lexicon import words_of


@dataclass(frozen=True)
class Structure:
    """A structure and how people say it. `matches` are the names by which a data set's target is recognised.

    `region` is where in the body it lies, or None for what may lie anywhere.
    """

    name: str
    region: str | None
    matches: tuple[str, ...]
    paraphrases: tuple[str, ...]


@dataclass(frozen=True)
class Wordings:
    """The whole reserve. The forms hold {x} where a name goes, those of contrast {y} as well.

    `absent` is by region what can be asked for in vain; `in_view` is by region what an image of it shows besides.
    """

    structures: tuple[Structure, ...]
    absent: Mapping[str, tuple[str, ...]]
    in_view: Mapping[str, frozenset[str]]
    sentence_forms: tuple[str, ...]
    negated_forms: tuple[str, ...]
    contrast_forms: tuple[str, ...]
    unrelated: tuple[str, ...]


@lru_cache(maxsize=1)
def load_wordings() -> Wordings:
    """The reserve, read once."""
    import yaml

    text = files("zeusseg.studies.language").joinpath("wordings.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    structures = tuple(
        Structure(name, entry.get("region"), tuple(entry["matches"]), tuple(entry["paraphrases"]))
        for name, entry in data["structures"].items()
    )
    return Wordings(
        structures,
        {region: tuple(phrases) for region, phrases in data["absent"].items()},
        {region: frozenset(others) for region, others in data["in_view"].items()},
        tuple(data["sentence_forms"]),
        tuple(data["negated_forms"]),
        tuple(data["contrast_forms"]),
        tuple(data["unrelated"]),
    )


def structure_of(target: Target) -> Structure | None:
    """The structure that a target is, by its name or a synonym; None where the reserve does not know it.

    A synonym alone may be too wide (a glioma's `abnormality`), so the reserve's own order decides between several.
    """
    names = {words_of(name) for name in (target.name, *target.synonyms)}
    known = load_wordings().structures
    return next((s for s in known if any(words_of(match) in names for match in s.matches)), None)


def paraphrases_of(target: Target) -> tuple[str, ...]:
    """The reserved paraphrases of a target; none where the reserve does not know it."""
    structure = structure_of(target)
    return structure.paraphrases if structure else ()


def all_reserved() -> tuple[str, ...]:
    """Every wording that no training text may equal: paraphrases, absent things, forms (with {x}) and sentences."""
    reserve = load_wordings()
    paraphrases = [text for structure in reserve.structures for text in structure.paraphrases]
    absent = [text for phrases in reserve.absent.values() for text in phrases]
    forms = [*reserve.sentence_forms, *reserve.negated_forms, *reserve.contrast_forms]
    return tuple(dict.fromkeys([*paraphrases, *absent, *forms, *reserve.unrelated]))


_KEYBOARD_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1qaz", "2wsx", "3edc", "4rfv", "5tgb", "6yhn", "7ujm")
_ONSETS = ("b", "bl", "d", "dr", "f", "g", "gl", "k", "kr", "l", "m", "n", "p", "pl", "r", "sk", "t", "v", "w", "z")
_VOWELS = ("a", "e", "i", "o", "u", "ai", "oo")
_CODAS = ("", "", "f", "k", "l", "m", "nt", "p", "rb", "sh", "x", "zz")


def make_gibberish(rng: np.random.Generator, taken: Set[str]) -> tuple[str, str, str]:
    """Random letters, keyboard runs and nonsense syllables: two strings of each, none of whose words is in `taken`.

    `taken` are words as `zeusseg.lexicon.words_of` spells them.
    """
    return _until_free(_letters, rng, taken), _until_free(_keys, rng, taken), _until_free(_syllables, rng, taken)


def _until_free(make: Callable[[np.random.Generator], str], rng: np.random.Generator, taken: Set[str]) -> str:
    while True:
        text = f"{make(rng)} {make(rng)}"
        if taken.isdisjoint(words_of(text)):
            return text


def _letters(rng: np.random.Generator) -> str:
    return "".join(rng.choice(list(ascii_lowercase), size=int(rng.integers(5, 11))))


def _keys(rng: np.random.Generator) -> str:
    """Neighbouring keys along a row, or down a column, in one direction or the other."""
    row = str(rng.choice(_KEYBOARD_ROWS))
    start = int(rng.integers(len(row) - 3))
    run = row[start : start + int(rng.integers(4, 8))]
    return run if rng.random() < 0.6 else run[::-1]


def _syllables(rng: np.random.Generator) -> str:
    parts = (_ONSETS, _VOWELS, _CODAS) * int(rng.integers(2, 5))
    return "".join(str(rng.choice(part)) for part in parts)
