"""Masks of other programs: label maps, one per case, are read as they are."""

import numpy as np
import pytest

from zeusseg.datasets import load_dataset
from zeusseg.errors import UsageError
from zeusseg.report import evaluate


@pytest.fixture
def label_maps(tmp_path, save_nifti):
    """What nnU-Net would write for the four cases: p1_a right, p1_b half of the lesion, nothing in the others."""
    folder = tmp_path / "nnunet_output"
    for case, along_x in (("p1_a", slice(2, 6)), ("p1_b", slice(2, 4)), ("p2_a", None), ("p3_a", None)):
        labels = np.zeros((8, 8, 4), np.uint8)
        if along_x is not None:
            labels[along_x, 3, 1] = 1
        if case == "p1_a":
            labels[2:4, 3, 1] = 2
        save_nifti(folder / f"{case}.nii.gz", labels)
    return folder


def test_label_maps_are_scored_without_conversion(label_maps, dataset, tmp_path):
    result = evaluate(label_maps, dataset, tmp_path / "out")
    dice = {(score.case, score.target): score.values["dice"] for score in result.scores}
    assert dice["p1_a", "lesion"] == 1  # values 1 and 2 together
    assert dice["p1_a", "core"] == 1
    assert dice["p1_b", "lesion"] == pytest.approx(2 * 2 / 6)
    assert result.targets["lesion"].misses == 1
    assert not result.failures
    assert not result.notices  # no prediction.json, and nothing to complain of


def test_a_corrupt_a_missing_and_a_misaligned_map_are_named_and_the_rest_is_scored(
    label_maps, dataset, tmp_path, save_nifti
):
    whole = (label_maps / "p1_a.nii.gz").read_bytes()
    (label_maps / "p1_a.nii.gz").write_bytes(whole[: len(whole) // 2])
    (label_maps / "p1_b.nii.gz").unlink()
    save_nifti(label_maps / "p2_a.nii.gz", np.ones((8, 8, 4), np.uint8), spacing=(1.0, 2.0, 5.0))
    result = evaluate(label_maps, dataset, tmp_path / "out", split_ids=["p1_a", "p1_b", "p2_a", "p3_a"])
    reasons = {failure.case: failure.reason for failure in result.failures}
    assert set(reasons) == {"p1_a", "p1_b", "p2_a"}
    assert "p1_a.nii.gz" in reasons["p1_a"]
    assert "no prediction of this case" in reasons["p1_b"]
    assert "1x2x5 mm" in reasons["p2_a"]
    assert "1x2x3 mm" in reasons["p2_a"]
    lesion = result.targets["lesion"]
    assert (lesion.target_free, lesion.failed) == (1, 3)
    misses = lesion.failures_as_misses["dice"].over_patients
    assert (misses.mean, misses.n_patients) == (0, 2)


def test_a_label_value_of_no_target_is_a_failure(label_maps, dataset, tmp_path, save_nifti):
    save_nifti(label_maps / "p2_a.nii.gz", np.full((8, 8, 4), 7, np.uint8))
    (failure,) = evaluate(label_maps, dataset, tmp_path / "out").failures
    assert failure.targets == ("lesion", "core")
    assert "label value 7 belongs to no target" in failure.reason


def test_a_value_that_the_data_set_lets_through_is_let_through_here_too(label_maps, data_folder, tmp_path, save_nifti):
    words = (data_folder / "targets.yaml").read_text()
    (data_folder / "targets.yaml").write_text(words + "ignore: [7]\n")
    labels = np.zeros((8, 8, 4), np.uint8)
    labels[2:6, 3, 1] = 1
    labels[0, 0, 0] = 7
    save_nifti(label_maps / "p2_a.nii.gz", labels)
    result = evaluate(label_maps, load_dataset(data_folder), tmp_path / "out")
    assert not result.failures
    assert [s.values["dice"] for s in result.scores if (s.case, s.target) == ("p2_a", "lesion")] == [1]


def test_a_folder_of_something_else_is_refused_with_what_is_there(dataset, tmp_path, save_nifti):
    save_nifti(tmp_path / "other" / "stranger.nii.gz", np.zeros((8, 8, 4), np.uint8))
    with pytest.raises(UsageError, match=r"stranger\.nii\.gz"):
        evaluate(tmp_path / "other", dataset, tmp_path / "out")


def test_probabilities_are_judged_where_they_were_written(predictions, dataset, tmp_path, save_nifti):
    stored = np.zeros((8, 8, 4), np.uint8)
    stored[2:6, 3, 1] = 204  # 0.8 in the four voxels of the lesion
    stored[6, 3, 1] = 51  # 0.2 beside it
    save_nifti(predictions / "p1_a" / "lesion_probability.nii.gz", stored)
    result = evaluate(predictions, dataset, tmp_path / "out")
    found = result.targets["lesion"].calibration
    assert found["ece"].n_cases == 1
    assert found["ece"].over_patients.mean == pytest.approx(0.2)
    assert found["brier"].over_patients.mean == pytest.approx(0.04)
    assert "p1,p1_a,lesion,brier,0.040000" in (tmp_path / "out" / "scores.csv").read_text()


def test_real_label_maps_of_nnunet_score_one(data, tmp_path):
    dataset = load_dataset(data / "Dataset027_ACDC")
    ids = [case_id for case_id in dataset.case_ids if case_id.startswith("patient009")]
    result = evaluate(data / "Dataset027_ACDC" / "labelsTr", dataset, tmp_path / "out", split_ids=ids)
    assert {name: found.predicted["dice"].over_patients.mean for name, found in result.targets.items()} == {
        "RV": 1, "MLV": 1, "LVC": 1,
    }  # fmt: skip
