"""The sentences that names and definitions are put into: the same moulds whatever the words are for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any, TypeVar

import numpy as np

# Definitions are sometimes lengthened or cut short, lest their length tell the lexicon's from those of a data set.
TAIL_SHARE = 0.3
SHORTENED = 0.4
_T = TypeVar("_T")
_KEYS = {
    "definition": "definition_templates", "name and definition": "name_and_definition_templates",
    "negated": "negated_templates",
}


@lru_cache(maxsize=1)
def moulds() -> Mapping[str, Any]:
    """The content of `moulds.yaml`."""
    import yaml

    return yaml.safe_load(files("zeusseg.instruct").joinpath("moulds.yaml").read_text(encoding="utf-8"))


def sentence(kind: str, name: str, definition: str, rng: np.random.Generator) -> str:
    """A sentence of a kind (name, definition, name and definition, negated); one about the name without definition."""
    key = _KEYS.get(kind, "name_templates") if definition or kind == "negated" else "name_templates"
    definition = definition.rstrip(". ")
    if definition and rng.random() < TAIL_SHARE:
        definition = f"{definition}; {pick(moulds()['definition_tails'], rng)}"
    return pick(moulds()[key], rng).replace("{x}", name).replace("{d}", definition)


def finish(text: str, findings: str, rng: np.random.Generator) -> str:
    """Vary case and punctuation, and put the findings behind."""
    case = rng.random()
    if case < 0.20:
        text = text.lower()
    elif case < 0.25:
        text = text.upper()
    elif case < 0.50:
        text = text[:1].upper() + text[1:]
    if findings:
        end = "" if text.endswith("?") else "."
        return f"{text.rstrip('.!')}{end} {findings}"
    if not text.endswith("?"):
        text = text.rstrip(".") + str(rng.choice(["", ".", "!", " "], p=[0.50, 0.42, 0.05, 0.03]))
    return text


def some_phrases(phrases: Sequence[str], rng: np.random.Generator) -> str:
    """Two or more phrases of a definition, in any order; all of them where there are no more than two."""
    if len(phrases) <= 2:
        return "; ".join(phrases)
    order = rng.permutation(len(phrases))[: int(rng.integers(2, len(phrases) + 1))]
    return "; ".join(phrases[int(i)] for i in order)


def shortened(definition: str, rng: np.random.Generator) -> str:
    """Sometimes only the first clause of a definition; for sentences that give the name as well."""
    return re.split(r"[.;:]\s", definition)[0] if rng.random() < SHORTENED else definition


def pick(choices: Sequence[_T], rng: np.random.Generator) -> _T:
    """One of them, all as likely."""
    return choices[int(rng.integers(len(choices)))]
