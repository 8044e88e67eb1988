"""Comparing folders: paired by patient, said in a sentence, and honest about what failed."""

import csv
import json

import numpy as np
import pytest

from zeusseg.datasets import load_dataset
from zeusseg.errors import UsageError
from zeusseg.metrics import Definitions, PairedComparison
from zeusseg.report.compare import Pair, compare

PATIENTS = 12
TARGETS = "targets:\n  lesion: {values: [1]}\nmodalities: {t2: [t2]}\nlabel: [labels]\n"


@pytest.fixture
def twelve(tmp_path, save_nifti):
    """Twelve patients with a lesion of ten voxels in a row each."""
    random = np.random.default_rng(0)
    for number in range(PATIENTS):
        labels = np.zeros((16, 4, 3), np.uint8)
        labels[2:12, 1, 1] = 1
        save_nifti(tmp_path / "data" / f"p{number:02d}" / "labels.nii.gz", labels)
        image = random.integers(1, 90, labels.shape).astype(np.int16)
        save_nifti(tmp_path / "data" / f"p{number:02d}" / "t2.nii.gz", image)
    (tmp_path / "data" / "targets.yaml").write_text(TARGETS)
    return load_dataset(tmp_path / "data")


@pytest.fixture
def folder(tmp_path, save_nifti):
    def write(name, lengths):
        for number, length in enumerate(lengths):
            mask = np.zeros((16, 4, 3), np.uint8)
            mask[2 : 2 + length, 1, 1] = 1
            save_nifti(tmp_path / name / f"p{number:02d}" / "lesion.nii.gz", mask)
        return tmp_path / name

    return write


def dice(length):
    return 2 * length / (length + 10)


def test_the_better_one_is_named_with_its_difference_interval_and_n(twelve, folder, tmp_path):
    long, short = [8, 9] * 6, [5, 7] * 6
    result = compare([folder("good", long), folder("poor", short)], twelve, tmp_path / "out")
    (pair,) = result.pairs
    expected = np.mean([dice(a) - dice(b) for a, b in zip(long, short, strict=True)])
    assert pair.paired.difference == pytest.approx(expected)
    assert (pair.paired.effect, pair.paired.higher, pair.better) == (1, PATIENTS, "good")
    sentence = result.to_text().splitlines()[0]
    assert sentence.startswith(f"good is better than poor on lesion by {100 * expected:.1f} DSC points, 95 % interval ")
    assert "12 patients" in sentence


def test_the_order_of_the_folders_does_not_decide(twelve, folder, tmp_path):
    result = compare([folder("poor", [5, 7] * 6), folder("good", [8, 9] * 6)], twelve, tmp_path / "out")
    assert result.pairs[0].better == "good"
    assert "good is better than poor" in result.to_text()
    assert "interval -" not in result.to_text()


def test_no_difference_is_not_sold_as_one(twelve, folder, tmp_path):
    result = compare([folder("a", [8, 9, 7] * 4), folder("b", [9, 8, 7] * 4)], twelve, tmp_path / "out")
    assert result.pairs[0].better is None
    assert result.to_text().startswith("No difference between a and b is shown on lesion")


