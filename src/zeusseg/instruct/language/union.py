"""The union by rule, and what every union has to keep: the target, who said what, and contradictions."""

from __future__ import annotations

import re
from collections.abc import Mapping

from zeusseg.case import Target
from zeusseg.instruct import patterns
from zeusseg.instruct.finding import Finding
from zeusseg.instruct.signals import signal_of
from zeusseg.instruct.statements import named_modalities, statements
from zeusseg.wording import MAX_WORDS, words_of

# What two modalities cannot both be right about, as (what a statement calls it, one, the other, how both are said).
OPPOSITES = (
    ("side", "left", "right", patterns.SIDES),
    ("anterior_posterior", "anterior", "posterior", patterns.ANTERIOR_POSTERIOR),
    ("superior_inferior", "superior", "inferior", patterns.SUPERIOR_INFERIOR),
)


def side_by_side(findings: Mapping[str, Finding], target: Target) -> str:
    """The target's name and definition, then each modality's finding, all with the same share of the words."""
    task = f"Segment the {target.name}: {target.definition.rstrip('. ')}." if target.definition else ""
    return _with_findings(task or f"Segment the {target.name}.", findings)


def united(answer: str, findings: Mapping[str, Finding], target: Target) -> str:
    """What a model answered, within the words that the text encoder reads, with what it may have lost put back.

    The target is named in front, because the mask decoder has nothing but this text to tell which one is meant; where
    several modalities were read and none is named, their findings follow; contradictions that are not told are added.
    """
    against = contradictions(findings, told=answer)
    most = MAX_WORDS - len(words_of(against))
    text = shortened(answer, most)
    name, said = f" {' '.join(words_of(target.name))} ", f" {' '.join(words_of(text))} "
    if name not in said:
        text = shortened(f"Segment the {target.name}. {answer}", most)
    if len(findings) > 1 and not named_modalities(text, list(findings)):
        return _with_findings(text, findings, share=0.5)
    return f"{text} {against}".strip()


def _with_findings(task: str, findings: Mapping[str, Finding], share: float = 1.0) -> str:
    """The task, in at most this share of the words, and behind it each modality's finding in what is left."""
    against = contradictions(findings)
    most = MAX_WORDS - len(words_of(against))
    task = shortened(task, int(share * most))
    left = most - len(words_of(task))
    told = []
    for place, finding in enumerate(findings.values()):
        named = shortened(f"{signal_of(finding.modality).name}: {finding.text}", left // (len(findings) - place))
        left -= len(words_of(named))
        told.append(named)
    return " ".join(filter(None, [task, *told, against]))


def contradictions(findings: Mapping[str, Finding], told: str = "") -> str:
    """A sentence for each two modalities that place their findings on opposite sides; empty where none do.

    What `told` names both ways is told already.

    >>> sides = {"flair": "left", "t1": "right"}
    >>> contradictions({m: Finding(m, f"A bright area on the {side}.") for m, side in sides.items()})
    'FLAIR says left but T1 says right.'
    """
    sentences = []
    for about, one, other, words in OPPOSITES:
        if words[one].search(told) and words[other].search(told):
            continue
        places = {modality: _places(finding, about) for modality, finding in findings.items()}
        first = next((modality for modality, found in places.items() if found == {one}), None)
        second = next((modality for modality, found in places.items() if found == {other}), None)
        if first and second:
            names = signal_of(first).name, signal_of(second).name
            sentences.append(f"{names[0]} says {one} but {names[1]} says {other}.")
    return " ".join(sentences)


def _places(finding: Finding, about: str) -> set[str]:
    told = statements(finding.text, (), finding.modality)
    return {place for place in (getattr(statement, about) for statement in told if not statement.absent) if place}


def shortened(text: str, words: int) -> str:
    """The text up to the last sentence that fits into so many words; a first sentence that is too long is cut.

    >>> shortened("Segment the lesion. It is bright. It is large.", 6)
    'Segment the lesion. It is bright.'
    """
    kept: list[str] = []
    for sentence in re.split(r"(?<=[.!?])\s+", text.strip()):
        if len(words_of(" ".join([*kept, sentence]))) > words:
            break
        kept.append(sentence)
    whole = " ".join(kept)
    if whole:
        return whole
    parts = text.split()
    while len(words_of(" ".join(parts))) > words:
        parts.pop()
    return " ".join(parts)
