"""The lexicon: structures and findings with their names, what defines them, and how they belong together.

One YAML file per region lies in `terms/`, in this project's own wording; people may add a file of their own, of the
same form. Codes (SNOMED CT) are only those of pydicom's dictionary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from zeusseg.errors import UsageError
from zeusseg.lexicon.spelling import words_of
from zeusseg.settings import Part, problems

OWN = "own"


class _Entry(Part):
    """A term as a file has it."""

    synonyms: tuple[str, ...] = ()
    lay: tuple[str, ...] = ()
    latin: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    part_of: tuple[str, ...] = ()
    is_a: tuple[str, ...] = ()
    place: str = ""
    neighbours: str = ""
    shape: str = ""
    signal: dict[str, str] = Field(default_factory=dict)
    code: str | None = None


@dataclass(frozen=True)
class Term:
    """A structure or finding. `part_of` and `is_a` name other terms; `under` holds all broader ones, theirs included.

    `descriptions` mean it without any of its names, as people do who do not think of one ("the chamber that fills the
    aorta"). `place`, `neighbours` and `shape` are phrases that define it, `signal` how each modality shows it. `code`
    is its SNOMED CT code, where pydicom's dictionary has one.
    """

    name: str
    region: str
    synonyms: tuple[str, ...] = ()
    lay: tuple[str, ...] = ()
    latin: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    part_of: tuple[str, ...] = ()
    is_a: tuple[str, ...] = ()
    place: str = ""
    neighbours: str = ""
    shape: str = ""
    signal: Mapping[str, str] = field(default_factory=dict, hash=False)
    code: str | None = None
    under: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """The name, synonyms, lay and Latin names."""
        return (self.name, *self.synonyms, *self.lay, *self.latin)

    @property
    def facets(self) -> tuple[str, ...]:
        """What defines it in every image, phrase by phrase: place, shape and neighbours."""
        near = f"next to {self.neighbours}" if self.neighbours else ""
        return tuple(filter(None, (self.place, self.shape, near)))

    @property
    def definition(self) -> str:
        """All of that as one text, without a full stop."""
        return "; ".join(self.facets)


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Terms by their names, in the order of the files."""

    terms: tuple[Term, ...]

    @cached_property
    def by_name(self) -> Mapping[str, Term]:
        """Every name, in lower case, with its term."""
        return {name.casefold(): term for term in self.terms for name in term.names}

    @cached_property
    def by_words(self) -> Mapping[tuple[str, ...], Term]:
        """Every name in the one spelling of `spelling.words_of`, with its term; the first of two that coincide."""
        return {words_of(name): term for term in reversed(self.terms) for name in term.names}

    def find(self, name: str) -> Term | None:
        """The term of this name, whatever its case, number or spelling; None where there is none."""
        return self.by_name.get(name.strip().casefold()) or self.by_words.get(words_of(name))


@lru_cache(maxsize=1)
def shipped_lexicon() -> Lexicon:
    """The lexicon of the package, read once."""
    folder = files("zeusseg.lexicon").joinpath("terms")
    found: dict[str, tuple[str, _Entry]] = {}
    for path in sorted(folder.iterdir(), key=lambda p: p.name):
        region = path.name.removesuffix(".yaml")
        found |= {name: (region, entry) for name, entry in _entries(path.read_text(encoding="utf-8"), region).items()}
    return _build(found)


def load_lexicon(path: Path | str | None = None) -> Lexicon:
    """The lexicon of the package, with the terms of a file of one's own, whose entries replace those of equal name.

    Raises `UsageError` for a file that cannot be read, an unknown key, a broader term that is not there, and a name
    that two terms claim.
    """
    if path is None:
        return shipped_lexicon()
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the lexicon {path}: {error}") from error
    own = {name: (OWN, entry) for name, entry in _entries(text, str(path)).items()}
    shipped = {term.name: (term.region, _entry_of(term)) for term in shipped_lexicon().terms}
    return _build({**shipped, **own})


def _entries(text: str, where: str) -> dict[str, _Entry]:
    import yaml

    try:
        content: Any = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
    except yaml.YAMLError as error:
        raise UsageError(f"the lexicon {where} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"the lexicon {where} must be a mapping of names to entries")
    try:
        return {str(name): _Entry.model_validate(entry or {}) for name, entry in content.items()}
    except ValidationError as error:
        raise UsageError(f"an entry of the lexicon {where} does not fit: {problems(error)}") from error


def _entry_of(term: Term) -> _Entry:
    return _Entry(**{name: getattr(term, name) for name in _Entry.model_fields})


def _build(found: Mapping[str, tuple[str, _Entry]]) -> Lexicon:
    terms = tuple(
        Term(name=name, region=region, under=frozenset(_broader(name, found, ())), **dict(entry))
        for name, (region, entry) in found.items()
    )
    claimed: dict[str, str] = {}
    for term in terms:
        for name in term.names:
            other = claimed.setdefault(name.casefold(), term.name)
            if other != term.name:
                raise UsageError(
                    f"the lexicon calls both {other!r} and {term.name!r} {name!r}: leave it to one of them"
                )
    return Lexicon(terms)


def _broader(name: str, found: Mapping[str, tuple[str, _Entry]], below: tuple[str, ...]) -> Iterable[str]:
    entry = found[name][1]
    for parent in (*entry.part_of, *entry.is_a):
        if parent not in found:
            raise UsageError(f"the lexicon's {name!r} is under {parent!r}, which is no term of it")
        if parent in (*below, name):
            raise UsageError(f"the lexicon's {name!r} is under itself, by way of {parent!r}")
        yield parent
        yield from _broader(parent, found, (*below, name))