def test_three_folders_make_three_pairs_corrected_together(twelve, folder, tmp_path):
    folders = [folder("a", [9] * 12), folder("b", [8] * 12), folder("c", [5] * 12)]
    result = compare(folders, twelve, tmp_path / "out")
    assert [(pair.first, pair.second) for pair in result.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert all(pair.p_holm == pytest.approx(3 * pair.paired.p) for pair in result.pairs)


def test_smaller_distances_are_better(twelve, folder, tmp_path):
    folders = [folder("long", [8, 9] * 6), folder("short", [4, 6] * 6)]
    result = compare(folders, twelve, tmp_path / "out", metrics=["hd95_mm"])
    assert result.pairs[0].paired.difference < 0
    assert result.pairs[0].better == "long"
    assert "mm (hd95)" in result.pairs[0].sentence()


def test_failed_masks_are_left_out_once_and_count_as_misses_once(twelve, folder, tmp_path):
    long = folder("long", [9] * 12)
    short = folder("short", [6] * 12)
    (long / "p03" / "lesion.nii.gz").write_bytes(b"broken")
    result = compare([long, short], twelve, tmp_path / "out")
    (pair,), (with_failures,) = result.pairs, result.with_failures
    assert (pair.paired.n_patients, with_failures.paired.n_patients) == (11, 12)
    assert with_failures.paired.lower == 1
    assert "failed in long: p03" in result.to_text()


def test_files_hold_every_patient_and_every_number(twelve, folder, tmp_path):
    compare([folder("a", [9] * 12), folder("b", [8] * 12)], twelve, tmp_path / "out")
    with (tmp_path / "out" / "patients.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == PATIENTS
    assert float(rows[0]["a"]) == pytest.approx(dice(9), abs=1e-6)
    content = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert content["pairs"][0]["better"] == "a"
    assert content["pairs"][0]["n_patients"] == PATIENTS
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert page.count('class="dot') == 2 * PATIENTS
    assert "a is better than b" in page
    assert "http" not in page


def test_folders_of_one_name_are_told_apart(twelve, folder, tmp_path):
    result = compare([folder("x/masks", [9] * 12), folder("y/masks", [8] * 12)], twelve, tmp_path / "out")
    assert list(result.evaluations) == ["x/masks", "y/masks"]


def test_what_cannot_be_compared_is_refused(twelve, folder, tmp_path):
    one = folder("a", [9] * 12)
    with pytest.raises(UsageError, match="two or more"):
        compare([one], twelve, tmp_path / "out")
    with pytest.raises(UsageError, match="given twice"):
        compare([one, one], twelve, tmp_path / "out")
    with pytest.raises(UsageError, match="unknown metric 'dsc': expected some of dice"):
        compare([one, folder("b", [8] * 12)], twelve, tmp_path / "out", metrics=["dsc"])


def test_several_targets_are_compared_one_by_one_and_together(predict, dataset, tmp_path):
    predict("p1_a", "lesion", slice(2, 6))
    first = predict("p1_a", "core", slice(2, 4)).rename(tmp_path / "first")
    predict("p1_a", "lesion", slice(2, 4))
    second = predict("p1_a", "core", slice(2, 4)).rename(tmp_path / "second")
    result = compare([first, second], dataset, tmp_path / "out", split_ids=["p1_a"])
    found = {pair.target: pair.paired.difference for pair in result.pairs}
    assert found == pytest.approx({"lesion": 1 - 2 / 3, "core": 0, "all targets": (1 - 2 / 3) / 2})


def test_what_is_left_out_is_said(predict, dataset, data_folder, tmp_path, save_nifti):
    predict("p1_a", "lesion", slice(2, 6))
    predict("p1_b", "lesion", slice(2, 6))
    first = predict("p1_a", "core", slice(2, 4)).rename(tmp_path / "first")
    predict("p1_b", "lesion", slice(2, 4))
    second = predict("p1_a", "lesion", slice(2, 4)).rename(tmp_path / "second")
    save_nifti(data_folder / "p1_b" / "labels.nii.gz", np.full((8, 8, 4), 9, np.uint8))
    result = compare([first, second], dataset, tmp_path / "out", split_ids=["p1_a", "p1_b"])
    assert result.targets_left_out == ["core"]
    assert set(result.unscored) == {"p1_b"}
    for text in (result.to_text(), (tmp_path / "out" / "comparison.html").read_text()):
        assert "not every folder has it" in text
        assert "label value 9" in text
        assert "surface: border" in text
    assert "nan" not in result.pairs[0].sentence()  # one patient: no interval


def test_published_conventions_reach_the_comparison(predictions, predict, dataset, tmp_path):
    other = tmp_path / "other"
    predictions.rename(other)
    for case in ("p1_a", "p1_b", "p2_a", "p3_a"):
        predict(case, "lesion", None)
    result = compare([other, predictions], dataset, tmp_path / "out", definitions=Definitions(empty="one"))
    assert result.pairs[0].paired.n_patients == 3  # p3 has no lesion: an empty mask scores 1 there


@pytest.mark.parametrize(
    ("metric", "difference", "low", "high", "p", "better"),
    [
        ("dice", 0.02, 0.01, 0.03, 0.01, "A"),
        ("dice", -0.02, -0.03, -0.01, 0.01, "B"),
        ("hd95_mm", -2.0, -3.0, -1.0, 0.01, "A"),
        ("dice", 0.02, 0.01, 0.03, 0.06, None),  # the test does not say so
        ("dice", 0.02, -0.01, 0.05, 0.01, None),  # the interval does not say so
        ("dice", float("nan"), float("nan"), float("nan"), float("nan"), None),
    ],
)
def test_better_needs_the_test_and_the_interval(metric, difference, low, high, p, better):
    paired = PairedComparison(difference, low, high, p, 0.5, 3, 1, 4)
    assert Pair("A", "B", "lesion", metric, paired, p).better == better
