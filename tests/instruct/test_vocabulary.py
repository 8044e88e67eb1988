"""The vocabulary is large, consistent, and knows which terms have nothing to do with a target."""

from __future__ import annotations

from importlib.resources import files

import pytest
import yaml

from zeusseg.case import Target
from zeusseg.instruct.vocabulary import apart_from, content_words, load_vocabulary, words_of

REGIONS = {"brain", "heart", "abdomen", "pelvis", "chest", "breast", "skin", "colon", "neck", "spine", "limbs"}


def test_it_covers_the_body() -> None:
    terms = load_vocabulary()
    assert len(terms) >= 200
    assert sum(bool(term.definition) for term in terms) >= 120
    assert {term.region for term in terms} >= REGIONS
    assert max(len(term.synonyms) for term in terms) <= 4


def test_every_broader_term_exists_and_no_name_stands_for_two_terms() -> None:
    terms = load_vocabulary()
    assert {broader for term in terms for broader in term.under} <= {term.name for term in terms}
    names = [words for term in terms for words in {words_of(name) for name in term.names}]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


def test_a_definition_does_not_use_the_name_it_defines() -> None:
    circular = [t.name for t in load_vocabulary() if t.definition and t.name.casefold() in t.definition.casefold()]
    assert circular == []


def test_sixty_unrelated_sentences_are_written_out() -> None:
    moulds = yaml.safe_load(files("zeusseg.instruct").joinpath("moulds.yaml").read_text(encoding="utf-8"))
    assert len(set(moulds["unrelated_sentences"])) >= 60
    assert all("{x}" in mould for mould in moulds["name_templates"] + moulds["name_and_definition_templates"])
    assert all("{d}" in mould for mould in moulds["definition_templates"] + moulds["name_and_definition_templates"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Cardiac oedema", ("heart", "edema")),
        ("Tumours of the KIDNEYS", ("tumor", "of", "the", "kidney")),
        ("left-sided atrial septum", ("left", "sided", "atrium", "septum")),
        ("pelvis, thymus, testes", ("pelvis", "thymus", "testis")),
    ],
)
def test_words_come_in_one_spelling(text: str, words: tuple[str, ...]) -> None:
    assert words_of(text) == words


def test_sides_and_small_words_are_no_content() -> None:
    assert content_words("a bright area of the left kidney") == {"kidney"}


@pytest.mark.parametrize(
    ("target", "apart", "not_apart"),
    [
        (Target("RV", (1,)), {"liver", "left atrium", "thalamus"}, {"heart", "right ventricle", "chest"}),
        (Target("lesion", (1,)), {"thalamus", "heart", "fracture"}, {"tumor", "glioma", "edema", "liver metastasis"}),
        (Target("brain tumor", (1,)), {"thalamus", "cerebellum"}, {"brain", "meningioma", "cyst"}),
        (Target("whole liver", (1,)), {"spleen", "left kidney"}, {"liver", "abdomen", "liver cyst"}),
        (Target("right kidney", (1,)), {"left kidney", "liver"}, {"right kidney", "kidneys", "kidney stone"}),
    ],
    ids=lambda value: value.name if isinstance(value, Target) else "",
)
def test_which_terms_are_apart(target: Target, apart: set[str], not_apart: set[str]) -> None:
    kept = {term.name for term in apart_from((target,)).terms}
    assert apart <= kept
    assert not_apart & kept == set()


def test_a_target_that_no_term_knows_still_forbids_its_words() -> None:
    apart = apart_from((Target("greater trochanter", (1,)),))
    assert len(apart.terms) == len(load_vocabulary())
    assert not apart.allows("the Trochanter")
