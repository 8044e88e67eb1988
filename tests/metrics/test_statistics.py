"""Means over patients and their intervals, with patients worked out by hand."""

import math

import numpy as np
import pytest

from zeusseg.metrics import bootstrap_interval, summarize


def test_cases_of_a_patient_are_averaged_before_patients_are():
    found = summarize(["a", "a", "a", "b", "c"], [0.0, 0.3, 0.6, 0.9, 0.6])
    # patients: a 0.3, b 0.9, c 0.6
    assert (found.mean, found.median) == (pytest.approx(0.6), pytest.approx(0.6))
    assert found.n_patients == 3


def test_values_without_a_reference_are_left_out_and_not_counted():
    found = summarize(["a", "a", "b"], [0.4, math.nan, math.nan])
    assert found.mean == pytest.approx(0.4)
    assert found.n_patients == 1


def test_no_patient_gives_nan_instead_of_a_number():
    found = summarize(["a"], [math.nan])
    assert found.n_patients == 0
    assert all(math.isnan(value) for value in (found.mean, found.median, found.low, found.high))


def test_one_patient_has_no_interval():
    assert all(math.isnan(bound) for bound in bootstrap_interval([0.7]))


def test_patients_who_agree_leave_no_doubt():
    assert bootstrap_interval([0.7, 0.7, 0.7]) == (0.7, 0.7)


def test_the_interval_is_that_of_the_mean_of_many_patients():
    values = np.random.default_rng(0).normal(0.8, 0.1, 400)
    low, high = bootstrap_interval(values.tolist())
    half_width = 1.96 * values.std(ddof=1) / math.sqrt(400)  # the normal approximation, good at 400
    assert low == pytest.approx(values.mean() - half_width, abs=1e-3)
    assert high == pytest.approx(values.mean() + half_width, abs=1e-3)


def test_one_bad_patient_stretches_the_interval_downwards():
    values = [0.9] * 9 + [0.1]
    low, high = bootstrap_interval(values)
    mean = float(np.mean(values))
    assert low < mean < high <= 0.9
    assert mean - low > high - mean


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(1).random(30).tolist()
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)
