"""What the lexicon knows of a data set's targets: more names, and phrases that define them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from zeusseg.case import Target
from zeusseg.instruct.signals import signal_of
from zeusseg.lexicon import Lexicon, Term, shipped_lexicon, words_of


@dataclass(frozen=True)
class Known:
    """A target as training speaks of it: its `names`, the data set's own first, and `phrases` that define it.

    `descriptions` mean it without a name. `definition` is the data set's own; where it has none, the lexicon's. `terms`
    are those that are called as it is.
    """

    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    definition: str
    phrases: tuple[str, ...]
    terms: tuple[Term, ...]


def phrases_of(term: Term) -> tuple[str, ...]:
    """What defines a term, phrase by phrase: place, shape, neighbours, and how each modality shows it."""
    return (*term.facets, *(f"on {signal_of(modality).name} {said}" for modality, said in term.signal.items()))


def known_targets(targets: Sequence[Target], lexicon: Lexicon | None = None) -> tuple[Known, ...]:
    """What is known of each target, in their order.

    A term belongs to a target where one of its names is the target's name or a synonym, and to none where it would
    belong to two: a data set may tell apart what the lexicon has as one.
    """
    return _known_targets(tuple(targets), lexicon or shipped_lexicon())


@lru_cache(maxsize=64)
def _known_targets(targets: tuple[Target, ...], lexicon: Lexicon) -> tuple[Known, ...]:
    terms = [terms_of(target, lexicon) for target in targets]
    shared = {term.name for i, own in enumerate(terms) for term in own if any(term in o for o in terms[i + 1 :])}
    found = []
    for target, own in zip(targets, terms, strict=True):
        kept = tuple(term for term in own if term.name not in shared)
        names = dict.fromkeys((target.name, *target.synonyms, *(name for term in kept for name in term.names)))
        # Of several terms (an abnormality, a tumor, a glioma) the narrowest defines best; they come in that order.
        phrases = phrases_of(kept[0]) if kept else ()
        definition = target.definition or (kept[0].definition if kept else "")
        descriptions = tuple(dict.fromkeys(said for term in kept for said in term.descriptions))
        found.append(Known(tuple(names), descriptions, definition, phrases, kept))
    return tuple(found)


def terms_of(target: Target, lexicon: Lexicon | None = None) -> tuple[Term, ...]:
    """The terms that are called as a target is, the narrowest first."""
    keys = {words_of(name) for name in (target.name, *target.synonyms)}
    terms = [t for t in (lexicon or shipped_lexicon()).terms if any(words_of(name) in keys for name in t.names)]
    return tuple(sorted(terms, key=lambda term: -len(term.under)))
