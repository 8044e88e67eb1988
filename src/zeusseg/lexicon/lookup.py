"""A term of the lexicon for people to read, and what they may have meant."""

from __future__ import annotations

import difflib
import textwrap

from zeusseg.lexicon.terms import Lexicon, Term

WIDTH = 100


def describe(lexicon: Lexicon, term: Term) -> str:
    """Names, descriptions, definition, signal in each modality, relations both ways, and code of a term, as text."""
    parts = [other.name for other in lexicon.terms if term.name in other.part_of]
    kinds = [other.name for other in lexicon.terms if term.name in other.is_a]
    lines = [
        ("also called", ", ".join(term.synonyms)),
        ("lay", ", ".join(term.lay)),
        ("Latin", ", ".join(term.latin)),
        ("described", "; ".join(term.descriptions)),
        ("place", term.place),
        ("next to", term.neighbours),
        ("shape", term.shape),
        *((f"on {modality}", said) for modality, said in term.signal.items()),
        ("part of", ", ".join(term.part_of)),
        ("a kind of", ", ".join(term.is_a)),
        ("its parts", ", ".join(parts)),
        ("its kinds", ", ".join(kinds)),
        ("SNOMED CT", term.code or ""),
    ]
    told = (
        textwrap.fill(said, WIDTH, initial_indent=f"{about:>12}  ", subsequent_indent=" " * 14)
        for about, said in lines
        if said
    )
    return "\n".join([f"{term.name} ({term.region})", *told])


def near(lexicon: Lexicon, name: str) -> list[str]:
    """Up to three names that are written much like this one.

    >>> from zeusseg.lexicon import shipped_lexicon
    >>> near(shipped_lexicon(), "hipocampus")[0]
    'hippocampus'
    """
    return difflib.get_close_matches(name.strip().casefold(), list(lexicon.by_name), n=3, cutoff=0.7)
