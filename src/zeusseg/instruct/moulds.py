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
# So many sentences about a name are put together from parts; the others are whole moulds.
PUT_TOGETHER = 0.6
# So many of those have words strewn in that say nothing of what is meant.
STREWN = 0.15
_T = TypeVar("_T")


@lru_cache(maxsize=1)
def moulds() -> Mapping[str, Any]:
    """The content of `moulds.yaml`."""
    import yaml

    return yaml.safe_load(files("zeusseg.instruct").joinpath("moulds.yaml").read_text(encoding="utf-8"))


def sentence(kind: str, name: str, definition: str, rng: np.random.Generator) -> str:
    """A sentence of a kind (name, definition, name and definition); one about the name without definition."""
    definition = definition.rstrip(". ")
    if definition and rng.random() < TAIL_SHARE:
        definition = f"{definition}; {pick(moulds()['definition_tails'], rng)}"
    if kind == "definition" and definition:
        return pick(moulds()["definition_templates"], rng).replace("{d}", definition)
    if kind == "name and definition" and definition:
        if rng.random() < PUT_TOGETHER:
            return f"{request(name, rng)}{pick((': ', '. ', ', that is ', ', meaning '), rng)}{definition}"
        return pick(moulds()["name_and_definition_templates"], rng).replace("{x}", name).replace("{d}", definition)
    if rng.random() < PUT_TOGETHER:
        return request(name, rng)
    return pick(moulds()["name_templates"], rng).replace("{x}", name)


def request(name: str, rng: np.random.Generator, before: str | None = None) -> str:
    """A request for `name` that is put together from parts; `before` stands in the place of its opening."""
    opening = pick(moulds()["request_openings"], rng) if before is None else before
    said = pick(moulds()["request_objects"], rng).replace("{x}", name)
    tail = pick(moulds()["request_tails"], rng)
    if rng.random() < STREWN:
        opening, tail = (f"{part} {_fillers(rng)}" for part in (opening, tail))
    comma = pick((" ", ", "), rng) if tail else ""
    return " ".join(f"{opening} {pick(moulds()['request_verbs'], rng)} {said}{comma}{tail}".split())


def denial(name: str, rng: np.random.Generator) -> str:
    """A sentence that names something to say that it is not wanted, or not there."""
    kind = rng.random()
    if kind < 0.3:
        return pick(moulds()["negated_templates"], rng).replace("{x}", name)
    if kind < 0.5:
        return request(name, rng, pick(moulds()["negations"], rng))
    return refusal(name, rng) if kind < 0.75 else pick(moulds()["absences"], rng).replace("{x}", _the(name, rng))


def refusal(name: str, rng: np.random.Generator) -> str:
    """A few words by which something is not wanted; they may stand beside a request for something else."""
    return pick(moulds()["refusals"], rng).replace("{x}", _the(name, rng))


def contrast(name: str, other: str, rng: np.random.Generator) -> str:
    """A sentence that asks for `name` and not for `other`."""
    if rng.random() < 0.4:
        mould = pick(moulds()["contrast_templates"], rng)
        # Both at once: a name may hold what looks like the other's place.
        return mould.replace("{y}", "\0").replace("{x}", name).replace("\0", other)
    wanted = request(name, rng) if rng.random() < 0.7 else _the(name, rng)
    unwanted = refusal(other, rng)
    if rng.random() < 0.5:
        return f"{wanted}{pick((', ', '; ', ', but ', '. ', ' and ', ', and '), rng)}{unwanted}"
    return f"{unwanted}{pick((', ', '; ', ', but ', '. ', ', instead ', '. Rather '), rng)}{wanted}"


def _the(name: str, rng: np.random.Generator) -> str:
    return pick((name, f"the {name}", f"the {name}", f"any {name}"), rng)


def _fillers(rng: np.random.Generator) -> str:
    return " ".join(pick(moulds()["fillers"], rng) for _ in range(rng.integers(1, 4)))


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
