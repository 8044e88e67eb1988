"""Words for what tells one piece of a target from the others: its side, its size, its signal in a modality."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal, get_args

import numpy as np

from zeusseg.instruct import patterns
from zeusseg.instruct.finding import Polarity
from zeusseg.instruct.moulds import pick
from zeusseg.instruct.signals import CT, SIGNALS, T1_CONTRAST, ULTRASOUND, signal_of
from zeusseg.lexicon import Lexicon, shipped_lexicon, words_of

Side = Literal["left", "right"]
Size = Literal["small", "large"]
# In English, adjectives before a noun come in this order.
SAID = ("size", "side", "signal")
SLOTS = {"before": 0.4, "after": 0.3, "last": 0.3}
LAST = {"clause": 0.6, "comma": 0.2, "brackets": 0.2}
TRIES = 20
_Moulds = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Attributes:
    """What is said of the pieces that are meant; None where nothing is.

    `side` is the patient's. `size` is against the other pieces. `signal` is a modality and how a piece looks in it
    against the tissue around; in images after contrast, `bright` means that it enhances and `dark` that it does not.
    """

    side: Side | None = None
    size: Size | None = None
    signal: tuple[str, Literal["bright", "dark"]] | None = None

    def covers(self, other: Attributes) -> bool:
        """Whether `other` says all that this says, and perhaps more."""
        return all(mine is None or mine == theirs for mine, theirs in zip(_key(self), _key(other), strict=True))


HELD_OUT = (Attributes(side="left", size="small"), Attributes(side="right", signal=("t1ce", "bright")))


def is_held_out(wanted: Attributes) -> bool:
    """Whether a combination is one of those that training leaves out when it is told to hold them out.

    Each part of such a combination is trained, but never both together, whatever else is said.

    >>> is_held_out(Attributes("left", "small", ("t2", "bright"))), is_held_out(Attributes("left"))
    (True, False)
    """
    return any(combination.covers(wanted) for combination in HELD_OUT)


def phrase(name: str, wanted: Attributes, rng: np.random.Generator, lexicon: Lexicon | None = None) -> str:
    """A noun phrase without its article for the pieces of the target `name` that have the attributes.

    It stands where the name would: "smaller lesion on the left that is bright on FLAIR". Wordings are avoided that
    make the name another term of the lexicon, as "small" does with the bowel. The name itself where nothing is wanted.
    """
    known = (lexicon or shipped_lexicon()).by_words
    text = name
    for _ in range(TRIES):
        text = _phrase(name, wanted, rng)
        if not _runs(text, known) - _runs(name, known):
            break
    return text


def attributes_in(text: str, modalities: Sequence[str]) -> Attributes:
    """What a text without the target's names says of side, size and signal in `modalities`, as `phrase` says it.

    Nothing of an attribute that it says twice and differently, and nothing at all where it denies something else.

    >>> attributes_in("the smaller one on the left, bright on FLAIR", ["flair"])
    Attributes(side='left', size='small', signal=('flair', 'bright'))
    """
    pattern, meanings = _said(tuple(modalities))
    found = [meanings[" ".join(match[0].casefold().split())] for match in pattern.finditer(text)]
    if patterns.NEGATION.search(pattern.sub(" ", text)):
        return Attributes()
    told: dict[str, Any] = {}
    for attribute in SAID:
        values = {getattr(one, attribute) for one in found} - {None}
        told[attribute] = values.pop() if len(values) == 1 else None
    return Attributes(**told)


@lru_cache(maxsize=64)
def _said(modalities: tuple[str, ...]) -> tuple[re.Pattern[str], Mapping[str, Attributes]]:
    """All that the moulds can say of these modalities, as one pattern (longer wordings first), and what each means."""
    sides: tuple[Side, ...] = get_args(Side)
    sizes: tuple[Size, ...] = get_args(Size)
    polarities: tuple[Polarity, ...] = get_args(Polarity)
    every = [
        *(Attributes(side=side) for side in sides), *(Attributes(size=size) for size in sizes),
        *(Attributes(signal=(modality, polarity)) for modality in modalities for polarity in polarities),
    ]
    meanings: dict[str, Attributes] = {}
    for wanted in every:
        for attribute in SAID:
            for wordings in (_moulds_of(attribute, wanted) or {}).values():
                meanings |= {said.casefold(): wanted for said in wordings}
    wordings = sorted(meanings, key=len, reverse=True)
    pattern = "|".join(r"\s+".join(map(re.escape, said.split())) for said in wordings)
    return re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])", re.IGNORECASE), meanings


def _phrase(name: str, wanted: Attributes, rng: np.random.Generator) -> str:
    last = str(rng.choice(list(LAST), p=list(LAST.values())))
    if _is_plural(name):  # the clauses are in the singular
        last = "comma"
    before: list[str] = []
    after: list[str] = []
    end: list[str] = []
    for attribute in SAID:
        moulds = _moulds_of(attribute, wanted)
        if moulds is None:
            continue
        slot = str(rng.choice(list(SLOTS), p=list(SLOTS.values())))
        if slot == "before" and moulds["before"]:
            before.append(pick(moulds["before"], rng))
        elif slot == "last":
            end.append(pick(moulds["clause" if last == "clause" else "tag"], rng))
        else:
            after.append(pick(moulds["after"], rng))
    after, end = ([some[int(i)] for i in rng.permutation(len(some))] for some in (after, end))
    text = " ".join([*before, name, pick((" ", ", "), rng).join(after)]).rstrip()
    if not end:
        return text
    if last == "clause":
        return f"{text} {pick(('that', 'that', 'which'), rng)} {' and '.join(end)}"
    return f"{text} ({', '.join(end)})" if last == "brackets" else f"{text}, {', '.join(end)}"


def _moulds_of(attribute: str, wanted: Attributes) -> _Moulds | None:
    """The moulds of an attribute, filled in; None where nothing is said of it."""
    said: Any = getattr(wanted, attribute)
    if said is None:
        return None
    if attribute == "side":
        return _filled(_moulds()["side"], side=said)
    if attribute == "size":
        return _filled(_moulds()["size"][said])
    modality, polarity = said
    name = signal_of(modality).name
    filled = _filled(_moulds()["signal"][_kind_of(modality)][polarity], m=name)
    # "T1 after contrast-bright" would be misread.
    return filled if " " not in name else {**filled, "before": [text for text in filled["before"] if name not in text]}


def _filled(moulds: _Moulds, **parts: str) -> _Moulds:
    return {slot: [text.format(**parts) for text in texts] for slot, texts in moulds.items()}


def _kind_of(modality: str) -> str:
    signal = signal_of(modality)
    kinds = {T1_CONTRAST: "contrast", CT: "ct", ULTRASOUND: "ultrasound", SIGNALS["rgb"]: "picture"}
    return kinds.get(signal, "mr" if signal.bright == "hyperintense" else "other")


@lru_cache(maxsize=1)
def _moulds() -> Any:
    import yaml

    return yaml.safe_load(files("zeusseg.instruct").joinpath("attributes.yaml").read_text(encoding="utf-8"))


def _runs(text: str, known: Mapping[tuple[str, ...], object]) -> frozenset[tuple[str, ...]]:
    """The terms that a text holds, as runs of words."""
    words = words_of(text)
    runs = (words[start:end] for start in range(len(words)) for end in range(start + 1, len(words) + 1))
    return frozenset(run for run in runs if run in known)


def _is_plural(name: str) -> bool:
    return name.endswith("s") and not name.endswith(("ss", "us", "is"))


def _key(attributes: Attributes) -> tuple[object, ...]:
    """The attributes, with one name for all spellings of a modality."""
    signal = attributes.signal and (signal_of(attributes.signal[0]).name, attributes.signal[1])
    return (attributes.side, attributes.size, signal)
