"""What training says instead of the written instruction: the same target in other words, or words for nothing there.

Both kinds come out of the same sentence moulds (`moulds.yaml`) and carry findings equally often, so that a model can
tell a target that is there from one that is not by the words alone, never by the form of the sentence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any, TypeVar

import numpy as np

from zeusseg.case import Target
from zeusseg.instruct.finding import FindingAttributes, Outlier
from zeusseg.instruct.phrases import state
from zeusseg.instruct.signals import SIGNALS, signal_of
from zeusseg.instruct.vocabulary import Apart, Term, apart_from, words_of

# Shares of the ways to reword. What is not kept as written carries the findings about every other time.
KINDS = {"as written": 0.25, "name": 0.40, "definition": 0.15, "name and definition": 0.20}
FINDINGS_KEPT = 0.5
# Texts for what is absent carry findings as often as reworded ones do, all in all.
FINDINGS_WHEN_ABSENT = KINDS["as written"] + (1 - KINDS["as written"]) * FINDINGS_KEPT
# Kinds of absent text and their shares.
ABSENT_KINDS = {"name": 0.30, "definition": 0.15, "gibberish": 0.20, "unrelated": 0.15, "name and definition": 0.20}
# Definitions are sometimes lengthened or cut short, lest their length tell the vocabulary's from those of a data set.
TAIL_SHARE = 0.3
SHORTENED = 0.4

# A finding starts with its modality and a colon ("FLAIR: a bright area"), at the start or after a sentence's end.
_FINDING = re.compile(r"(?:^|(?<=[.!?]\s))(?P<modality>\w[\w+/-]*(?: [\w+()/-]+){0,3}):\s")
_MODALITIES = frozenset({*SIGNALS, *(signal.name.casefold() for signal in SIGNALS.values())})
_T = TypeVar("_T")
_KEYBOARD_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890")


@lru_cache(maxsize=1)
def _moulds() -> Mapping[str, Any]:
    import yaml

    return yaml.safe_load(files("zeusseg.instruct").joinpath("moulds.yaml").read_text(encoding="utf-8"))


def reword(text: str, target: Target, rng: np.random.Generator) -> str:
    """The instruction `text` for `target` in other words of the same meaning.

    The result always holds the target's name, a synonym or its whole definition (upper and lower case may differ), and
    the findings of `text` about every other time. An empty text (of the writer `none`) has no other words: it stays.
    """
    if not text.strip():
        return text
    findings = findings_of(text, target)
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    if kind == "as written" and _says(text, target):
        return text
    name = target.name if rng.random() < 0.5 else _pick((target.name, *target.synonyms), rng)
    definition = target.definition if kind == "definition" else _shortened(target.definition, rng)
    sentence = _sentence(kind, name, definition, rng)
    return _finish(sentence, findings if rng.random() < FINDINGS_KEPT else "", rng)


def absent_text(targets: Sequence[Target], rng: np.random.Generator, text: str | None = None) -> str:
    """An instruction for something that is none of `targets` and shares no content word with their names.

    It is another structure or finding by name or definition, letters without meaning, or a sentence about something
    else altogether. `text` is an instruction of the same case: its findings follow as often as `reword` keeps them
    (sentences that name a target left out). Without `text`, findings are made up; a text that holds none gets none.
    """
    apart = apart_from(tuple(targets))
    kind = str(rng.choice(list(ABSENT_KINDS), p=list(ABSENT_KINDS.values())))
    findings = _made_up_findings(rng) if text is None else findings_of(text)
    findings = " ".join(part for part in _split_findings(findings) if apart.allows_finding(part))
    if kind == "unrelated":
        sentence = " ".join(_unrelated(apart, rng) for _ in range(rng.integers(1, 4)))
    elif kind == "gibberish":
        sentence = _gibberish(apart, rng)
        if rng.random() < 0.5:
            sentence = _sentence("name", sentence, "", rng)
    else:
        sentence = _absent_term(kind, apart, rng)
    return _finish(sentence, findings if rng.random() < FINDINGS_WHEN_ABSENT else "", rng)


def findings_of(text: str, target: Target | None = None) -> str:
    """The part of an instruction that tells findings ("FLAIR: a bright area …"), or "" where there is none.

    It starts after the target's definition where the text holds it, else at the first modality followed by a colon
    that comes after a sentence's end.

    >>> findings_of("Segment the lesion: a bright spot. FLAIR: a bright area. T1: dark.")
    'FLAIR: a bright area. T1: dark.'
    """
    head_end = 0
    if target is not None and target.definition:
        place = text.casefold().find(target.definition.rstrip(". ").casefold())
        head_end = place + len(target.definition.rstrip(". ")) if place >= 0 else 0
    starts = (found.start() for found in _FINDING.finditer(text, head_end) if found.start() or _is_modality(found))
    start = next(starts, None)
    return "" if start is None else text[start:].strip()


def without_findings(text: str, target: Target, modalities: Sequence[str]) -> str:
    """The instruction without what was found in `modalities`, as if they had not been there to be read.

    >>> without_findings("Segment the lesion. FLAIR: a bright area. T1: dark.", Target("lesion", (1,)), ["t1"])
    'Segment the lesion. FLAIR: a bright area.'
    """
    told = findings_of(text, target)
    starts = tuple(f"{signal_of(modality).name.casefold()}:" for modality in modalities)
    if not told or not starts:
        return text
    kept = [part for part in _split_findings(told) if not part.casefold().startswith(starts)]
    return " ".join([text[: text.rindex(told)].rstrip(), *kept]).strip()


def _is_modality(found: re.Match[str]) -> bool:
    return found["modality"].casefold() in _MODALITIES


def _split_findings(findings: str) -> list[str]:
    starts = [found.start() for found in _FINDING.finditer(findings)]
    return [findings[start:end].strip() for start, end in zip(starts, [*starts, len(findings)][1:], strict=True)]


def _says(text: str, target: Target) -> bool:
    """Whether a text names a target by name or synonym, as whole words, or holds its definition."""
    words = f" {' '.join(words_of(text))} "
    named = any(f" {' '.join(words_of(name))} " in words for name in (target.name, *target.synonyms))
    definition = target.definition.rstrip(". ").casefold()
    return named or bool(definition and definition in text.casefold())


def _sentence(kind: str, name: str, definition: str, rng: np.random.Generator) -> str:
    """A sentence from the moulds. Without a definition, it is one about the name."""
    moulds = {"definition": "definition_templates", "name and definition": "name_and_definition_templates"}
    key = moulds.get(kind, "name_templates") if definition else "name_templates"
    definition = definition.rstrip(". ")
    if rng.random() < TAIL_SHARE:
        definition = f"{definition}; {_pick(_moulds()['definition_tails'], rng)}"
    return _pick(_moulds()[key], rng).replace("{x}", name).replace("{d}", definition)


def _finish(sentence: str, findings: str, rng: np.random.Generator) -> str:
    """Vary case and punctuation, and put the findings behind."""
    case = rng.random()
    if case < 0.20:
        sentence = sentence.lower()
    elif case < 0.25:
        sentence = sentence.upper()
    elif case < 0.50:
        sentence = sentence[:1].upper() + sentence[1:]
    if findings:
        end = "" if sentence.endswith("?") else "."
        return f"{sentence.rstrip('.!')}{end} {findings}"
    if not sentence.endswith("?"):
        sentence = sentence.rstrip(".") + str(rng.choice(["", ".", "!", " "], p=[0.50, 0.42, 0.05, 0.03]))
    return sentence


def _absent_term(kind: str, apart: Apart, rng: np.random.Generator) -> str:
    term: Term = _pick(apart.terms, rng)
    if kind != "name":
        term = _defined_term(apart, rng) or term
    name = term.name if rng.random() < 0.5 else _pick(term.names, rng)
    return _sentence(kind, name, _shortened(term.definition, rng) if kind != "definition" else term.definition, rng)


def _defined_term(apart: Apart, rng: np.random.Generator) -> Term | None:
    """A term with a definition, long ones preferred: those of data sets are long, and length must tell nothing."""
    if not apart.defined:
        return None
    weights = np.array([len(term.definition) ** 2 for term in apart.defined], dtype=float)
    return apart.defined[int(rng.choice(len(apart.defined), p=weights / weights.sum()))]


def _shortened(definition: str, rng: np.random.Generator) -> str:
    """Sometimes only the first clause of a definition; for sentences that give the name as well."""
    return re.split(r"[.;:]\s", definition)[0] if rng.random() < SHORTENED else definition


def _gibberish(apart: Apart, rng: np.random.Generator) -> str:
    """One to four words of random letters or of neighbouring keys."""
    while True:
        text = " ".join(_letters(rng) for _ in range(rng.integers(1, 5)))
        if apart.allows(text):
            return text


def _letters(rng: np.random.Generator) -> str:
    length = int(rng.integers(3, 10))
    if rng.random() < 0.5:
        return "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), size=length))
    row = str(rng.choice(_KEYBOARD_ROWS, p=[0.3, 0.4, 0.25, 0.05]))
    start = int(rng.integers(0, len(row) - 3))
    keys = row[start : start + int(rng.integers(2, 6))]
    return (keys * length)[:length] if rng.random() < 0.5 else "".join(rng.choice(list(keys), size=length))


def _unrelated(apart: Apart, rng: np.random.Generator) -> str:
    """A sentence about weather, cooking, travel and the like."""
    while True:
        sentence = _pick(_moulds()["unrelated_sentences"], rng)
        if rng.random() < 0.6:
            parts = {key: _pick(values, rng) for key, values in _moulds()["unrelated_parts"].items()}
            for doubled in ("where", "ingredient"):
                others = [value for value in _moulds()["unrelated_parts"][doubled] if value != parts[doubled]]
                parts[f"{doubled}2"] = _pick(others, rng)
            sentence = _pick(_moulds()["unrelated_patterns"], rng).format(**parts)
            sentence = sentence[:1].upper() + sentence[1:]
        if apart.allows(sentence):
            return sentence


def _made_up_findings(rng: np.random.Generator) -> str:
    """Findings of one to three modalities that could be anyone's, said as the writer `measured` says them."""
    known = ["flair", "t1", "t2", "t1ce", "ct", "us", "mri"]
    modalities = rng.choice(known, size=int(rng.integers(1, 4)), replace=False)
    attributes = (
        FindingAttributes(
            outliers=tuple(_made_up_outlier(rng) for _ in range(rng.integers(0, 3))),
            asymmetry=_pick((None, 0.2, 0.8), rng),
            foreground_share=0.4,
            frame=_pick(("body", "crop", "picture"), rng),
            spacing_known=bool(rng.random() < 0.5),
        )
        for _ in modalities
    )
    return " ".join(f"{signal_of(m).name}: {state(a, m)}" for m, a in zip(modalities.tolist(), attributes, strict=True))


def _made_up_outlier(rng: np.random.Generator) -> Outlier:
    diameter = float(rng.uniform(5, 60))
    return Outlier(
        polarity=_pick(("bright", "dark"), rng),
        side=_pick(("left", "right", "midline"), rng),
        anterior_posterior=_pick(("anterior", "middle", "posterior"), rng),
        superior_inferior=_pick(("superior", "middle", "inferior"), rng),
        voxels=int(diameter**3 / 2),
        volume_ml=diameter**3 / 2000,
        diameter=diameter,
        in_plane=diameter,
        share=float(rng.uniform(0.001, 0.2)),
        roundness=float(rng.uniform(0.4, 1)),
        border=_pick(("sharp", "ill-defined"), rng),
        texture=_pick(("homogeneous", "heterogeneous", "ring"), rng),
        contrast=5.0,
        centre=(0.0, 0.0, 0.0),
    )


def _pick(choices: Sequence[_T], rng: np.random.Generator) -> _T:
    return choices[int(rng.integers(len(choices)))]
