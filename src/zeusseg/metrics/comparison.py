"""Whether one of two is better on the same patients: a difference with its interval, a test, and an effect size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeusseg.metrics.statistics import bootstrap_interval


@dataclass(frozen=True)
class PairedComparison:
    """First less second over the same patients.

    `difference` is the mean of the patients' differences and `low`, `high` its 95 % interval (BCa bootstrap over
    patients). `p` is that of the Wilcoxon signed-rank test, two-sided. `effect` is the matched-pairs rank-biserial
    correlation: 1 where the first is higher for every patient, -1 where the second is, 0 for neither. `higher` and
    `lower` count the patients for whom the first is.
    """

    difference: float
    low: float
    high: float
    p: float
    effect: float
    higher: int
    lower: int
    n_patients: int


def compare_paired(first: Sequence[float], second: Sequence[float], seed: int = 0) -> PairedComparison:
    """Compare two numbers per patient, in the same order of patients; NaN on either side leaves the patient out.

    Patients without any difference carry no sign: the test drops them (Wilcoxon's own way), the mean keeps them.
    Everything is NaN without patients, and the interval with one. Raises `ValueError` where the lengths differ.
    """
    from scipy.stats import wilcoxon

    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} values cannot be paired: expected one of each per patient")
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    differences = differences[~np.isnan(differences)]
    # Differences of averages that ought to be equal may be off in the last digit; they are ties.
    differences[np.abs(differences) < 1e-12] = 0.0
    signed = differences[differences != 0]
    if not len(differences):
        nan = float("nan")
        return PairedComparison(nan, nan, nan, nan, nan, 0, 0, 0)
    low, high = bootstrap_interval(differences.tolist(), seed=seed)
    return PairedComparison(
        difference=float(differences.mean()),
        low=low,
        high=high,
        p=float(wilcoxon(signed).pvalue) if len(signed) else 1.0,
        effect=_rank_biserial(signed),
        higher=int((differences > 0).sum()),
        lower=int((differences < 0).sum()),
        n_patients=len(differences),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected for their number by Holm's step-down method (1979); NaN stay, and are not counted.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p_values, dtype=np.float64)
    corrected = given.copy()
    order = [int(place) for place in np.argsort(given) if not np.isnan(given[place])]
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, float(given[place]) * (len(order) - rank)))
        corrected[place] = largest
    return [float(p) for p in corrected]


def _rank_biserial(signed: NDArray[np.float64]) -> float:
    """Ranks of positive differences less those of negative ones, over all (Kerby 2014); 0 without differences."""
    from scipy.stats import rankdata

    if not len(signed):
        return 0.0
    ranks = rankdata(np.abs(signed))
    return float((ranks * np.sign(signed)).sum() / ranks.sum())
