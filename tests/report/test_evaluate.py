"""`evaluate` from files to files: hand-computed scores, both means, and what becomes of bad input."""

import csv
import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest

from zeusseg.case import Target
from zeusseg.datasets import load_dataset
from zeusseg.errors import UsageError
from zeusseg.io import write_mask
from zeusseg.metrics import Definitions
from zeusseg.report import evaluate


def read_scores(out):
    with (out / "scores.csv").open(newline="") as file:
        return {(row["case"], row["target"], row["metric"]): row["value"] for row in csv.DictReader(file)}


def read_summary(out):
    return json.loads((out / "summary.json").read_text())


def test_scores_are_those_worked_out_by_hand(predictions, dataset, tmp_path):
    evaluate(predictions, dataset, tmp_path / "out")
    found = read_scores(tmp_path / "out")
    dice = [float(found[case, "lesion", "dice"]) for case in ("p1_a", "p1_b", "p2_a", "p3_a")]
    assert dice == pytest.approx([1, 2 * 2 / (2 + 4), 0, math.nan], nan_ok=True, abs=1e-6)
    assert float(found["p1_b", "lesion", "iou"]) == pytest.approx(0.5)
    # The two voxels that p1_b lacks are 1 and 2 mm away along x: distances 0, 0 one way and 0, 0, 1, 2 the other.
    assert float(found["p1_b", "lesion", "hd95_mm"]) == pytest.approx(1.85)
    assert float(found["p1_b", "lesion", "nsd_2mm"]) == pytest.approx(1.0)
    # A miss: the diagonal of 8 x 16 x 12 mm.
    assert float(found["p2_a", "lesion", "hd95_mm"]) == pytest.approx(math.sqrt(64 + 256 + 144), abs=1e-5)
    assert found["p3_a", "lesion", "nsd_2mm"] == "nan"
    assert (found["p1_b", "lesion", "predicted_voxels"], found["p1_b", "lesion", "reference_voxels"]) == ("2", "4")
    assert float(found["p3_a", "lesion", "presence"]) == pytest.approx(0.7)


def test_the_table_has_the_columns_of_the_contract_and_the_patients(predictions, dataset, tmp_path):
    evaluate(predictions, dataset, tmp_path / "out")
    lines = (tmp_path / "out" / "scores.csv").read_text().splitlines()
    assert lines[0] == "patient,case,target,metric,value"
    assert lines[1] == "p1,p1_a,lesion,dice,1.000000"


def test_the_summary_averages_patients_and_counts_what_means_hide(predictions, dataset, tmp_path):
    evaluate(predictions, dataset, tmp_path / "out")
    summary = read_summary(tmp_path / "out")
    lesion = summary["targets"]["lesion"]
    dice = lesion["predicted"]["dice"]
    assert dice["mean"] == pytest.approx(((1 + 2 / 3) / 2 + 0) / 2)  # p1 has two cases, p3 no reference
    assert (dice["n_patients"], dice["n_cases"]) == (2, 3)
    assert dice["interval_95"][0] <= dice["mean"] <= dice["interval_95"][1]
    assert (lesion["misses"], lesion["with_reference"]) == (1, 3)
    assert (lesion["false_masks"], lesion["target_free"]) == (1, 1)
    assert lesion["failed"] == 0
    assert summary["unit"] == "mm"
    assert (summary["n_cases"], summary["n_patients"]) == (4, 3)


def test_a_target_that_nobody_predicted_is_named_and_not_scored(predictions, dataset, tmp_path):
    evaluate(predictions, dataset, tmp_path / "out")
    summary = read_summary(tmp_path / "out")
    assert list(summary["targets"]) == ["lesion"]
    assert summary["not_predicted"] == ["core"]


def test_several_targets_are_averaged_within_the_patient(predictions, predict, dataset, tmp_path):
    predict("p1_a", "core", None)
    result = evaluate(predictions, dataset, tmp_path / "out", split_ids=["p1_a"])
    assert result.targets["core"].misses == 1
    assert result.overall.predicted["dice"].over_patients.mean == pytest.approx((1 + 0) / 2)
    assert (result.overall.with_reference, result.overall.misses) == (2, 1)


