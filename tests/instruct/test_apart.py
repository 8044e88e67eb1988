"""Which terms of the lexicon have nothing to do with a target."""

from __future__ import annotations

import pytest

from zeusseg.case import Target
from zeusseg.instruct.apart import apart_from, is_abnormal
from zeusseg.lexicon import content_words, load_lexicon, shipped_lexicon


@pytest.mark.parametrize(
    ("target", "apart", "not_apart"),
    [
        (Target("RV", (1,)), {"liver", "left atrium", "thalamus"}, {"heart", "right ventricle", "chest"}),
        (Target("lesion", (1,)), {"thalamus", "heart", "fracture"}, {"tumor", "glioma", "edema", "liver metastasis"}),
        (Target("brain tumor", (1,)), {"thalamus", "cerebellum"}, {"brain", "meningioma", "cyst"}),
        (Target("whole liver", (1,)), {"spleen", "left kidney"}, {"liver", "abdomen", "liver cyst"}),
        (Target("right kidney", (1,)), {"left kidney", "liver"}, {"right kidney", "kidneys"}),
    ],
    ids=lambda value: value.name if isinstance(value, Target) else "",
)
def test_which_terms_are_apart(target: Target, apart: set[str], not_apart: set[str]) -> None:
    kept = {term.name for term in apart_from((target,)).terms}
    assert apart <= kept
    assert not_apart & kept == set()


def test_a_target_that_no_term_knows_still_forbids_its_words() -> None:
    apart = apart_from((Target("greater trochanter", (1,)),))
    assert len(apart.terms) == len(shipped_lexicon().terms)
    assert not apart.allows("the Trochanter")


def test_phrases_of_what_is_apart_touch_no_target() -> None:
    apart = apart_from((Target("liver", (1,)),))
    assert sum(bool(phrases) for phrases in apart.phrases.values()) > 200
    touching = [p for phrases in apart.phrases.values() for p in phrases if "liver" in content_words(p)]
    assert touching == []


def test_own_terms_are_apart_as_well(tmp_path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("flux capacitor: {place: behind the seats}\n")
    names = {term.name for term in apart_from((Target("liver", (1,)),), load_lexicon(file)).terms}
    assert "flux capacitor" in names


@pytest.mark.parametrize(
    ("target", "abnormal"),
    [(Target("breast tumor", (1,)), True), (Target("lesion", (1,)), True), (Target("RV", (1,)), False),
     (Target("x", (1,), ("low-grade glioma",)), True)],
)
def test_lesions_of_any_kind_are_known_as_abnormal(target: Target, abnormal: bool) -> None:
    assert is_abnormal(target) is abnormal
