"""Lesions counted by hand."""

import math

import numpy as np
import pytest

from zeusseg.metrics import lesion_scores


def line(*cells, length=20):
    mask = np.zeros((length, 3, 3), bool)
    mask[list(cells), 1, 1] = True
    return mask


def test_found_missed_and_false_lesions():
    reference = line(0, 1, 5, 6, 7, 12)  # three lesions of 2, 3 and 1 voxels
    prediction = line(1, 5, 6, 7, 8, 15, 18, 19)  # touches the first two; two false ones
    found = lesion_scores(prediction, reference)
    assert (found.found, found.missed, found.false) == (2, 1, 2)
    assert found.dice_of_found == pytest.approx((2 * 1 / 3, 2 * 3 / 7))
    assert found.f1 == pytest.approx(2 * 2 / (2 * 2 + 1 + 2))
    assert found.dice == pytest.approx((2 / 3 + 6 / 7) / 5)


def test_one_prediction_over_two_lesions_finds_both_and_outlines_neither_well():
    found = lesion_scores(line(*range(9)), line(0, 1, 7, 8))
    assert (found.found, found.missed, found.false) == (2, 0, 0)
    assert found.dice_of_found == pytest.approx((4 / 11, 4 / 11))


def test_pieces_that_touch_one_lesion_outline_it_together():
    found = lesion_scores(line(0, 1, 4, 5), line(*range(6)))
    assert (found.found, found.false) == (1, 0)
    assert found.dice == pytest.approx(2 * 4 / 10)


def test_corners_connect():
    reference = np.zeros((4, 4, 4), bool)
    reference[0, 0, 0] = reference[1, 1, 1] = True
    assert lesion_scores(reference, reference).found == 1
    flat = reference.any(axis=2)
    assert lesion_scores(flat, flat).found == 1
    assert lesion_scores(flat[:, :, None], flat[:, :, None]).found == 1


def test_empty_masks():
    nothing, something = line(), line(3)
    assert math.isnan(lesion_scores(something, nothing).f1)
    assert math.isnan(lesion_scores(nothing, nothing).dice)
    assert lesion_scores(something, nothing).false == 1
    missed = lesion_scores(nothing, something)
    assert (missed.missed, missed.f1, missed.dice) == (1, 0.0, 0.0)


def test_different_shapes_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        lesion_scores(line(), line(length=5))


@pytest.mark.parametrize("seed", range(3))
def test_components_are_those_that_scipy_finds(seed):
    from scipy.ndimage import label

    random = np.random.default_rng(seed)
    reference, prediction = random.random((2, 12, 12, 12)) < 0.03
    true, count = label(reference, np.ones((3, 3, 3)))
    found = lesion_scores(prediction, reference)
    assert found.found == len(np.unique(true[prediction & reference]))
    assert found.found + found.missed == count
