"""What a text states that an image can be asked about: brighter or darker, side, place, size, or that nothing is there.

Told by words and their order, clause by clause. What is not understood is no statement; nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zeusseg.instruct import patterns
from zeusseg.instruct.finding import Polarity
from zeusseg.instruct.signals import T1_CONTRAST, signal_of


@dataclass(frozen=True)
class Statement:
    """What one clause states of one modality (None: it names none). What it does not state is None.

    `absent`: nothing (of that polarity, on that side) is there; `alike`: the two sides are. `diameter_mm` is the
    geometric mean of what is given; `share` is of the whole picture (0 to 1); `extent` is "small" or "large";
    `of_picture`: places are those of the picture that was looked at, not of the patient.
    """

    text: str
    modality: str | None = None
    absent: bool = False
    alike: bool = False
    polarity: Polarity | None = None
    side: str | None = None
    anterior_posterior: str | None = None
    superior_inferior: str | None = None
    diameter_mm: float | None = None
    share: float | None = None
    of_picture: bool = False
    extent: str | None = None

    @property
    def is_checkable(self) -> bool:
        """Whether there is anything that an image could contradict."""
        told = (self.polarity, self.side, self.anterior_posterior, self.superior_inferior, self.diameter_mm)
        return self.absent or self.alike or any(part is not None for part in (*told, self.share, self.extent))


def statements(text: str, modalities: Sequence[str], modality: str | None = None) -> list[Statement]:
    """Everything checkable that a text states, in its order.

    `modalities` are those of the case: a clause that names one speaks of it, and one that starts with it and a colon
    speaks for those that follow, too. `modality` is meant where none is named.

    >>> [s.side for s in statements("A bright area on the left; nothing stands out elsewhere.", ["flair"], "flair")]
    ['left', None]
    """
    found: list[Statement] = []
    spoken_of = modality
    for clause in _clauses(text, modalities):
        named = named_modalities(clause, modalities)
        head = next((m for m in named if re.match(rf"(?:{_names(m).pattern})\s*:", clause, re.IGNORECASE)), None)
        spoken_of = head or spoken_of
        if len(named) > 1:  # of either, or of both: it does not say
            continue
        statement = _state(clause, named[0] if named else spoken_of, (*modalities, *([modality] if modality else ())))
        if statement is not None and statement.is_checkable:
            found.append(statement)
    return found


def named_modalities(text: str, modalities: Sequence[str]) -> list[str]:
    """Those of the modalities that a text names.

    >>> named_modalities("Bright on FLAIR and on T1 after contrast.", ["flair", "t1", "t1ce"])
    ['flair', 't1ce']
    """
    return [modality for modality in modalities if _names(modality).search(text)]


def _clauses(text: str, modalities: Sequence[str]) -> list[str]:
    sentences = [sentence for sentence in patterns.SENTENCE_END.split(text.strip()) if sentence]
    plain = [sentence for sentence in sentences if not patterns.EXCEPTION_FIRST.search(sentence)]
    clauses = [clause.strip() for sentence in plain for clause in patterns.SPLIT.split(sentence) if clause.strip()]
    return [part for clause in clauses for part in _by_modality(clause, modalities)]


def _by_modality(clause: str, modalities: Sequence[str]) -> list[str]:
    """ "A lesion, bright on FLAIR and dark on T1" as two; what names no modality belongs to the one before it."""
    parts: list[str] = []
    has_modality = False
    for piece in re.split(r"(,\s+(?:and\s+)?|\s+and\s+)", clause):
        names_one = bool(named_modalities(piece, modalities))
        if parts and not (names_one and has_modality):
            parts[-1] += piece
        else:
            parts.append(piece)
        has_modality = has_modality or names_one
    return [part.strip(" ,;.") for part in parts]


def _names(modality: str) -> re.Pattern[str]:
    """What a modality is called in texts, as whole words; T1 is not meant by "T1 after contrast"."""
    signal = signal_of(modality)
    names = {modality, signal.name, signal.name.replace(" after contrast", "ce")}
    if signal == T1_CONTRAST:
        names |= {"contrast-enhanced T1", "post-contrast T1", "T1c", "T1Gd", "T1 with contrast"}
    pattern = "|".join(re.escape(name) for name in sorted(names, key=lambda name: -len(name)))
    behind = "" if signal == T1_CONTRAST else r"(?! (?:after|with) contrast)"
    ahead = "" if signal == T1_CONTRAST else r"(?<!post-contrast )(?<!contrast-enhanced )"
    return re.compile(rf"{ahead}\b(?:{pattern})(?:-weighted|w)?\b{behind}", re.IGNORECASE)


def _state(clause: str, modality: str | None, modalities: Sequence[str]) -> Statement | None:
    if patterns.EXCEPTION.search(clause):
        return None
    bare = _bare(clause, modalities)
    nothing = patterns.NOTHING.search(bare)
    if nothing is not None:
        return _absence(clause, bare, nothing, modality)
    if patterns.NEGATION.search(bare):
        return None
    if patterns.ALIKE.search(bare):
        return Statement(clause, modality, alike=True)
    relation = patterns.RELATION.search(bare)
    bare = bare if relation is None else bare[: relation.start()]
    polarity = _polarity(bare, modality)
    if not (patterns.NOUN.search(bare) or (polarity is not None and not patterns.ANATOMY.search(bare))):
        return None
    placed = patterns.NAMES_OF_PARTS.sub(" ", bare)
    return Statement(
        clause, modality, polarity=polarity, side=_side(placed),
        anterior_posterior=_only(patterns.ANTERIOR_POSTERIOR, placed),
        superior_inferior=_only(patterns.SUPERIOR_INFERIOR, placed),
        of_picture=bool(patterns.OF_PICTURE.search(bare)), diameter_mm=_diameter_mm(bare), share=_share(bare),
        extent=_only(patterns.EXTENTS, bare),
    )  # fmt: skip


def _bare(clause: str, modalities: Sequence[str]) -> str:
    """The clause without the names of modalities, which may hold words of their own ("contrast-enhanced T1")."""
    for modality in modalities:
        named = rf"(?:(?:on|in|at) )?(?:the )?{_names(modality).pattern}(?: images?)?:?"
        clause = re.sub(named, " ", clause, flags=re.IGNORECASE)
    return " ".join(clause.split())


def _absence(clause: str, bare: str, nothing: re.Match[str], modality: str | None) -> Statement | None:
    """That nothing is there, of a polarity or on a side; None where it is narrowed down to what is not measured."""
    beside = f"{bare[: nothing.start()]} {bare[nothing.end() :]}"
    if re.search(r"\w", patterns.BESIDE_NOTHING.sub(" ", beside)):
        return None
    side, polarity = _side(bare), _polarity(bare, modality)
    if side in ("both", "midline") or (side is not None and patterns.OF_PICTURE.search(bare)):
        return None
    if polarity is None and patterns.ENHANCING.search(nothing[0]):  # not what an image without contrast can show
        return None
    return Statement(clause, modality, absent=True, polarity=polarity, side=side)


def _polarity(clause: str, modality: str | None) -> Polarity | None:
    """Bright or dark, where the clause says only one of them."""
    enhances = modality is not None and signal_of(modality) == T1_CONTRAST and patterns.ENHANCING.search(clause)
    bright = bool(patterns.BRIGHT.search(clause) or enhances)
    dark = bool(patterns.DARK.search(clause))
    return None if bright == dark else "bright" if bright else "dark"


def _side(clause: str) -> str | None:
    if patterns.SIDES["both"].search(clause):
        return "both"
    return _only(patterns.SIDES, clause)


def _diameter_mm(clause: str) -> float | None:
    found = patterns.SIZE.search(clause)
    if found is None or patterns.NO_SIZE_BEFORE.search(clause[: found.start()]):
        return None
    numbers = [float(number.replace(",", ".")) for number in re.findall(patterns.NUMBER, found[1])]
    product = 1.0
    for number in numbers:
        product *= number
    diameter = product ** (1 / len(numbers)) * (10.0 if found[2].lower().startswith("c") else 1.0)
    return diameter if diameter > 0 else None


def _share(clause: str) -> float | None:
    found = patterns.SHARE.search(clause)
    return float(found[1].replace(",", ".")) / 100 if found else None


def _only(words: Mapping[str, re.Pattern[str]], clause: str) -> str | None:
    """The one of several that a clause names; None where it names none or more."""
    found = [name for name, pattern in words.items() if pattern.search(clause)]
    return found[0] if len(found) == 1 else None