def test_a_missing_case_is_listed_and_both_means_are_given(predictions, dataset, tmp_path):
    shutil.rmtree(predictions / "p2_a")
    result = evaluate(predictions, dataset, tmp_path / "out")
    lesion = read_summary(tmp_path / "out")["targets"]["lesion"]
    assert lesion["predicted"]["dice"]["mean"] == pytest.approx((1 + 2 / 3) / 2)
    assert lesion["with_failures_as_misses"]["dice"]["mean"] == pytest.approx((1 + 2 / 3) / 2 / 2)
    assert lesion["with_failures_as_misses"]["dice"]["n_patients"] == 2
    assert (lesion["failed"], lesion["misses"]) == (1, 0)
    (failure,) = result.failures
    assert (failure.case, failure.targets) == ("p2_a", ("lesion",))
    assert "no prediction of this case" in failure.reason
    assert ("p2_a", "lesion", "dice") not in read_scores(tmp_path / "out")


def test_a_case_missing_for_several_targets_is_listed_once(predictions, predict, dataset, tmp_path):
    predict("p1_a", "core", slice(2, 4))
    shutil.rmtree(predictions / "p2_a")
    result = evaluate(predictions, dataset, tmp_path / "out", split_ids=["p1_a", "p2_a"])
    assert [(found.case, found.targets) for found in result.failures] == [("p2_a", ("lesion", "core"))]


