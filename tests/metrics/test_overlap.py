"""Dice and IoU against numbers worked out by hand, and against MONAI, medpy and surface-distance."""

import math

import numpy as np
import pytest

from zeusseg.metrics import dice, iou, overlap

EMPTY = [False, False, False, False]
ONE = [True, False, False, False]
TWO = [True, True, False, False]
OTHER = [False, False, True, True]
FULL = [True, True, True, True]


@pytest.mark.parametrize(
    ("prediction", "reference", "expected_dice", "expected_iou"),
    [
        (TWO, TWO, 1.0, 1.0),
        (ONE, TWO, 2 / 3, 1 / 2),
        (TWO, ONE, 2 / 3, 1 / 2),
        (FULL, TWO, 2 / 3, 1 / 2),
        (OTHER, TWO, 0.0, 0.0),
        (EMPTY, TWO, 0.0, 0.0),  # a miss
        (EMPTY, EMPTY, math.nan, math.nan),  # rightly empty
        (TWO, EMPTY, math.nan, math.nan),  # a false mask: counted, never averaged
    ],
)
def test_overlap_of_masks_worked_out_by_hand(prediction, reference, expected_dice, expected_iou):
    masks = np.array(prediction), np.array(reference)
    assert dice(*masks) == pytest.approx(expected_dice, nan_ok=True)
    assert iou(*masks) == pytest.approx(expected_iou, nan_ok=True)


def test_masks_of_numbers_count_as_masks():
    # uint8 sums would overflow, and 255 & 1 is not 0: only "not zero" matters.
    assert dice(np.full(600, 255, np.uint8), np.ones(600, np.uint8)) == 1.0
    assert iou(np.full(600, 2, np.uint8), np.ones(600, np.uint8)) == 1.0


def test_masks_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 1\).*\(1, 2\).*one shape"):
        dice(np.ones((2, 1), bool), np.ones((1, 2), bool))


@pytest.mark.parametrize("seed", range(4))
def test_overlap_equals_three_independent_libraries(seed):
    import torch
    from medpy.metric import binary
    from monai.metrics import DiceMetric, MeanIoU
    from surface_distance import compute_dice_coefficient

    random = np.random.default_rng(seed)
    prediction, reference = random.random((9, 8, 7)) < 0.3, random.random((9, 8, 7)) < 0.5
    tensors = [torch.from_numpy(mask)[None, None].float() for mask in (prediction, reference)]

    assert dice(prediction, reference) == pytest.approx(binary.dc(prediction, reference))
    assert dice(prediction, reference) == pytest.approx(compute_dice_coefficient(reference, prediction))
    assert dice(prediction, reference) == pytest.approx(DiceMetric()(*tensors).item())
    assert iou(prediction, reference) == pytest.approx(binary.jc(prediction, reference))
    assert iou(prediction, reference) == pytest.approx(MeanIoU()(*tensors).item())
    found = overlap(prediction, reference)
    assert found.precision == pytest.approx(binary.precision(prediction, reference))
    assert found.recall == pytest.approx(binary.recall(prediction, reference))
    assert found.volume_difference / found.true == pytest.approx(binary.ravd(prediction, reference))
