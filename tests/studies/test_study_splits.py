"""Splits of a study: drawn by what looks alike, renamed, put together, and without what leaks."""

from dataclasses import replace

import pytest

from helpers.pictures import write_pictures
from zeusseg.datasets import load_dataset
from zeusseg.errors import UsageError
from zeusseg.studies.config import StudyConfig
from zeusseg.studies.splits import study_splits

PUBLISHED = {"test": {"of": "val"}, "val": {"of": "train", "share": 0.25}}


def study(**content) -> StudyConfig:
    return StudyConfig.model_validate({"name": "s", "question": "?", "arms": {"a": None}, "test_on": "test", **content})


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Sixteen training pictures, and six of which the last two are copies of training pictures 0 and 1."""
    return load_dataset(write_pictures(tmp_path_factory.mktemp("pictures"), 16, 6, twins=2))


def test_without_rules_the_datas_own_splits_stay(pictures):
    assert study_splits(study(), pictures, progress=False) == pictures.splits


def test_a_split_is_renamed_and_another_drawn_from_the_rest(pictures):
    found = study_splits(study(splits=PUBLISHED), pictures, progress=False)
    assert found["test"] == pictures.splits["val"]
    assert len(found["val"]) == 4
    assert not set(found["val"]) & set(found["train"])
    assert sorted([*found["val"], *found["train"]]) == sorted(pictures.splits["train"])
    assert set(found) == {"train", "val", "test"}


def test_the_draw_follows_from_the_seed(pictures):
    def drawn(seed):
        return study_splits(study(splits=PUBLISHED, config={"fit": {"seed": seed}}), pictures, progress=False)["val"]

    assert drawn(0) == drawn(0)
    assert len({drawn(seed) for seed in range(5)}) > 1


def test_what_looks_alike_is_drawn_together(pictures):
    # All in one training split: whichever of a pair is drawn, its twin is drawn too.
    together = replace(pictures, splits={"train": pictures.case_ids})
    twins = dict(zip(pictures.splits["val"][-2:], pictures.splits["train"][:2], strict=True))
    for seed in range(4):
        rules = {"test": {"of": "train", "share": 0.5}}
        found = study_splits(study(splits=rules, config={"fit": {"seed": seed}}), together, progress=False)
        for one, other in twins.items():
            assert (one in found["test"]) == (other in found["test"])


def test_leaks_are_left_out_of_training_and_kept_beside(pictures):
    found = study_splits(study(splits=PUBLISHED, leaks="leave out"), pictures, progress=False)
    leaking = set(pictures.splits["train"][:2])
    assert not leaking & {*found["train"], *found["val"]}
    assert found["test"] == pictures.splits["val"]
    # Without the drawn validation cases, the split that is not cleaned is the published one.
    drawn = study_splits(study(splits=PUBLISHED), pictures, progress=False)
    assert found["train-with-leaks"] == drawn["train"]
    assert set(found["train"]) == set(drawn["train"]) - leaking
    assert leaking & set(drawn["train"])


def test_several_splits_are_put_together_and_those_not_used_left_out(pictures):
    ids = pictures.case_ids
    pooled = replace(pictures, splits={"train": ids[:10], "one-train": ids[:6], "two-train": ids[6:10],
                                       "one-test": ids[10:]})  # fmt: skip
    rules = {"train": {"of": ["one-train", "two-train"]}, "test": {"of": "one-test"}}
    found = study_splits(study(splits=rules), pooled, progress=False)
    assert found == {"train": ids[:10], "test": ids[10:]}


def test_what_is_not_there_is_named(pictures):
    with pytest.raises(UsageError, match=r"'test' is made of 'late': there is train, val"):
        study_splits(study(splits={"test": {"of": "late"}}), pictures, progress=False)
    with pytest.raises(UsageError, match=r"leaves nothing of 1 cases"):
        study_splits(study(splits={"test": {"of": "train", "share": 0.5}}),
                     replace(pictures, splits={"train": pictures.case_ids[:1]}), progress=False)  # fmt: skip
    with pytest.raises(ValueError, match="a share is drawn of one split"):
        study(splits={"test": {"of": ["train", "val"], "share": 0.5}})


def test_tested_splits_stay_whole_however_alike(pictures):
    # The copies are in two tested splits; training loses the originals, and no tested split a case.
    ids = pictures.case_ids
    first, second = pictures.splits["val"][-2:]
    own = replace(pictures, splits={"train": pictures.splits["train"][:8], "val": pictures.splits["train"][8:],
                                    "test": (first,), "further": (second, pictures.splits["train"][0])})  # fmt: skip
    own.splits["train"] = tuple(i for i in own.splits["train"] if i != pictures.splits["train"][0])
    found = study_splits(study(leaks="leave out", also_on=["further"]), own, progress=False)
    assert (found["test"], found["further"]) == (own.splits["test"], own.splits["further"])
    assert pictures.splits["train"][1] not in found["train"] + found["val"]
    assert len(ids) == 22
