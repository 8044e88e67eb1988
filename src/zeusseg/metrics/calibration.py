"""Whether probabilities mean what they say: of all that is called 80 % likely, 80 % should be so."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def brier_score(probabilities: ArrayLike, outcomes: ArrayLike) -> float:
    """The mean squared distance of probabilities (any shape) from outcomes (0 or 1); 0 is best, NaN for none.

    Source: Brier 1950, in its form for two classes, from 0 to 1. Raises `ValueError` where shapes differ, or a
    probability is not between 0 and 1.
    """
    forecast, outcome = _flat(probabilities, outcomes)
    return float(np.mean((forecast - outcome) ** 2)) if forecast.size else float("nan")


def expected_calibration_error(probabilities: ArrayLike, outcomes: ArrayLike, bins: int = 10) -> float:
    """How far the mean probability lies from the share of true outcomes, over bins of equal width, weighted by size.

    Each bin includes its upper edge. 0 is best, NaN for no values. Source: Naeini et al. 2015 (AAAI), of the positive
    class. Raises `ValueError` where shapes differ, or a probability is not between 0 and 1.
    """
    forecast, outcome = _flat(probabilities, outcomes)
    if not forecast.size:
        return float("nan")
    place = np.clip(np.ceil(forecast * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(place, forecast - outcome, minlength=bins)
    return float(np.abs(gaps).sum() / forecast.size)


def _flat(probabilities: ArrayLike, outcomes: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    forecast, outcome = np.asarray(probabilities, dtype=np.float64), np.asarray(outcomes, dtype=np.float64)
    if forecast.shape != outcome.shape:
        raise ValueError(f"probabilities {forecast.shape} and outcomes {outcome.shape} must have one shape")
    if forecast.size and not (forecast.min() >= 0 and forecast.max() <= 1):
        raise ValueError(f"probabilities lie between {forecast.min():g} and {forecast.max():g}: expected 0 to 1")
    return forecast.ravel(), outcome.ravel()
