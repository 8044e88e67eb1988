"""Near-duplicates: copies are found though they are shifted, brighter or smaller; other patients are left alone."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from zeusseg.datasets import check_splits, find_leaks, load_dataset
from zeusseg.datasets.leaks import without_leaks
from zeusseg.datasets.phantom import write_phantoms
from zeusseg.datasets.similar import SimilarPair, find_similar, group_cases
from zeusseg.errors import UsageError
from zeusseg.report.leaks import write_leaks, write_mended

TARGETS = "targets:\n  spot: {values: [1]}\nmodalities: {us: [image]}\nlabel: [mask]\n"


def picture(seed):
    """A smooth random picture, unlike that of any other seed."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(120, 150)), 6)
    return ((noise - noise.min()) / np.ptp(noise) * 200 + 20).astype(np.uint8)


def save(root, case, array, spot):
    (root / case).mkdir(parents=True)
    Image.fromarray(array).save(root / case / "image.png")
    mask = np.zeros(array.shape, np.uint8)
    mask[spot : spot + 9, 4:30] = 1
    Image.fromarray(mask).save(root / case / "mask.png")


@pytest.fixture
def copies(tmp_path):
    """Eight different pictures, and of the first four a copy each: the same, brighter, shifted, made smaller."""
    root = tmp_path / "copies"
    for seed in range(8):
        save(root, f"p{seed}", picture(seed), 10)
    save(root, "p0_same", picture(0), 40)
    save(root, "p1_bright", np.clip(picture(1) * 1.15 + 9, 0, 255).astype(np.uint8), 10)
    save(root, "p2_shifted", np.roll(picture(2), (2, -3), axis=(0, 1)), 10)
    save(root, "p3_small", np.asarray(Image.fromarray(picture(3)).resize((90, 72))), 10)
    splits = {"train": [f"p{seed}" for seed in range(8)], "val": ["p0_same", "p1_bright", "p2_shifted", "p3_small"]}
    (root / "splits.json").write_text(json.dumps(splits))
    (root / "targets.yaml").write_text(TARGETS)
    return load_dataset(root)


def test_copies_are_found_and_nothing_else(copies):
    pairs, failures = find_similar(copies, copies.case_ids, progress=False)
    assert {(pair.first, pair.second) for pair in pairs} == {
        ("p0", "p0_same"), ("p1", "p1_bright"), ("p2", "p2_shifted"), ("p3", "p3_small"),
    }  # fmt: skip
    assert failures == {}


def test_only_the_same_values_are_identical_and_other_labels_of_them_are_said(copies):
    pairs, _ = find_similar(copies, copies.case_ids, progress=False)
    assert [(pair.second, pair.labels_differ) for pair in pairs if pair.identical] == [("p0_same", True)]
    text = find_leaks(copies, copies.splits, progress=False).to_text()
    assert "'p0' and 'p0_same' are the same image with different labels" in text


def test_pairs_across_splits_leak_and_pairs_within_one_do_not(copies):
    assert len(find_leaks(copies, copies.splits, progress=False).across) == 4
    within = find_leaks(copies, {"train": copies.case_ids}, progress=False)
    assert (len(within.pairs), within.leaks) == (4, False)


def test_a_patient_on_both_sides_is_named(copies):
    shared = replace(copies, patients={**copies.patients, "p7": "someone", "p1_bright": "someone"})
    leaks = find_leaks(shared, copies.splits, progress=False)
    assert leaks.shared_patients == {"someone": ("train", "val")}
    assert "patient 'someone' is in train and val" in leaks.to_text()


def test_a_picture_that_cannot_be_read_costs_only_itself(copies):
    (copies.root / "p4" / "image.png").write_bytes(b"no picture")
    leaks = find_leaks(copies, copies.splits, progress=False)
    assert set(leaks.unread) == {"p4"}
    assert len(leaks.across) == 4


def test_groups_link_patients_and_pairs_in_chains():
    pairs = [SimilarPair(a, b, 0, 1.0, False, False) for a, b in (("a", "b"), ("b", "c"))]
    patients = {"a": "1", "b": "2", "c": "3", "d": "3", "e": "4"}
    assert group_cases("abcde", patients, pairs) == {"a": "a", "b": "a", "c": "a", "d": "a", "e": "e"}
    assert group_cases("abcde", patients, []) == {"a": "a", "b": "b", "c": "c", "d": "c", "e": "e"}


