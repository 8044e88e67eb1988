"""Paired comparison and Holm's correction, by hand and against scipy; the intervals' coverage, by simulation."""

import math

import numpy as np
import pytest
from scipy.stats import wilcoxon

from zeusseg.metrics import bootstrap_interval, compare_paired, holm


def test_differences_are_those_of_the_same_patient():
    found = compare_paired([0.9, 0.8, 0.7, 0.5], [0.8, 0.9, 0.5, 0.5])
    # +0.1, -0.1, +0.2, 0: ranks of those that differ are 1.5, 1.5 and 3.
    assert found.difference == pytest.approx(0.05)
    assert (found.higher, found.lower, found.n_patients) == (2, 1, 4)
    assert found.effect == pytest.approx((1.5 + 3 - 1.5) / 6)


def test_p_is_scipys_wilcoxon_signed_rank():
    random = np.random.default_rng(0)
    first, second = random.random(24), random.random(24)
    assert compare_paired(first, second).p == pytest.approx(wilcoxon(first, second).pvalue)


def test_exchanging_the_two_turns_the_signs():
    random = np.random.default_rng(1)
    first, second = random.random(15), random.random(15)
    one, other = compare_paired(first, second), compare_paired(second, first)
    assert (one.difference, one.effect, one.p) == pytest.approx((-other.difference, -other.effect, other.p))
    assert one.low == pytest.approx(-other.high, abs=0.01)


def test_patients_without_a_reference_are_left_out():
    assert compare_paired([0.9, math.nan, 0.5], [0.8, 0.3, math.nan]).n_patients == 1


def test_no_difference_at_all_is_no_evidence():
    found = compare_paired([0.5, 0.6], [0.5, 0.6])
    assert (found.difference, found.p, found.effect) == (0, 1, 0)


def test_no_patients_give_no_numbers():
    found = compare_paired([], [])
    assert found.n_patients == 0
    assert math.isnan(found.difference)
    assert math.isnan(found.p)


def test_unequal_numbers_of_patients_are_refused():
    with pytest.raises(ValueError, match="2 and 1 values cannot be paired"):
        compare_paired([1, 2], [1])


@pytest.mark.parametrize(
    ("given", "corrected"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # 3 x 0.01; 2 x 0.03; 1 x 0.04, raised to the one before
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.02, math.nan], [0.02, math.nan]),
        ([], []),
    ],
)
def test_holm_steps_down(given, corrected):
    assert holm(given) == pytest.approx(corrected, nan_ok=True)


@pytest.mark.parametrize("patients", [10, 25])
def test_intervals_cover_the_truth_nearly_as_often_as_they_say(patients):
    """Dice-like scores, skewed downwards: Beta(8, 2), mean 0.8. The BCa interval is known to be a little narrow for
    few patients; 300 data sets tell shares of 0.95 and 0.90 apart."""
    random = np.random.default_rng(0)
    covered = []
    for _ in range(300):
        low, high = bootstrap_interval(random.beta(8, 2, patients).tolist(), resamples=999)
        covered.append(low <= 0.8 <= high)
    assert {10: 0.86, 25: 0.90}[patients] < np.mean(covered) < 0.98
