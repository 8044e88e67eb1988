"""Names and definitions that were held out, and how often an encoder finds their terms."""

import numpy as np
import pytest
import torch

from zeusseg.lexicon import Lexicon, Term
from zeusseg.studies.retrieval import Query, hold_out, ranks, rate

TERMS = tuple(
    Term(name, "r", synonyms=(f"{name} two", f"{name} three", f"{name} four"), place=f"place of {name}",
         shape=f"shape of {name}", descriptions=tuple(f"what {name} does on day {day}" for day in range(5)))
    for name in ("a", "b", "c", "d", "e", "f", "g", "h")
)


def test_what_is_held_out_is_nowhere_in_what_is_kept():
    kept, queries = hold_out(Lexicon(TERMS), 2)
    assert {query.kind for query in queries} == {"name", "description", "definition"}
    for query in queries:
        term = kept.find(query.term)
        assert query.text not in (*term.names, *term.descriptions)
        assert query.kind != "definition" or (term.definition == "" and term.descriptions == ())


def test_a_term_keeps_its_first_name_and_never_loses_both():
    kept, queries = hold_out(Lexicon(TERMS), 1)
    assert [term.name for term in kept.terms] == [term.name for term in TERMS]
    kinds = [{query.kind for query in queries if query.term == term.name} for term in TERMS]
    assert not any({"name", "definition"} <= of_term for of_term in kinds)


def test_ranks_are_places_among_all_terms():
    """Terms on the axes; a query that points between two is nearer to the first."""
    axes = dict(zip(("a", "b", "c"), torch.eye(3), strict=True))
    known = axes | {"near a": torch.tensor([1.0, 0.5, 0.0]), "far from a": torch.tensor([0.1, 1.0, 0.5])}
    terms = [Term(name, "r") for name in axes]
    queries = [Query("name", "near a", "a"), Query("name", "far from a", "a"), Query("name", "near a", "b")]
    found = ranks(lambda texts: torch.stack([known[text] for text in texts]), terms, queries)
    assert found.tolist() == [0, 2, 1]


def test_a_term_lies_at_the_mean_of_its_names_directions():
    known = {"a": torch.tensor([1.0, 0.0]), "b": torch.tensor([0.0, 5.0]), "c": torch.tensor([1.0, 0.2]),
             "q": torch.tensor([1.0, 1.0])}
    terms = [Term("a", "r", synonyms=("b",)), Term("c", "r")]
    found = ranks(lambda texts: torch.stack([known[text] for text in texts]), terms, [Query("name", "q", "a")])
    assert found.tolist() == [0]


def test_terms_weigh_alike_in_a_rate():
    queries = [Query("name", "x", "a"), Query("name", "y", "a"), Query("name", "z", "b"), Query("definition", "d", "c")]
    names, definitions = rate("e", queries, np.array([0, 7, 3, 0]))
    assert names.first == pytest.approx((0.5 + 0.0) / 2)
    assert names.first_five == pytest.approx((0.5 + 1.0) / 2)
    assert (names.n_queries, names.n_terms) == (3, 2)
    assert definitions.first == 1.0