def test_cleaned_splits_share_no_group_and_leave_cases_out_of_training_alone():
    groups = {"a": "1", "b": "1", "c": "2", "d": "3", "e": "3"}
    splits = {"train": ["a", "c", "d"], "val": ["b"], "test": ["e"]}
    assert without_leaks(splits, groups, "train") == {"train": ["c"], "val": ["b"], "test": ["e"]}
    with pytest.raises(UsageError, match="no split 'fit'"):
        without_leaks(splits, groups, "fit")
    with pytest.raises(UsageError, match="every case of 'train'"):
        without_leaks({"train": ["a"], "val": ["b"]}, groups, "train")


def test_what_is_written_can_be_read_and_mends_the_split(copies, tmp_path):
    out = tmp_path / "out"
    leaks = find_leaks(copies, copies.splits, progress=False)
    write_leaks(leaks, copies, copies.splits, out)
    assert write_mended(leaks, copies.splits, out, "train") == {"train": 4, "val": 0}
    with (out / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert (rows[0]["first"], rows[0]["split_of_first"], rows[0]["split_of_second"]) == ("p0", "train", "val")
    assert Image.open(out / "pairs.png").size[0] > 1000
    mended = load_dataset(copies.root, groups_file=out / "groups.json", splits_file=out / "splits.json")
    assert mended.splits == {
        "train": ("p4", "p5", "p6", "p7"), "val": ("p0_same", "p1_bright", "p2_shifted", "p3_small"),
    }  # fmt: skip
    assert not find_leaks(mended, mended.splits, progress=False).leaks
    with pytest.raises(UsageError, match="on both sides"):
        load_dataset(copies.root, groups_file=out / "groups.json")
    assert load_dataset(copies.root, groups_file=out / "groups.json", allow_leaks=True).patients["p0_same"] == "p0"


def test_a_copy_without_labels_is_not_labelled_differently(copies):
    (copies.root / "p0_same" / "mask.png").unlink()
    pairs, _ = find_similar(load_dataset(copies.root), ["p0", "p0_same"], progress=False)
    assert [(pair.identical, pair.labels_differ) for pair in pairs] == [(True, False)]


def test_no_cases_have_no_leaks(copies):
    assert not find_leaks(copies, {"train": [], "val": []}, progress=False).leaks


def test_groups_of_other_data_are_refused(copies, tmp_path):
    (tmp_path / "groups.json").write_text('{"stranger": "a"}')
    with pytest.raises(UsageError, match="names the case 'stranger'"):
        load_dataset(copies.root, groups_file=tmp_path / "groups.json")


def test_different_phantoms_do_not_look_alike(tmp_path):
    write_phantoms(tmp_path, 12, 3, regions=("brain", "abdomen"))
    dataset = load_dataset(tmp_path)
    assert find_similar(dataset, dataset.case_ids, progress=False)[0] == []


def test_real_ultrasound_holds_copies_across_its_published_split(data):
    dataset = load_dataset(data / "busi")
    leaks = find_leaks(dataset, dataset.splits, progress=False)
    assert len(leaks.across) >= 24
    assert any(
        pair.identical and pair.labels_differ and {"145_malignant", "433_benign"} == {pair.first, pair.second}
        for pair in leaks.pairs
    )
    cleaned = without_leaks(dataset.splits, leaks.groups, "train")
    check_splits(cleaned, leaks.groups)  # raises where a group is on both sides
    assert len(cleaned["val"]) == len(dataset.splits["val"])
    assert len(cleaned["train"]) > 0.9 * len(dataset.splits["train"])


def test_real_heart_patients_that_are_copies_are_found(data):
    dataset = load_dataset(data / "Dataset027_ACDC")
    ids = [case_id for case_id in dataset.case_ids if case_id.startswith(("patient07", "patient08"))]
    pairs, _ = find_similar(dataset, ids, progress=False)
    identical = {(pair.first, pair.second) for pair in pairs if pair.identical}
    assert ("patient074_frame01", "patient076_frame01") in identical
    strangers = [pair for pair in pairs if pair.first[:10] != pair.second[:10]]
    assert all({pair.first[:10], pair.second[:10]} == {"patient074", "patient076"} for pair in strangers)


def test_a_case_of_a_pool_stays_in_all_its_splits_or_leaves_all_that_are_trained_on():
    splits = {"train": ("a", "b", "c"), "test": ("x", "y"), "one-train": ("a", "b"), "two-train": ("c",),
              "one-test": ("x",), "two-test": ("y",)}  # fmt: skip
    groups = {case: case for case in "acxy"} | {"b": "x"}
    assert without_leaks(splits, groups, "train") == {
        "train": ["a", "c"], "test": ["x", "y"], "one-train": ["a"], "two-train": ["c"], "one-test": ["x"],
        "two-test": ["y"],
    }  # fmt: skip
