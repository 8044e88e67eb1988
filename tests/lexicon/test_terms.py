"""The lexicon is large, consistent, in its own words, and can be added to."""

from __future__ import annotations

from collections import Counter

import pytest

from zeusseg.errors import UsageError
from zeusseg.lexicon import content_words, load_lexicon, shipped_lexicon, words_of

REGIONS = {"brain", "heart", "abdomen", "pelvis", "chest", "breast", "skin", "colon", "neck", "spine", "limbs"}
TERMS = shipped_lexicon().terms


def test_it_covers_the_body() -> None:
    assert len(TERMS) >= 300
    assert {term.region for term in TERMS} >= REGIONS
    assert min(Counter(term.region for term in TERMS if term.region in REGIONS).values()) >= 10


def test_terms_have_other_names_and_are_defined() -> None:
    assert sum(len(term.names) >= 3 for term in TERMS) >= 0.8 * len(TERMS)
    assert [term.name for term in TERMS if len(term.facets) < 2] == []
    assert sum(bool(term.signal) for term in TERMS) >= 0.9 * len(TERMS)


def test_no_name_stands_for_two_terms_in_any_spelling() -> None:
    names = [words for term in TERMS for words in {words_of(name) for name in term.names}]
    assert sorted(name for name, count in Counter(names).items() if count > 1) == []


def test_no_two_terms_are_defined_alike() -> None:
    phrases = [phrase for term in TERMS for phrase in (term.place, term.shape) if phrase]
    assert [phrase for phrase, count in Counter(phrases).items() if count > 1] == []


def test_a_definition_does_not_use_the_name_it_defines() -> None:
    circular = [t.name for t in TERMS if t.name.casefold() in f"{t.place}; {t.shape}".casefold()]
    assert circular == []


def test_terms_are_described_without_their_names() -> None:
    described = [(term, said) for term in TERMS for said in term.descriptions]
    assert len(described) > 2000
    assert {term.name for term, _ in described} == {term.name for term in TERMS}
    for term, said in described:
        words = f" {' '.join(words_of(said))} "
        assert [name for name in term.names if f" {' '.join(words_of(name))} " in words] == [], said
    texts = [words_of(said) for _, said in described]
    assert len(set(texts)) == len(texts)  # none means two things
    assert {words_of(name) for term in TERMS for name in term.names}.isdisjoint(texts)


def test_codes_are_those_of_pydicoms_dictionary() -> None:
    from pydicom.sr.codedict import codes

    known = {(code.value, words_of(code.meaning)) for code in (getattr(codes.SCT, name) for name in codes.SCT.dir())}
    coded = [term for term in TERMS if term.code]
    assert len(coded) >= 200
    assert [t.name for t in coded if not known & {(t.code, words_of(name)) for name in t.names}] == []


@pytest.mark.parametrize(
    ("name", "term"),
    [
        ("RV", "right ventricle"), ("Kidney", "kidneys"), ("tumour", "tumor"), ("hepar", "liver"),
        ("Left Ventricular Cavity", "left ventricular cavity"),
    ],
)
def test_a_term_is_found_by_any_name_and_spelling(name: str, term: str) -> None:
    found = shipped_lexicon().find(name)
    assert found is not None
    assert found.name == term


def test_an_unknown_name_is_not_found() -> None:
    assert shipped_lexicon().find("flux capacitor") is None


def test_broader_terms_are_gathered_all_the_way_up() -> None:
    cavity = shipped_lexicon().find("left ventricular cavity")
    assert cavity is not None
    assert {"left ventricle", "heart"} <= cavity.under


def test_own_terms_are_added_and_replace_those_of_equal_name(tmp_path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("thymus: {place: mine}\nflux capacitor: {part_of: [prostate], synonyms: [FXC]}\n")
    lexicon = load_lexicon(file)
    assert len(lexicon.terms) == len(TERMS) + 1
    thymus, bundle = lexicon.find("thymus"), lexicon.find("fxc")
    assert thymus is not None
    assert thymus.place == "mine"
    assert bundle is not None
    assert "pelvis" in bundle.under


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- a list", "mapping of names"),
        ("a: {colour: red}", "colour"),
        ("a: {part_of: [nowhere]}", "'nowhere', which is no term"),
        ("a: {is_a: [b]}\nb: {is_a: [a]}", "under itself"),
        ("a: {synonyms: [Spleen]}", "'spleen'"),
        ("a: [", "not YAML"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_reason(tmp_path, content: str, message: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(content)
    with pytest.raises(UsageError, match=message):
        load_lexicon(file)


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
