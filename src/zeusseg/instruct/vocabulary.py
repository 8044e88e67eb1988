"""Words of anatomy and findings, and which of them have nothing to do with given targets.

The words lie in `vocabulary.yaml`: region -> name -> synonyms, broader terms (`under`: what it is part of or a kind
of) and a definition. A term is *apart* from targets when it is neither one of them, nor a part, a whole, a kind or a
lay word of one, and shares no content word with their names; left and right siblings are apart unless both are targets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from zeusseg.case import Target

SIDES = frozenset({"left", "right"})
# Terms under this one may all be said of the same abnormal spot, so they never contrast with one another.
ABNORMALITY = "lesion"


@dataclass(frozen=True)
class Term:
    """A structure or finding. `under` holds every broader term, the parents' parents included."""

    name: str
    region: str
    synonyms: tuple[str, ...] = ()
    under: frozenset[str] = frozenset()
    definition: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.synonyms)


@dataclass(frozen=True)
class _Vocabulary:
    terms: tuple[Term, ...]
    same_word: Mapping[str, str]
    stop_words: frozenset[str]
    finding_words: frozenset[str]


@lru_cache(maxsize=1)
def _data() -> _Vocabulary:
    import yaml

    text = files("zeusseg.instruct").joinpath("vocabulary.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    parents = {name: entry.get("under", []) for terms in data["terms"].values() for name, entry in terms.items()}

    def broader(name: str) -> frozenset[str]:
        return frozenset(parents[name]).union(*(broader(parent) for parent in parents[name]))

    terms = tuple(
        Term(name, region, tuple(entry.get("synonyms", [])), broader(name), entry.get("definition", ""))
        for region, entries in data["terms"].items()
        for name, entry in entries.items()
    )
    return _Vocabulary(terms, data["same_word"], frozenset(data["stop_words"]), frozenset(data["finding_words"]))


def load_vocabulary() -> tuple[Term, ...]:
    """Every term of `vocabulary.yaml`, read once."""
    return _data().terms


@lru_cache(maxsize=8192)
def words_of(text: str) -> tuple[str, ...]:
    """The words of a text in lower case and one spelling: plurals, British forms and adjectives become their noun.

    >>> words_of("Cardiac oedema, LVC & Tumours")
    ('heart', 'edema', 'lvc', 'tumor')
    """
    same_word = _data().same_word
    return tuple(_one_spelling(word, same_word) for word in re.findall(r"[^\W_]+", text.casefold()))


def _one_spelling(word: str, same_word: Mapping[str, str]) -> str:
    if word in same_word:
        return same_word[word]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return same_word.get(word, word)


@lru_cache(maxsize=8192)
def content_words(text: str) -> frozenset[str]:
    """The words of a text that carry meaning: stop words and sides left out.

    >>> sorted(content_words("the left Kidneys"))
    ['kidney']
    """
    return frozenset(words_of(text)) - _data().stop_words - SIDES


@dataclass(frozen=True)
class Apart:
    """What denotes nothing in the targets: `terms`; and `forbidden`, the content words that would touch them.

    `defined` are those of the terms that have a definition free of forbidden words.
    """

    terms: tuple[Term, ...]
    forbidden: frozenset[str]
    defined: tuple[Term, ...]

    def allows(self, text: str) -> bool:
        """Whether a text shares no content word with the targets."""
        return self.forbidden.isdisjoint(content_words(text))

    def allows_finding(self, text: str) -> bool:
        """The same for a finding, whose own way of speaking (`finding_words`) is allowed."""
        return (self.forbidden - _data().finding_words).isdisjoint(content_words(text))


@lru_cache(maxsize=256)
def apart_from(targets: tuple[Target, ...]) -> Apart:
    """The terms that are apart from all these targets, and the words that none of their texts may contain."""
    terms = load_vocabulary()
    called = {target: _names_and_aliases(target, terms) for target in targets}
    names = tuple(name for target_names in called.values() for name in target_names)
    near = [_mentioned(target_names, terms) for target_names in called.values()]
    narrow = frozenset(term.name for mentioned in near for term in _what_is_meant(mentioned))
    wholes = frozenset(whole for mentioned in near for term in mentioned for whole in term.under | {term.name}) - narrow
    whole_names = [name for term in terms if term.name in wholes for name in term.names]
    own_words = frozenset(word for name in names for word in content_words(name))
    whole_words = frozenset(word for name in whole_names for word in content_words(name)) - own_words
    abnormal = any(_is_abnormal(term) for mentioned in near for term in mentioned)
    kept = tuple(
        term
        for term in terms
        if not (abnormal and _is_abnormal(term))
        and (_is_sibling(term, names) or not _is_related(term, narrow, wholes))
        and not _shares_a_word(term, names)
        and all(whole_words.isdisjoint(content_words(name)) for name in term.names)
    )
    forbidden = own_words | whole_words
    defined = tuple(t for t in kept if t.definition and forbidden.isdisjoint(content_words(t.definition)))
    return Apart(kept, forbidden, defined)


def _what_is_meant(mentioned: frozenset[Term]) -> frozenset[Term]:
    """Of the terms that a target's names mention, those it denotes: in `breast tumor`, the breast is but the place."""
    abnormal = frozenset(term for term in mentioned if _is_abnormal(term))
    return abnormal or mentioned


def _is_abnormal(term: Term) -> bool:
    return term.name == ABNORMALITY or ABNORMALITY in term.under


def _names_and_aliases(target: Target, terms: Sequence[Term]) -> tuple[str, ...]:
    """A target's name and synonyms, and those of the terms that are called just so (`RV` is the right ventricle)."""
    own = (target.name, *target.synonyms)
    keys = {words_of(name) for name in own}
    aliases = (name for term in terms if any(words_of(n) in keys for n in term.names) for name in term.names)
    return tuple(dict.fromkeys((*own, *aliases)))


def _mentioned(names: Sequence[str], terms: Sequence[Term]) -> frozenset[Term]:
    """Terms whose whole name stands in one of the names: `breast tumor` mentions the breast and the tumor."""
    word_sets = [frozenset(words_of(name)) for name in names]
    return frozenset(
        term for term in terms if any(words.issuperset(words_of(n)) for n in term.names for words in word_sets)
    )


def _is_related(term: Term, narrow: frozenset[str], wholes: frozenset[str]) -> bool:
    return term.name in narrow or term.name in wholes or not narrow.isdisjoint(term.under)


def _shares_a_word(term: Term, names: Sequence[str]) -> bool:
    return any(
        not content_words(own).isdisjoint(content_words(other)) and not _mirrored(own, other)
        for own in term.names
        for other in names
    )


def _is_sibling(term: Term, names: Sequence[str]) -> bool:
    return any(_mirrored(own, other) for own in term.names for other in names)


def _mirrored(one: str, other: str) -> bool:
    """Whether two names speak of the same thing on opposite sides: left kidney, right renal parenchyma."""
    sides = frozenset(words_of(one)) & SIDES, frozenset(words_of(other)) & SIDES
    opposite = all(len(side) == 1 for side in sides) and sides[0] != sides[1]
    return opposite and not content_words(one).isdisjoint(content_words(other))
