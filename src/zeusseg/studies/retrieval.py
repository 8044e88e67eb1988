"""Does a text encoder know which words mean the same? Names, descriptions and definitions that it never learned must
find their term.

`python -m zeusseg.studies.retrieval [--pretrained MODEL] --out retrieval.json`
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from zeusseg.errors import UsageError
from zeusseg.files import write_text
from zeusseg.instruct.knowledge import phrases_of
from zeusseg.lexicon import Lexicon, Term, shipped_lexicon
from zeusseg.metrics.statistics import bootstrap_interval

HELD_OUT_NAMES, HELD_OUT_DESCRIPTIONS, HELD_OUT_DEFINITIONS = 0.2, 0.2, 0.2
# Terms need as many names for one of them to be held out.
FEWEST_NAMES = 3
STEPS = 600
WIDTH = 128


@dataclass(frozen=True)
class Query:
    """A text that was held out (`kind`: name, description or definition), and the term that it means."""

    kind: str
    text: str
    term: str


@dataclass(frozen=True)
class Rate:
    """How often an encoder found the right term first, and among the first five, with the 95 % interval over terms."""

    encoder: str
    kind: str
    first: float
    low: float
    high: float
    first_five: float
    n_queries: int
    n_terms: int


def hold_out(lexicon: Lexicon, seed: int) -> tuple[Lexicon, list[Query]]:
    """The lexicon without some names, some descriptions, and some whole definitions, and these as queries.

    A term never loses its first name, nor names and definition both: what has only a definition left could not be
    found by name. One that loses its definition loses all descriptions, too.
    """
    rng = np.random.default_rng(seed)
    kept, queries = [], []
    for term in lexicon.terms:
        if rng.random() < HELD_OUT_DEFINITIONS and len(phrases_of(term)) > 1:
            queries.append(Query("definition", "; ".join(phrases_of(term)), term.name))
            term = replace(
                term, descriptions=(), place="", neighbours="", shape="", signal={}, part_of=(), is_a=()
            )
            kept.append(term)
            continue
        described = {said for said in term.descriptions if rng.random() < HELD_OUT_DESCRIPTIONS}
        queries += [Query("description", said, term.name) for said in sorted(described)]
        term = replace(term, descriptions=tuple(said for said in term.descriptions if said not in described))
        if len(term.names) >= FEWEST_NAMES:
            out = {name for name in term.names[1:] if rng.random() < HELD_OUT_NAMES}
            queries += [Query("name", name, term.name) for name in sorted(out)]
            synonyms, lay, latin = (tuple(n for n in names if n not in out) for names in
                                    (term.synonyms, term.lay, term.latin))
            term = replace(term, synonyms=synonyms, lay=lay, latin=latin)
        kept.append(term)
    return Lexicon(tuple(kept)), queries


def ranks(
    encode: Callable[[Sequence[str]], Tensor], terms: Sequence[Term], queries: Sequence[Query]
) -> NDArray[np.int64]:
    """The place, from 0, that each query's term takes among all terms, nearest first (cosine).

    `encode` gives one vector per text. A term lies where its known names do: at the mean of their directions.
    """
    names = [name for term in terms for name in term.names]
    directions = functional.normalize(encode(names).float(), dim=-1)
    sizes = [len(term.names) for term in terms]
    places = torch.stack([part.mean(dim=0) for part in torch.split(directions, sizes)])
    asked = functional.normalize(encode([query.text for query in queries]).float(), dim=-1)
    alike = asked @ functional.normalize(places, dim=-1).T
    order = {term.name: i for i, term in enumerate(terms)}
    right = torch.tensor([order[query.term] for query in queries])
    return (alike > alike.gather(1, right[:, None])).sum(dim=1).numpy()


def rate(encoder: str, queries: Sequence[Query], places: NDArray[np.int64]) -> list[Rate]:
    """The rates for names, descriptions and definitions. Terms weigh alike, whatever number of theirs was held out."""
    found = []
    for kind in ("name", "description", "definition"):
        mine = [i for i, query in enumerate(queries) if query.kind == kind]
        if not mine:
            continue
        by_term: dict[str, list[int]] = {}
        for i in mine:
            by_term.setdefault(queries[i].term, []).append(i)
        first = [float(np.mean(places[own] == 0)) for own in by_term.values()]
        five = [float(np.mean(places[own] < 5)) for own in by_term.values()]
        low, high = bootstrap_interval(first)
        found.append(Rate(encoder, kind, float(np.mean(first)), low, high, float(np.mean(five)), len(mine), len(first)))
    return found


def compare_encoders(pretrained: str | None, seed: int, steps: int, *, progress: bool = True) -> list[Rate]:
    """Rates of the subword encoder as it begins and once it has learnt the rest of the lexicon, and of a frozen
    pretrained sentence encoder, on the same queries."""
    from zeusseg.models.text import SubwordTextEncoder
    from zeusseg.training.lexicon import LexiconTask, learn_lexicon

    lexicon, queries = hold_out(shipped_lexicon(), seed)
    torch.manual_seed(seed)
    encoder = SubwordTextEncoder(WIDTH)

    def encode(texts: Sequence[str]) -> Tensor:
        with torch.inference_mode():
            return torch.cat([encoder(texts[i : i + 64]).pooled for i in range(0, len(texts), 64)])

    found = rate("subword, as it begins", queries, ranks(encode, lexicon.terms, queries))
    learn_lexicon(encoder, LexiconTask((), lexicon, seed), steps, progress=progress)
    found += rate("subword, lexicon learnt", queries, ranks(encode, lexicon.terms, queries))
    if pretrained is not None:
        from zeusseg.models.pretrained_text import load_text_encoder

        frozen = load_text_encoder(pretrained, WIDTH).frozen

        def encode_frozen(texts: Sequence[str]) -> Tensor:
            batches = [texts[i : i + 64] for i in range(0, len(texts), 64)]
            states = [state for batch in batches for state in frozen.states(batch, torch.device("cpu"))]
            return torch.stack([state.pooled for state in states])

        found += rate(Path(pretrained).name, queries, ranks(encode_frozen, lexicon.terms, queries))
    return found


def main(
    out: Annotated[Path, typer.Option(help="Where the rates are written (JSON).")],
    pretrained: Annotated[str | None, typer.Option(help="A frozen encoder beside: a folder or hub id.")] = None,
    seed: int = 0,
    steps: Annotated[int, typer.Option(help="Steps of 82 texts on the lexicon.")] = STEPS,
) -> None:
    """Hold names, descriptions and definitions out, let encoders find their terms, and print the rates."""
    found = compare_encoders(pretrained, seed, steps)
    write_text(out, json.dumps([asdict(one) for one in found], indent=1))
    for one in found:
        typer.echo(f"{one.encoder}, {one.kind}: first {one.first:.3f} [{one.low:.3f} to {one.high:.3f}], among five "
                   f"{one.first_five:.3f}; {one.n_queries} queries, {one.n_terms} terms")


if __name__ == "__main__":
    try:
        typer.run(main)
    except UsageError as error:
        raise SystemExit(f"zeusseg: {error}") from error
