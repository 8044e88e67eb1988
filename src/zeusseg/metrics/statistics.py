"""Means of scores that say how sure they are. The patient is the unit: the cases of one are averaged first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 9999


@dataclass(frozen=True)
class Summary:
    """Mean, median and 95 % interval of the mean over patients; all NaN where there is no patient."""

    mean: float
    median: float
    low: float
    high: float
    n_patients: int


def summarize(patients: Sequence[str], values: Sequence[float], seed: int = 0) -> Summary:
    """Average the values of each patient, then describe the patients. NaN values (no reference) are left out.

    >>> found = summarize(["a", "a", "b"], [0.0, 1.0, 1.0])
    >>> found.mean, found.n_patients
    (0.75, 2)
    """
    grouped: dict[str, list[float]] = {}
    for patient, value in zip(patients, values, strict=True):
        if not np.isnan(value):
            grouped.setdefault(patient, []).append(value)
    means = [float(np.mean(group)) for group in grouped.values()]
    low, high = bootstrap_interval(means, seed=seed)
    return Summary(
        mean=float(np.mean(means)) if means else float("nan"),
        median=float(np.median(means)) if means else float("nan"),
        low=low,
        high=high,
        n_patients=len(means),
    )


def bootstrap_interval(values: Sequence[float], seed: int = 0, resamples: int = RESAMPLES) -> tuple[float, float]:
    """The 95 % interval of the mean, drawn with replacement over patients (bias-corrected and accelerated,
    Efron 1987).

    `values` has one number per patient. NaN on both sides for fewer than two: one patient says nothing of others.
    """
    from scipy.stats import bootstrap

    numbers = np.asarray(values, dtype=np.float64)
    if numbers.size < 2:
        return float("nan"), float("nan")
    if np.ptp(numbers) < 1e-12:
        # Acceleration divides by the spread; without any, the mean of every draw is the same.
        return float(numbers[0]), float(numbers[0])
    # Batches bound the memory: 9999 draws of a thousand patients are 80 MB at once.
    found = bootstrap(
        (numbers,), np.mean, n_resamples=resamples, method="BCa", batch=1000, rng=np.random.default_rng(seed)
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
