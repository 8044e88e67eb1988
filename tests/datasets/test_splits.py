import pytest

from zeusseg.datasets import check_splits, draw_splits, load_dataset
from zeusseg.errors import UsageError


@pytest.fixture
def dataset(make, image, labels):
    """Ten patients of two scans each; scans named `b` of patients 8 and 9 have no labels."""
    files = {"targets.yaml": "patient_pattern: ^p\\d"}
    for case in [f"p{number}{scan}" for number in range(10) for scan in "ab"]:
        files[f"{case}/t1.nii"] = image
        if case not in ("p8b", "p9b"):
            files[f"{case}/seg.nii"] = labels
    return load_dataset(make(files))


def patients(dataset, ids):
    return {dataset.patients[case_id] for case_id in ids}


def test_shares_are_of_patients_and_keep_their_scans_together(dataset):
    splits = draw_splits(dataset, {"train": 0.8, "val": 0.2}, seed=0)
    assert len(patients(dataset, splits["train"])) == 8
    assert len(patients(dataset, splits["val"])) == 2
    assert not patients(dataset, splits["train"]) & patients(dataset, splits["val"])
    assert sorted((*splits["train"], *splits["val"])) == [c for c in dataset.case_ids if c not in ("p8b", "p9b")]


def test_a_seed_draws_the_same_again_and_another_draws_otherwise(dataset):
    drawn = [draw_splits(dataset, {"val": 3}, seed)["val"] for seed in (0, 0, 1, 2)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 1


def test_a_count_is_of_patients_and_train_gets_the_rest(dataset):
    splits = draw_splits(dataset, {"val": 3, "test": 1}, seed=0)
    assert {name: len(patients(dataset, ids)) for name, ids in splits.items()} == {"val": 3, "test": 1, "train": 6}


def test_shares_that_sum_to_one_leave_nobody_out(dataset):
    splits = draw_splits(dataset, {"train": 0.55, "val": 0.25, "test": 0.2}, seed=0)
    assert sum(len(patients(dataset, ids)) for ids in splits.values()) == 10


def test_a_small_share_is_one_patient_at_least(dataset):
    splits = draw_splits(dataset, {"train": 0.99, "val": 0.01}, seed=0)
    assert {name: len(patients(dataset, ids)) for name, ids in splits.items()} == {"train": 9, "val": 1}


@pytest.mark.parametrize("wanted", [{"val": 10}, {"val": 11}, {"val": -1}, {"val": 2.5}])
def test_what_cannot_be_drawn_is_refused(wanted, dataset):
    with pytest.raises(UsageError):
        draw_splits(dataset, wanted, seed=0)


def test_a_patient_on_both_sides_is_refused_naming_patient_cases_and_splits():
    with pytest.raises(
        UsageError, match=r"patient 'p1' is on both sides: 'p1a' in split 'train', 'p1b' in split 'val'"
    ):
        check_splits({"train": ["p1a", "p2a"], "val": ["p1b"]}, {"p1a": "p1", "p1b": "p1", "p2a": "p2"})


def test_splits_json_is_honoured(make, image):
    root = make({"a/t1.nii": image, "b/t1.nii": image, "splits.json": {"train": ["a"], "val": ["b"]}})
    assert load_dataset(root).splits == {"train": ("a",), "val": ("b",)}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"train": ["a", "b"], "val": ["b"]}, "patient 'b' is on both sides"),
        ({"train": ["a", "c"]}, "split 'train' names the case 'c', which the data do not hold"),
        (["a"], r"splits\.json must map the name of each split"),
        ("{", r"cannot read .*splits\.json"),
    ],
)
def test_a_wrong_splits_json_is_refused(content, complaint, make, image):
    root = make({"a/t1.nii": image, "b/t1.nii": image, "splits.json": content})
    with pytest.raises(UsageError, match=complaint):
        load_dataset(root)
