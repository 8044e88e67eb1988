"""The word study counts what it says it counts: shown with a model that follows words and one that ignores them."""

import numpy as np
import pytest

from zeusseg.case import Case, Target, Volume
from zeusseg.inference.segment import SegmentedTarget
from zeusseg.studies import words

TARGETS = (Target("right", (1,)), Target("left", (2,)), Target("nowhere", (3,)))


class Source:
    """One case with two targets, side by side, and a third that it lacks."""

    targets = TARGETS
    case_ids = ("c",)

    def read(self, case_id: str, *, labels: bool = True) -> Case:
        array = np.zeros((4, 4, 2), dtype=np.uint8)
        array[:2], array[2:] = 1, 2
        volume = Volume.from_file(array, np.eye(4))
        return Case(case_id, case_id, {"t1": volume}, volume if labels else None)


class Loaded:
    targets = TARGETS
    writer = "name"


def answers(loaded, case, texts, *, obedient: bool) -> dict[str, SegmentedTarget]:
    labels = Source().read("c").labels.array
    found = {}
    for key, text in texts.items():
        value = next((t.values[0] for t in TARGETS if t.name in text), 0) if obedient else 1
        probability = ((labels == value) & (value > 0)).astype(np.float32)
        found[key] = SegmentedTarget(probability, 0.9, None)
    return found


@pytest.mark.parametrize(("obedient", "moved", "empty"), [(True, 2, 2), (False, 1, 0)])
def test_a_model_that_ignores_words_is_found_out(monkeypatch, obedient, moved, empty):
    monkeypatch.setattr(words, "segment", lambda *a: answers(*a, obedient=obedient))
    study = words.study_words(Loaded(), Source(), ["c"], absent=("liver", "asdf qwer", "Nowhere"))
    # Two ordered pairs of targets that are there; the one that is not there is in no pair.
    assert [(s.target, s.by) for s in study.swaps] == [("right", "left"), ("left", "right")]
    assert sum(s.moved for s in study.swaps) == moved
    # "Nowhere" is a target of the run: it is not asked for as an absent word.
    assert [a.text for a in study.absent] == ["liver", "asdf qwer"]
    assert sum(a.voxels == 0 for a in study.absent) == empty
    assert f"the mask moved in {moved} of 2" in study.to_text()
    assert f"all absent words: empty in {empty} of 2" in study.to_text()


def test_a_real_run_is_asked_about_every_case(run, phantoms, tmp_path):
    from zeusseg.inference.load import load_model

    study = words.study_words(load_model(run), phantoms, phantoms.splits["test"])
    assert {answer.case for answer in study.absent} == set(phantoms.splits["test"])
    assert study.failures == {}
