"""What the words of an instruction claim of this image's target (side, size, signal), and how to ask without that."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from zeusseg.case import Target, find_target
from zeusseg.instruct import patterns
from zeusseg.instruct.apart import is_abnormal
from zeusseg.instruct.attributes import Attributes, attributes_in
from zeusseg.instruct.knowledge import Known, known_targets
from zeusseg.instruct.rewording import findings_of
from zeusseg.instruct.signals import signal_of
from zeusseg.instruct.statements import Statement, statements

# Modalities that texts speak of. "MRI" and "us" are left out: they are said of several, and of us.
SPOKEN_OF = ("t1", "t1ce", "t2", "flair", "pd", "adc", "dwi", "ct", "ultrasound")
# What `statements` takes for something seen, and for anatomy that a side or signal says nothing new of.
SEEN, BESIDE = "lesion", "background"
LEAST_WORDS_OF_A_CLAUSE = 3

_NAME = r"(?:T1|T2|PD|CT|ADC|DWI|FLAIR|MRI?|ultrasound)(?:-weighted|w|ce|c|Gd)?(?: (?:after|with) contrast)?"
# The sequence FLAIR is often called so; as two names it would be of neither.
_T2_FLAIR = re.compile(r"\bT2\s*[-/]\s*FLAIR\b|\bFLAIR\s*/\s*T2\b", re.IGNORECASE)
# A direction seen from something else is no side of the patient, and what is beside the target is not the target.
_BESIDE_SOMETHING = re.compile(
    r"\b(?:(?:to|on|in|at) the (?:left|right)(?: side| half)? of|beside|close to|near) "
    r"(?!(?:the |this )?(?:midline|brain|head|body|patient|trunk|abdomen|chest|pelvis|images?|pictures?|slices?)\b)",
    re.IGNORECASE,
)
_SIDE = r"(?:left|right)(?:[ -](?:sided|side|half|hemisphere)|-hand(?: side)?)?"
_SIZE = rf"{patterns.NUMBER}(?:\s*(?:mm|cm)?\s*(?:x|\u00d7|by|to|-|\u2013)\s*{patterns.NUMBER})*\s*(?:mm|cm|%)"
_ATTRIBUTE = re.compile(
    rf"\b(?:(?:on|in|at|to|of) )?(?:the )?(?:{_SIDE})\b(?: of (?:the )?\w+)?|"
    r"\b(?:(?:on|in) )?both (?:sides|hemispheres)\b|\bbilateral(?:ly)?\b|\b(?:in|on|at|along|near) the midline\b|"
    rf"(?:\b(?:of|about|around|measuring|with a diameter of) )*{_SIZE}(?: of (?:the|this) \w+|\b)"
    r"(?: (?:in diameter|large|wide))?|"
    r"\b(?:small|tini|larg|bigg|huge?)e?(?:er|r|est|st)?\b|\b(?:big|tiny|little|extensive|massive|punctate)\b|"
    rf"(?:{patterns.BRIGHT.pattern}|{patterns.DARK.pattern}|{patterns.ENHANCING.pattern})|"
    rf"\b(?:(?:on|in|at) )?(?:the )?\b{_NAME}(?: images?)?(?!\w)-?",
    re.IGNORECASE,
)
# What is left over where an attribute stood.
_LEFT_OVER = re.compile(
    r"\b(?:(?:that|which|and) )*(?:is|are|lies|appears?|looks?|shows?)\b(?=\s*(?:and\b|[,.;:!?]|$))|"
    r"\b(?:that|which|and|with|of|in|on|at|side)\b(?=\s*(?:[,.;:!?]|$))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Claims:
    """What one text claims, and texts that ask for the same thing without it.

    `queries` are tried in turn until one is answered with a mask; the masks of those within one are taken together.
    """

    told: tuple[Statement, ...]
    queries: tuple[tuple[str, ...], ...]


def claims_of(key: str, text: str, targets: Sequence[Target], modalities: Sequence[str]) -> Claims:
    """What `text`, the instruction for `key` (a target's name, or any other), claims of a case with `modalities`.

    Left out are its findings (`Instruction.checks` are of those), what defines or names the model's `targets`, and
    what is negated. Of a known target, its name asks without the claims; of another text, its own words without the
    attributes, or else the names of all targets that it names.
    """
    target = find_target(targets, key)
    findings = findings_of(text, target)
    known = known_targets(tuple(targets))
    called = dict(zip(targets, known, strict=True))
    words = _T2_FLAIR.sub("FLAIR", text[: text.rindex(findings)] if findings else text)
    words = _undefined(words, known if target is None else (called[target],))
    meant = [target] if target is not None else _named_in(words, called)
    own = _names(tuple(called[t] for t in meant))
    bare = _names(known).sub(lambda found: SEEN if own.fullmatch(found[0]) else BESIDE, words)
    bare = _BESIDE_SOMETHING.sub("next to ", bare)
    here = {signal_of(modality).name for modality in modalities}
    spoken_of = [modality for modality in SPOKEN_OF if signal_of(modality).name not in here]
    told = tuple(
        replace(s, side=None if s.of_picture else s.side) for s in statements(bare, (*modalities, *spoken_of))
        if not s.absent and not s.alike
    )
    told = tuple(s for s in told if any((s.side, s.polarity, s.diameter_mm, s.share, s.extent)))
    names = tuple(t.name for t in meant)
    if target is not None:
        return Claims(told, (names,))
    plain = without_attributes(words, own)
    return Claims(told, tuple(query for query in ((plain,), names) if any(query)))


def singled_out_by(
    text: str, targets: Sequence[Target], modalities: Sequence[str]
) -> tuple[Target, Attributes] | None:
    """The one lesion (of any kind) that a text names, and what it says of its side, size and signal; None where it
    says nothing of them, names several targets, or names healthy anatomy. Findings and definitions do not count."""
    findings = findings_of(text)
    known = known_targets(tuple(targets))
    called = dict(zip(targets, known, strict=True))
    words = _undefined(text[: text.rindex(findings)] if findings else text, known)
    named = _named_in(words, called)
    if len(named) != 1 or not is_abnormal(named[0]):
        return None
    wanted = attributes_in(_names((called[named[0]],)).sub(" ", words), modalities)
    return None if wanted == Attributes() else (named[0], wanted)


def without_attributes(text: str, names: re.Pattern[str]) -> str:
    """A text without side, size and signal, but for those in the `names` of targets.

    >>> without_attributes("the smaller lesion on the left that is bright on FLAIR", re.compile("lesion"))
    'the lesion'
    """
    kept: list[str] = []
    start = 0
    for found in (*names.finditer(text), None):
        between = text[start : found.start() if found else len(text)]
        kept.append(_ATTRIBUTE.sub(" ", _ATTRIBUTE.sub(" ", between)))
        kept += [found[0]] if found else []
        start = found.end() if found else start
    plain = " ".join("".join(kept).split())
    for _ in range(3):  # "that is bright and large" leaves two behind, one after the other
        plain = " ".join(_LEFT_OVER.sub(" ", plain).split())
    plain = re.sub(r"\s*[,;:]*\s*([,.;:!?])", r"\1", re.sub(r"\(\W*\)", " ", plain)).strip(" ,;:")
    return plain if re.search(r"\w", plain) else ""


def _named_in(words: str, called: Mapping[Target, Known]) -> list[Target]:
    return [target for target, known in called.items() if _names((known,)).search(words)]


def _undefined(words: str, known: tuple[Known, ...]) -> str:
    """A text without what defines or describes these targets."""
    for definition in _definitions(known):
        words = definition.sub(" ", words)
    return words


# Texts are read by the hundred, of the same few targets, whose hundreds of phrases are compiled once.
@lru_cache(maxsize=64)
def _definitions(known: tuple[Known, ...]) -> tuple[re.Pattern[str], ...]:
    """Whole definitions and descriptions, and clauses as rewording may have kept them; the longest first."""
    whole = {part.rstrip(". ") for k in known for part in (k.definition, *k.phrases, *k.descriptions)}
    clauses = {clause for definition in whole for clause in re.split(r"[.;:]\s", definition)}
    # Anyone might say "dark" of anything.
    clauses = {clause for clause in clauses if len(clause.split()) >= LEAST_WORDS_OF_A_CLAUSE}
    longest_first = sorted((whole | clauses) - {""}, key=len, reverse=True)
    return tuple(re.compile(rf"(?<!\w){re.escape(text)}(?!\w)", re.IGNORECASE) for text in longest_first)


@lru_cache(maxsize=64)
def _names(known: tuple[Known, ...]) -> re.Pattern[str]:
    """Any name of these targets as whole words; nothing where there is none."""
    names = sorted({name for k in known for name in k.names}, key=len, reverse=True)
    if not names:
        return re.compile(r"(?!)")
    alternatives = "|".join(r"[\s_-]+".join(map(re.escape, re.split(r"[\s_-]+", name))) for name in names)
    return re.compile(rf"(?<!\w)(?:{alternatives})s?(?!\w)", re.IGNORECASE)
