"""Which words of the lexicon have nothing to do with given targets.

A term is *apart* from targets when it is neither one of them, nor a part, a whole, a kind or a lay word of one; of its
names, those that share no content word with theirs are used. Left and right siblings are apart unless both are targets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from zeusseg.case import Target
from zeusseg.instruct.knowledge import phrases_of
from zeusseg.lexicon import Lexicon, Term, content_words, shipped_lexicon, words_of
from zeusseg.lexicon.spelling import SIDES, finding_words

# Terms under this one may all be said of the same abnormal spot, so they never contrast with one another.
ABNORMALITY = "lesion"
# The region of general findings and of kinds of tissue and structure: a kind's name alone names no part of the body.
GENERAL = "findings"


@dataclass(frozen=True, eq=False)
class Apart:
    """What denotes nothing in the targets: `terms`; and `forbidden`, the content words that would touch them.

    By a term's name, `names` are those of its names, and `phrases` those of its definition, that hold no such word;
    `descriptions` those of its descriptions that hold no such word and none of the names of the targets' parts.
    """

    terms: tuple[Term, ...]
    forbidden: frozenset[str]
    names: Mapping[str, tuple[str, ...]]
    descriptions: Mapping[str, tuple[str, ...]]
    phrases: Mapping[str, tuple[str, ...]]

    def allows(self, text: str) -> bool:
        """Whether a text shares no content word with the targets."""
        return self.forbidden.isdisjoint(content_words(text))

    def allows_finding(self, text: str) -> bool:
        """The same for a finding, whose own way of speaking (`finding_words`) is allowed."""
        return (self.forbidden - finding_words()).isdisjoint(content_words(text))


def apart_from(targets: Sequence[Target], lexicon: Lexicon | None = None) -> Apart:
    """The terms that are apart from all these targets, and the words that none of their texts may contain."""
    return _apart_from(tuple(targets), lexicon or shipped_lexicon())


@lru_cache(maxsize=256)
def _apart_from(targets: tuple[Target, ...], lexicon: Lexicon) -> Apart:
    terms = lexicon.terms
    called = {target: _names_and_aliases(target, terms) for target in targets}
    names = tuple(name for target_names in called.values() for name in target_names)
    near = [_mentioned(target_names, terms) for target_names in called.values()]
    narrow = frozenset(term.name for mentioned in near for term in _what_is_meant(mentioned))
    wholes = frozenset(whole for mentioned in near for term in mentioned for whole in term.under | {term.name}) - narrow
    whole_names = [
        name for term in terms if term.name in wholes and not _is_kind_of_part(term) for name in term.names
    ]
    abnormal = any(_is_abnormal(term) for mentioned in near for term in mentioned)
    if abnormal:
        # Whatever a lesion is called in general, it may be this one.
        whole_names += [name for t in terms if t.region == GENERAL and _is_abnormal(t) for name in t.names]
    own_words = frozenset(word for name in names for word in content_words(name))
    whole_words = frozenset(word for name in whole_names for word in content_words(name)) - own_words
    kept, allowed = [], {}
    for term in terms:
        related = _is_related(term, narrow, wholes) and not _is_sibling(term, names)
        free = tuple(name for name in term.names if _is_free(name, names, whole_words))
        if free and not related and not (abnormal and _is_abnormal(term)):
            kept.append(term)
            allowed[term.name] = free
    forbidden = own_words | whole_words
    # A description takes the place of a name, and names of parts of the targets are not said either.
    parts = [name for term in terms if not narrow.isdisjoint(term.part_of) for name in term.names]
    part_words = frozenset(word for name in parts for word in content_words(name))

    def free_of(words: frozenset[str], texts: Callable[[Term], tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        return {t.name: tuple(said for said in texts(t) if words.isdisjoint(content_words(said))) for t in kept}

    descriptions = free_of(forbidden | part_words, lambda term: term.descriptions)
    return Apart(tuple(kept), forbidden, allowed, descriptions, free_of(forbidden, phrases_of))


@lru_cache(maxsize=256)
def is_abnormal(target: Target, lexicon: Lexicon | None = None) -> bool:
    """Whether a target is a lesion of some kind, by what its names mention."""
    mentioned = _mentioned((target.name, *target.synonyms), (lexicon or shipped_lexicon()).terms)
    return any(_is_abnormal(term) for term in mentioned)


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
    """Terms whose whole name stands in one of the names: `breast tumor core` mentions the breast tumor.

    Not what is only part of a longer mention: the head of the hippocampus is no head.
    """
    found: set[Term] = set()
    for words in (frozenset(words_of(name)) for name in names):
        mentions = [(term, said) for term in terms for n in term.names if words >= (said := frozenset(words_of(n)))]
        found |= {term for term, said in mentions if not any(said < longer for _, longer in mentions)}
    return frozenset(found)


def _is_related(term: Term, narrow: frozenset[str], wholes: frozenset[str]) -> bool:
    return term.name in narrow or term.name in wholes or not narrow.isdisjoint(term.under)


def _is_kind_of_part(term: Term) -> bool:
    """Whether a term is but a kind of structure: a muscle, an artery."""
    return term.region == GENERAL and not _is_abnormal(term)


def _is_free(name: str, names: Sequence[str], whole_words: frozenset[str]) -> bool:
    """Whether a name shares no content word with the targets' names, its own counterpart's aside, or their wholes'."""
    words = content_words(name)
    apart = (words.isdisjoint(content_words(other)) or _mirrored(name, other) for other in names)
    return whole_words.isdisjoint(words) and all(apart)


def _is_sibling(term: Term, names: Sequence[str]) -> bool:
    return any(_mirrored(own, other) for own in term.names for other in names)


def _mirrored(one: str, other: str) -> bool:
    """Whether two names speak of the same thing on opposite sides: left kidney, right renal parenchyma."""
    sides = frozenset(words_of(one)) & SIDES, frozenset(words_of(other)) & SIDES
    opposite = all(len(side) == 1 for side in sides) and sides[0] != sides[1]
    return opposite and not content_words(one).isdisjoint(content_words(other))
