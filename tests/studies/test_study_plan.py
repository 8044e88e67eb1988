"""What a study trains and tests: folds by patient, subsets of modalities, and no training case under test."""

from dataclasses import replace

import pytest

from zeusseg.errors import UsageError
from zeusseg.studies.config import StudyConfig
from zeusseg.studies.plan import Setting, draw_folds, make_plan


def study(**content) -> StudyConfig:
    return StudyConfig.model_validate({"name": "s", "question": "?", "arms": {"a": None, "b": None}, **content})


@pytest.fixture
def paired(phantoms):
    """The phantoms as three patients with two cases each, without splits."""
    patients = {case_id: f"p{place // 2}" for place, case_id in enumerate(phantoms.case_ids)}
    return replace(phantoms, patients=patients, splits=None)


def test_folds_put_each_patient_on_exactly_one_test_side(paired):
    plan = make_plan(study(folds=3, seeds=[0, 1]), paired)
    assert len(plan.jobs) == 2 * 2 * 3
    for seed in (0, 1):
        jobs = [job for job in plan.jobs if (job.arm, job.seed) == ("a", seed)]
        tested = [{paired.patients[case] for case in job.splits["test"]} for job in jobs]
        assert sorted(patient for fold in tested for patient in fold) == ["p0", "p1", "p2"]
        for job, fold in zip(jobs, tested, strict=True):
            assert not fold & {paired.patients[case] for case in job.splits["train"]}
            assert sorted(job.splits["test"] + job.splits["train"]) == list(paired.case_ids)


def test_folds_are_the_same_for_all_arms_and_seeds_and_follow_from_the_seed_of_the_draw(paired):
    plan = make_plan(study(folds=3, seeds=[0, 1]), paired)
    assert len({job.splits["test"] for job in plan.jobs}) == 3
    draws = [draw_folds(paired, 3, seed, frozenset()) for seed in (0, 0, *range(1, 9))]
    assert draws[0] == draws[1]
    assert any(draw != draws[0] for draw in draws)


def test_folds_leave_out_the_patients_of_further_splits(paired):
    first, second = paired.case_ids[:2]
    own = replace(paired, splits={"late": (first,), "train": paired.case_ids[2:]})
    plan = make_plan(study(folds=2, also_on=["late"]), own)
    for job in plan.jobs:
        assert job.splits["late"] == (first,)
        assert second not in job.splits["train"] + job.splits["test"]


def test_one_draw_serves_all_arms_and_seeds(paired):
    plan = make_plan(study(config={"split": {"val": 1}}), paired)
    assert len({job.splits["val"] for job in plan.jobs}) == 1
    assert len({paired.patients[case] for case in plan.jobs[0].splits["val"]}) == 1


def test_every_arm_comes_before_the_next_seed(phantoms):
    plan = make_plan(study(test_on="test", seeds=[4, 5]), phantoms)
    assert [job.label for job in plan.jobs] == ["a, seed 4", "b, seed 4", "a, seed 5", "b, seed 5"]
    assert plan.jobs[0].place.as_posix() == "a/seed-4"


def test_subsets_are_all_but_the_whole_each_once(phantoms):
    three = replace(phantoms, modalities=("t1", "flair", "t2"))
    plan = make_plan(study(test_on="test", modalities="subsets"), three)
    assert [setting.shown for setting in plan.settings] == [
        "all", "t1", "flair", "t2", "t1+flair", "t1+t2", "flair+t2",
    ]  # fmt: skip
    given = make_plan(study(test_on="test", modalities=[["flair", "t1"], ["t2", "flair", "t1"]]), three)
    assert [setting.shown for setting in given.settings] == ["all", "t1+flair"]


def test_a_case_without_any_of_the_modalities_is_not_asked_about(phantoms):
    case = phantoms.case_ids[0]
    images = {"flair": next(iter(phantoms.files[case].images.values()))}
    own = replace(phantoms, files={**phantoms.files, case: replace(phantoms.files[case], images=images)})
    splits = {"all": own.case_ids}
    assert Setting("all", ("t1",)).case_ids(own, splits) == [
        other for other in own.case_ids if "t1" in own.files[other].images
    ]
    assert case in Setting("all").case_ids(own, splits)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"test_on": "val"}, "no cases called 'val': it has test, train"),
        ({"test_on": "test", "also_on": ["extra"]}, "no cases called 'extra'"),
        ({"test_on": "train"}, "'a' would be tested on 'train'"),
        ({"test_on": "test", "arms": {"c": {"train_on": "fit"}}}, "'c' is trained on 'fit': there is test, train"),
        ({"test_on": "test", "modalities": [["t1", "ct"]]}, "`modalities` names 'ct': the data have t1, flair"),
        ({"folds": 9}, "6 labelled patients cannot be drawn into 9 folds"),
    ],
)
def test_what_the_data_do_not_hold_is_refused(phantoms, content, message):
    with pytest.raises(UsageError, match=message):
        make_plan(study(**content), phantoms)


def test_only_frozen_encoders_have_a_store(phantoms):
    frozen = {"model.vision": "pretrained:x"}
    control = {"model.vision": "random:x"}
    arms = {"whole": None, "frozen": frozen, "lora": {**frozen, "model.lora_rank": 2}, "random": control}
    plan = make_plan(study(test_on="test", arms=arms, seeds=[0]), phantoms)
    assert {job.arm: job.frozen for job in plan.jobs} == {"whole": False, "frozen": True, "lora": False, "random": True}


def test_a_tested_split_may_not_choose_thresholds(paired):
    ids = paired.case_ids
    own = replace(paired, splits={"train": ids[:2], "val": ids[2:4]})
    with pytest.raises(UsageError, match=r"tested on 'val', which chooses its threshold"):
        make_plan(study(config={"threshold": "validation"}), own)
    assert make_plan(study(), own).settings[0].split == "val"


def test_a_case_may_not_be_trained_on_under_another_splits_name(paired):
    ids = paired.case_ids
    own = replace(paired, splits={"train": ids[:4], "test": ids[3:]})
    with pytest.raises(UsageError, match=rf"tested on {ids[3]!r} of 'test', which it is trained"):
        make_plan(study(test_on="test"), own)