def test_bad_masks_fail_with_their_reason_while_the_rest_goes_on(predictions, dataset, tmp_path, save_nifti):
    save_nifti(predictions / "p1_a" / "lesion.nii.gz", np.ones((5, 5, 5), np.uint8))
    whole = (predictions / "p1_b" / "lesion.nii.gz").read_bytes()
    (predictions / "p1_b" / "lesion.nii.gz").write_bytes(whole[: len(whole) // 2])
    result = evaluate(predictions, dataset, tmp_path / "out")
    reasons = {failure.case: failure.reason for failure in result.failures}
    assert set(reasons) == {"p1_a", "p1_b"}
    assert "5x5x5" in reasons["p1_a"]
    assert "8x8x4" in reasons["p1_a"]
    assert "lesion.nii.gz" in reasons["p1_b"]
    assert result.targets["lesion"].predicted["dice"].n_cases == 1


@pytest.mark.parametrize("content", ["{broken", "[]", '{"targets": {"lesion": 3}}', None])
def test_a_bad_prediction_json_costs_the_words_not_the_score(predictions, dataset, tmp_path, content):
    path = predictions / "p1_a" / "prediction.json"
    path.unlink() if content is None else path.write_text(content)
    result = evaluate(predictions, dataset, tmp_path / "out")
    assert result.targets["lesion"].predicted["dice"].n_cases == 3
    (notice,) = result.notices
    assert "p1_a" in notice


def test_a_case_with_a_broken_image_counts_as_a_miss_by_its_labels(predictions, data_folder, tmp_path):
    (data_folder / "p2_a" / "t2.nii.gz").write_bytes(b"not an image")
    shutil.rmtree(predictions / "p2_a")
    result = evaluate(predictions, load_dataset(data_folder), tmp_path / "out")
    assert [failure.case for failure in result.failures] == ["p2_a"]
    assert result.targets["lesion"].failures_as_misses["dice"].over_patients.n_patients == 2
    assert not result.unscored


def test_labels_of_255_count_as_masks_too_where_an_image_is_broken(predictions, data_folder, tmp_path):
    (data_folder / "p1_a" / "t2.nii.gz").write_bytes(b"not an image")
    as_masks = replace(load_dataset(data_folder), labels_are_masks=True, targets=(Target("lesion", (1,)),))
    result = evaluate(predictions, as_masks, tmp_path / "out", split_ids=["p1_a"])
    assert result.scores[0].reference_voxels == 4  # two voxels of value 1 and two of value 2, which become 1


def test_a_mask_is_scored_though_an_image_of_its_case_is_broken(predictions, data_folder, tmp_path):
    (data_folder / "p1_a" / "t1.nii.gz").write_bytes(b"not an image")
    evaluate(predictions, load_dataset(data_folder), tmp_path / "out")
    assert float(read_scores(tmp_path / "out")["p1_a", "lesion", "dice"]) == 1
    assert "images of this case could not be read" in (tmp_path / "out" / "report.html").read_text()


def test_a_case_without_usable_labels_is_in_no_mean_and_said_so(predictions, data_folder, tmp_path):
    (data_folder / "p1_a" / "labels.nii.gz").write_bytes(b"not an image")
    result = evaluate(predictions, load_dataset(data_folder), tmp_path / "out")
    assert list(result.unscored) == ["p1_a"]
    assert "labels.nii.gz" in result.unscored["p1_a"]
    assert result.targets["lesion"].failures_as_misses["dice"].n_cases == 2
    assert read_summary(tmp_path / "out")["unscored"][0]["case"] == "p1_a"


def test_distances_are_in_voxels_where_the_spacing_is_unknown(predictions, data_folder, tmp_path):
    path = data_folder / "targets.yaml"
    path.write_text(path.read_text() + "spacing: unknown\n")
    evaluate(predictions, load_dataset(data_folder), tmp_path / "out")
    found = read_scores(tmp_path / "out")
    assert float(found["p2_a", "lesion", "hd95_voxels"]) == pytest.approx(math.sqrt(64 + 64 + 16))
    assert ("p2_a", "lesion", "nsd_2voxels") in found
    assert "mm" not in {metric for _, _, metric in found}
    assert read_summary(tmp_path / "out")["unit"] == "voxels"


def test_only_the_cases_of_the_split_are_scored(predictions, dataset, tmp_path):
    result = evaluate(predictions, dataset, tmp_path / "out", split_ids=["p1_b"])
    assert {score.case for score in result.scores} == {"p1_b"}


def test_the_same_predictions_give_the_same_files(predictions, dataset, tmp_path):
    for out in ("one", "two"):
        evaluate(predictions, dataset, tmp_path / out)
    for name in ("scores.csv", "summary.json", "report.html"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_text_for_the_terminal_names_every_n_and_every_failure(predictions, dataset, tmp_path):
    shutil.rmtree(predictions / "p2_a")
    text = evaluate(predictions, dataset, tmp_path / "out").to_text()
    assert "n = 1 patients, 2 cases" in text
    assert "false masks 1 of 1" in text
    assert "failed: p2_a:" in text
    assert "nan" not in text


def test_nothing_to_score_is_a_usage_error_that_says_what_is_there(predictions, dataset, tmp_path):
    with pytest.raises(UsageError, match="no folder"):
        evaluate(tmp_path / "nowhere", dataset, tmp_path / "out")
    with pytest.raises(UsageError, match=r"no case 'p9'.*'p1_a'"):
        evaluate(predictions, dataset, tmp_path / "out", split_ids=["p9"])
    for folder in predictions.iterdir():
        (folder / "lesion.nii.gz").rename(folder / "text.nii.gz")
    with pytest.raises(UsageError, match=r"no mask of 'lesion', 'core'.*text\.nii\.gz"):
        evaluate(predictions, dataset, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_failed_mask_of_a_target_free_case_is_not_rewarded(predictions, dataset, tmp_path):
    shutil.rmtree(predictions / "p3_a")
    result = evaluate(predictions, dataset, tmp_path / "out", definitions=Definitions(empty="one"))
    lesion = result.targets["lesion"]
    assert lesion.predicted["dice"].over_patients.n_patients == 2
    misses = lesion.failures_as_misses["dice"].over_patients
    assert (misses.mean, misses.n_patients) == (pytest.approx(((1 + 2 / 3) / 2 + 0 + 0) / 3), 3)


def test_two_empty_masks_score_one_where_that_is_asked_for(predictions, predict, dataset, tmp_path):
    predict("p3_a", "lesion", None)
    result = evaluate(predictions, dataset, tmp_path / "out", definitions=Definitions(empty="one"))
    assert result.targets["lesion"].predicted["dice"].over_patients.mean == pytest.approx((5 / 6 + 0 + 1) / 3)
    assert "--empty one" in result.to_text()
    assert "--empty one" in (tmp_path / "out" / "report.html").read_text()
    assert read_summary(tmp_path / "out")["empty"] == "one"


def test_labels_of_a_value_without_a_target_are_no_reference(predictions, data_folder, tmp_path, save_nifti):
    save_nifti(data_folder / "p2_a" / "labels.nii.gz", np.full((8, 8, 4), 4, np.uint8))
    result = evaluate(predictions, load_dataset(data_folder), tmp_path / "out")
    assert set(result.unscored) == {"p2_a"}
    assert "label value 4 belongs to no target" in result.unscored["p2_a"]
    assert result.targets["lesion"].false_masks == 1


def test_broken_probabilities_cost_the_calibration_not_the_mask(predictions, dataset, tmp_path, save_nifti):
    save_nifti(predictions / "p1_a" / "lesion_probability.nii.gz", np.zeros((3, 3, 3), np.uint8))
    result = evaluate(predictions, dataset, tmp_path / "out")
    assert not result.failures
    assert result.targets["lesion"].predicted["dice"].n_cases == 3
    (notice,) = result.notices
    assert "probabilities left out" in notice
    assert "3x3x3" in notice


@pytest.mark.parametrize("presence", [1.2, -0.1, math.nan])
def test_a_presence_that_is_no_probability_is_said_and_not_used(predictions, predict, dataset, tmp_path, presence):
    predict("p1_a", "lesion", slice(2, 6), presence)
    result = evaluate(predictions, dataset, tmp_path / "out")
    assert result.targets["lesion"].presence.n == 3
    assert "is not between 0 and 1" in result.notices[0]


def test_calibration_and_rates_of_presence_are_those_worked_out_by_hand(predictions, dataset, tmp_path):
    lesion = evaluate(predictions, dataset, tmp_path / "out").targets["lesion"]
    # Presences 0.9, 0.8 and 0.1 where the lesion is, 0.7 where it is not.
    assert lesion.presence.brier == pytest.approx((0.1**2 + 0.2**2 + 0.9**2 + 0.7**2) / 4)
    assert lesion.presence.ece == pytest.approx((0.1 + 0.2 + 0.9 + 0.7) / 4)
    assert (lesion.sensitivity, lesion.false_mask_rate) == (pytest.approx(2 / 3), 1)


def test_labels_that_no_case_has_are_a_usage_error(predictions, data_folder, tmp_path):
    for path in data_folder.glob("*/labels.nii.gz"):
        path.write_bytes(b"not an image")
    with pytest.raises(UsageError, match=r"no case of .* could be scored.*labels\.nii\.gz"):
        evaluate(predictions, load_dataset(data_folder), tmp_path / "out")


def test_real_patients_predicted_by_their_own_masks_score_one(data, tmp_path):
    dataset = load_dataset(data / "lgg")
    case_ids = dataset.splits["missing_modality"]
    for case_id in case_ids:
        case = dataset.read(case_id)
        write_mask(tmp_path / "predictions" / case_id / "lesion", case.mask(dataset.targets[0]), case.reference)
    result = evaluate(tmp_path / "predictions", dataset, tmp_path / "out", split_ids=case_ids)
    means = {metric: found.over_patients.mean for metric, found in result.overall.predicted.items()}
    assert means == {
        "dice": 1, "iou": 1, "precision": 1, "recall": 1, "hd95_voxels": 0, "assd_voxels": 0, "nsd_2voxels": 1,
        "volume_difference_voxels": 0, "lesion_f1": 1, "lesion_dice": 1,
    }  # fmt: skip
    assert (tmp_path / "out" / "report.html").stat().st_size < 6e6


def test_real_pictures_are_scored_and_normal_ones_are_free_of_the_target(data, tmp_path):
    dataset = load_dataset(data / "busi")
    normal = next(case for case in dataset.case_ids if "normal" in case)
    benign = next(case for case in dataset.case_ids if "benign" in case)
    case_ids = [normal, benign]
    for case_id in case_ids:
        reference = dataset.read(case_id).reference
        write_mask(tmp_path / "predictions" / case_id / "breast tumor", np.ones(reference.shape, bool), reference)
    result = evaluate(tmp_path / "predictions", dataset, tmp_path / "out", split_ids=case_ids)
    assert (result.overall.false_masks, result.overall.target_free, result.overall.with_reference) == (1, 1, 1)
