"""What counts as a miss and as a false mask, and what is read of prediction.json."""

import json

import pytest

from zeusseg.metrics import Definitions
from zeusseg.report.scoring import Score, metric_names, read_prediction_record


@pytest.mark.parametrize(
    ("reference", "predicted", "failure", "missed", "false_mask"),
    [
        (5, 4, None, False, False),
        (5, 0, None, True, False),
        (5, 0, "no mask", False, False),  # a failure is counted apart
        (0, 0, None, False, False),
        (0, 4, None, False, True),
    ],
)
def test_misses_and_false_masks(reference, predicted, failure, missed, false_mask):
    score = Score("p", "c", "lesion", {}, reference, predicted, failure=failure)
    assert (score.missed, score.false_mask) == (missed, false_mask)


def test_metric_names_carry_their_unit():
    definitions = Definitions(tolerances=(1, 2.5))
    assert list(metric_names(True, definitions).values()) == [
        "dice", "iou", "precision", "recall", "hd95_mm", "assd_mm", "nsd_1mm", "nsd_2.5mm", "volume_difference_ml",
        "lesion_f1", "lesion_dice",
    ]  # fmt: skip
    in_voxels = list(metric_names(False, definitions).values())
    assert in_voxels[4:9] == ["hd95_voxels", "assd_voxels", "nsd_1voxels", "nsd_2.5voxels", "volume_difference_voxels"]


def test_prediction_json_is_read_and_what_it_leaves_out_is_unknown(tmp_path):
    content = {
        "case": "c",
        "modalities_used": ["t1", "t2"],
        "targets": {
            "lesion": {"presence": 0.25, "empty_reason": None, "instruction": "find it", "findings": {"t1": "dark"}},
            "liver": {"empty_reason": "the run knows no liver"},
        },
    }
    (tmp_path / "prediction.json").write_text(json.dumps(content))
    record = read_prediction_record(tmp_path)
    assert record.problem is None
    assert record.modalities_used == ("t1", "t2")
    lesion, liver = record.target("lesion"), record.target("liver")
    assert (lesion.presence, lesion.instruction, lesion.findings) == (0.25, "find it", {"t1": "dark"})
    assert (liver.presence, liver.instruction, liver.empty_reason) == (None, "", "the run knows no liver")
    assert record.target("spleen").instruction == ""
