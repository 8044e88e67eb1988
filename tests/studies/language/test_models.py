"""Models that are asked: a run, and any function of the documented form; others are refused with what was expected."""

import sys
from pathlib import Path

import numpy as np
import pytest

from zeusseg.case import Case, Volume
from zeusseg.errors import BadInputError, UsageError
from zeusseg.inference.load import load_model
from zeusseg.inference.segment import segment
from zeusseg.studies.language.models import open_model

EXAMPLE = Path(__file__).parents[3] / "examples" / "ignores_its_words.py"


@pytest.fixture
def case() -> Case:
    array = np.arange(24, dtype=np.int16).reshape(4, 3, 2)
    return Case("c", "p", {"t1": Volume.from_file(array, np.diag([2.0, 2.0, 5.0, 1.0]))})


@pytest.fixture
def function(tmp_path):
    """Write a function `f` with this body, and open it."""

    def make(body: str, name: str = "f"):
        path = tmp_path / "peer.py"
        path.write_text(f"import numpy as np\n\ndef f(images, affine, texts):\n    {body}\n")
        return open_model(f"{path}:{name}")

    return make


def test_a_function_is_given_images_affine_and_texts_and_answers_with_a_mask_per_text(function, case):
    model = function("return [(images['t1'] > affine[2, 2]) & (len(text) > 1) for text in texts]")
    first, second = model.answer(case, ["lesion", "x"])
    assert np.array_equal(first.mask, case.images["t1"].array > 5)
    assert not second.mask.any()
    assert (first.presence, first.conflicts) == (None, ())
    assert model.name == "peer.f"


def test_what_a_function_does_to_its_images_is_its_own_affair(function, case):
    model = function("images['t1'][:] = 0; return [images['t1'] > 0 for _ in texts]")
    model.answer(case, ["lesion"])
    assert case.images["t1"].array.max() == 23


def test_the_digest_is_that_of_the_file(function):
    one, same, other = function("return 1"), function("return 1"), function("return 2")
    assert one.digest == same.digest != other.digest


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return []", "returned 0 masks for 1 texts"),
        ("return [np.zeros((3, 4, 2))]", r"shape \(3, 4, 2\) for case 'c': expected \(x, y, z\) \(4, 3, 2\)"),
        ("return [np.full((4, 3, 2), 0.7)]", "values other than 0 and 1"),
    ],
)
def test_an_answer_of_another_form_is_a_wrong_call(function, case, body, said):
    with pytest.raises(UsageError, match=said):
        function(body).answer(case, ["lesion"])


def test_a_function_that_fails_on_a_case_costs_that_case(function, case):
    with pytest.raises(BadInputError, match=r"peer\.f failed on case 'c': KeyError: 'flair'"):
        function("return images['flair']").answer(case, ["lesion"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nowhere/peer.py:f", "there is no file nowhere/peer.py"),
        ("nowhere", "there is no folder nowhere: expected a run folder"),
        ("peer.py", "names no function"),
    ],
)
def test_what_is_neither_run_nor_function_is_refused(text, said):
    with pytest.raises(UsageError, match=said):
        open_model(text)


def test_a_file_without_the_function_is_refused(function):
    with pytest.raises(UsageError, match=r"has no function 'g': expected g\(images, affine, texts\)"):
        function("return 1", name="g")


def test_a_file_that_cannot_be_imported_is_refused(tmp_path):
    (tmp_path / "peer.py").write_text("import no_such_module")
    with pytest.raises(UsageError, match="cannot be imported: ModuleNotFoundError"):
        open_model(f"{tmp_path / 'peer.py'}:f")


def test_a_file_may_use_what_lies_beside_it_and_dataclasses(tmp_path, case, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "weights_of_peer.py").write_text("LIMIT = 5")
    (tmp_path / "peer.py").write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom weights_of_peer import LIMIT\n"
        "@dataclass\nclass Settings:\n    limit: int = LIMIT\n"
        "def f(images, affine, texts):\n    return [images['t1'] > Settings().limit for _ in texts]\n"
    )
    (answer,) = open_model(f"{tmp_path / 'peer.py'}:f").answer(case, ["lesion"])
    assert np.array_equal(answer.mask, case.images["t1"].array > 5)


def test_a_run_answers_in_the_order_of_the_texts(run, phantoms):
    case = phantoms.read(phantoms.case_ids[0], labels=False)
    texts = ["ventricles", "lesion", ""]
    answers = open_model(str(run)).answer(case, texts)
    expected = segment(load_model(run), case, {text: text for text in texts})
    for text, answer in zip(texts, answers, strict=True):
        assert answer.presence == pytest.approx(expected[text].presence)
        assert np.array_equal(answer.mask, expected[text].mask)


def test_conflicts_are_looked_for_in_the_texts_to_be_checked_alone(run, phantoms, monkeypatch):
    from zeusseg.inference import conflicts

    asked = []

    def find(loaded, case, texts, **_):
        asked.extend(texts.values())
        return {key: (conflicts.Conflict("side", "left", "right", "it lies on the right"),) for key in texts}

    monkeypatch.setattr(conflicts, "find_conflicts", find)
    case = phantoms.read(phantoms.case_ids[0], labels=False)
    answers = open_model(str(run)).answer(case, ["lesion", "lesion on the left"], check={"lesion on the left"})
    assert asked == ["lesion on the left"]
    assert [answer.conflicts for answer in answers] == [(), ("it lies on the right",)]


def test_the_example_marks_the_first_target_whatever_it_is_asked(run, phantoms, monkeypatch):
    monkeypatch.setenv("ZEUSSEG_RUN", str(run))
    case = phantoms.read(phantoms.case_ids[0], labels=False)
    loaded = load_model(run)
    name = loaded.targets[0].name
    expected = segment(loaded, case, {name: name})[name].mask
    answers = open_model(f"{EXAMPLE}:answer").answer(case, ["liver", "asdf"])
    assert all(np.array_equal(answer.mask, expected) for answer in answers)


def test_the_example_says_what_it_needs(monkeypatch, case):
    monkeypatch.delenv("ZEUSSEG_RUN", raising=False)
    with pytest.raises(UsageError, match="ZEUSSEG_RUN"):
        open_model(f"{EXAMPLE}:answer").answer(case, ["liver"])
