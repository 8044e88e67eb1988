"""Calibration worked out by hand."""

import math

import numpy as np
import pytest

from zeusseg.metrics import brier_score, expected_calibration_error


def test_brier_is_the_mean_squared_error():
    assert brier_score([0.9, 0.2, 0.5], [1, 0, 1]) == pytest.approx((0.01 + 0.04 + 0.25) / 3)


def test_bins_are_weighted_by_their_size():
    # In (0.8, 0.9]: mean 0.85, half are true, gap 0.35. In (0.1, 0.2]: mean 0.2, none true, gap 0.2.
    assert expected_calibration_error([0.82, 0.88, 0.2], [1, 0, 0]) == pytest.approx((2 * 0.35 + 0.2) / 3)


def test_gaps_of_opposite_sign_cancel_within_a_bin_only():
    assert expected_calibration_error([0.55, 0.55], [0, 1], bins=10) == pytest.approx(0.05)
    assert expected_calibration_error([0.25, 0.75], [1, 0], bins=10) == pytest.approx(0.75)


def test_certainty_that_is_right_is_perfect_and_zero_and_one_have_a_bin():
    assert expected_calibration_error([0.0, 1.0, 1.0], [0, 1, 1]) == 0
    assert expected_calibration_error([0.0, 1.0], [1, 0]) == 1


def test_honest_probabilities_are_nearly_calibrated():
    random = np.random.default_rng(0)
    probabilities = random.random(200_000)
    assert expected_calibration_error(probabilities, random.random(200_000) < probabilities) < 0.01


def test_nothing_gives_nan():
    assert math.isnan(brier_score([], []))
    assert math.isnan(expected_calibration_error([], []))


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match="expected 0 to 1"):
        brier_score([1.2], [1])
    with pytest.raises(ValueError, match="one shape"):
        brier_score([0.2], [1, 0])
