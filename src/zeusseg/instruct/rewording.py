"""What training says instead of the written instruction: the same target in other words.

All texts come out of the same sentence moulds (`moulds.yaml`) and carry findings equally often, so that a model can
tell a target that is there from one that is not by the words alone, never by the form of the sentence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from zeusseg.case import Target
from zeusseg.instruct.knowledge import Known, known_targets
from zeusseg.instruct.moulds import finish, pick, sentence, shortened, some_phrases
from zeusseg.instruct.signals import SIGNALS, signal_of
from zeusseg.lexicon import words_of

# Shares of the ways to reword. What is not kept as written carries the findings about every other time.
KINDS = {"as written": 0.20, "name": 0.30, "description": 0.20, "definition": 0.12, "name and definition": 0.18}
FINDINGS_KEPT = 0.5
OWN_NAME, OWN_DEFINITION = 0.4, 0.4

# A finding starts with its modality and a colon ("FLAIR: a bright area"), at the start or after a sentence's end.
_FINDING = re.compile(r"(?:^|(?<=[.!?]\s))(?P<modality>\w[\w+/-]*(?: [\w+()/-]+){0,3}):\s")
_MODALITIES = frozenset({*SIGNALS, *(signal.name.casefold() for signal in SIGNALS.values())})


def reword(text: str, target: Target, rng: np.random.Generator, known: Known | None = None) -> str:
    """The instruction `text` for `target` in other words of the same meaning.

    The result always holds one of the target's names, one of its descriptions, its whole definition, or two phrases or
    more of the lexicon's (upper and lower case may differ), and the findings of `text` about every other time. `known`
    is what is known of the target beside the other ones (by itself, where it is not given). An empty text (of the
    writer `none`) has no other words: it stays.
    """
    if not text.strip():
        return text
    known = known or known_targets((target,))[0]
    findings = findings_of(text, target)
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    if kind == "as written" and _says(text, target):
        return text
    name = name_of(known, rng)
    if kind == "description" and known.descriptions:
        name = pick(known.descriptions, rng)
    definition = _definition_of(known, rng)
    said = sentence(kind, name, definition if kind == "definition" else shortened(definition, rng), rng)
    return finish(said, kept(findings, rng), rng)


def name_of(known: Known, rng: np.random.Generator) -> str:
    """A name of a target, the data set's own more often than any other."""
    return known.names[0] if rng.random() < OWN_NAME else pick(known.names, rng)


def kept(findings: str, rng: np.random.Generator) -> str:
    """The findings, about every other time."""
    return findings if rng.random() < FINDINGS_KEPT else ""


def _definition_of(known: Known, rng: np.random.Generator) -> str:
    if len(known.phrases) < 2 or rng.random() < OWN_DEFINITION:
        return known.definition
    return some_phrases(known.phrases, rng)


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
    left = [part for part in split_findings(told) if not part.casefold().startswith(starts)]
    return " ".join([text[: text.rindex(told)].rstrip(), *left]).strip()


def split_findings(findings: str) -> list[str]:
    """The findings of each modality."""
    starts = [found.start() for found in _FINDING.finditer(findings)]
    return [findings[start:end].strip() for start, end in zip(starts, [*starts, len(findings)][1:], strict=True)]


def _is_modality(found: re.Match[str]) -> bool:
    return found["modality"].casefold() in _MODALITIES


def _says(text: str, target: Target) -> bool:
    """Whether a text names a target by name or synonym, as whole words, or holds its definition."""
    words = f" {' '.join(words_of(text))} "
    named = any(f" {' '.join(words_of(name))} " in words for name in (target.name, *target.synonyms))
    definition = target.definition.rstrip(". ").casefold()
    return named or bool(definition and definition in text.casefold())
