"""Whether probabilities mean what they say (of all that is called 80 % likely, 80 % should be so), and making them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Logits beyond this say no more than "sure", and in single precision a probability has none beyond 17.
LARGEST_LOGIT = 14.0
# Of standardised logits. Below it, the answers would all be given one probability or be turned round.
LEAST_SCALE = 1e-3


@dataclass(frozen=True)
class Calibration:
    """From logits to probabilities: the sigmoid of `scale` * logit + `shift`, as Platt 1999 has it.

    It was fitted on `n` answers, `positives` of them true. `scale` is above 0, so what was likelier stays likelier.
    """

    scale: float
    shift: float
    n: int
    positives: int

    def probabilities(self, logits: ArrayLike) -> NDArray[np.float64]:
        """The calibrated probabilities of logits of any shape."""
        from scipy.special import expit

        found: NDArray[np.float64] = expit(self.scale * np.asarray(logits, dtype=np.float64) + self.shift)
        return found


def fit_calibration(logits: ArrayLike, present: ArrayLike) -> Calibration:
    """Fit `Calibration` to logits (n,) and outcomes (n,), 0 or 1, by cross-entropy.

    Outcomes are drawn in to (n1 + 1) / (n1 + 2) and 1 / (n0 + 2), where n1 are true and n0 are not, so that kinds which
    a threshold separates perfectly give finite numbers. Sources: Platt 1999, "Probabilistic outputs for support vector
    machines"; for the loss in a form that does not overflow, Lin, Lin and Weng 2007, "A note on Platt's probabilistic
    outputs". Raises `ValueError` where shapes differ, a logit is not finite, or one kind is missing.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    values, outcomes = np.asarray(logits, dtype=np.float64), np.asarray(present, dtype=bool)
    if values.ndim != 1 or values.shape != outcomes.shape:
        raise ValueError(f"logits {values.shape} and outcomes {outcomes.shape} must be two lists of one length")
    if not np.isfinite(values).all():
        raise ValueError("a logit is not finite: probabilities of exactly 0 or 1 have none (`logits_of` limits them)")
    positives = int(outcomes.sum())
    negatives = len(outcomes) - positives
    if not positives or not negatives:
        raise ValueError(f"{positives} of {len(outcomes)} outcomes are true: a calibration needs both kinds")
    drawn_in = np.where(outcomes, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    centre, spread = float(values.mean()), float(values.std())
    spread = spread if spread > 1e-9 else 1.0
    standard = (values - centre) / spread

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = parameters[0] * standard + parameters[1]
        gap = expit(margin) - drawn_in
        cross_entropy = float(np.mean(np.logaddexp(0.0, margin) - drawn_in * margin))
        return cross_entropy, np.array([np.mean(gap * standard), np.mean(gap)])

    found = minimize(
        loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(LEAST_SCALE, None), (None, None)],
        options={"ftol": 1e-15, "gtol": 1e-9},
    )
    scale = float(found.x[0]) / spread
    return Calibration(scale, float(found.x[1]) - scale * centre, len(outcomes), positives)


def cross_fitted(logits: ArrayLike, present: ArrayLike, patients: Sequence[str]) -> NDArray[np.float64]:
    """The calibrated probability (n,) of each answer, by a calibration fitted without its own patient's answers.

    What it is worth on patients that it was not fitted on can be told from these, and not from its own answers.
    Raises `ValueError` where lengths differ, or the other patients' answers to one are all of a kind.
    """
    values, outcomes, owners = np.asarray(logits, dtype=np.float64), np.asarray(present, dtype=bool), np.array(patients)
    if not values.shape == outcomes.shape == owners.shape:
        raise ValueError(f"logits {values.shape}, outcomes {outcomes.shape} and patients {owners.shape} must be alike")
    found = np.zeros_like(values)
    for patient in np.unique(owners):
        own = owners == patient
        try:
            found[own] = fit_calibration(values[~own], outcomes[~own]).probabilities(values[own])
        except ValueError as error:
            raise ValueError(f"without patient {patient!s}: {error}") from error
    return found


def logits_of(probabilities: ArrayLike) -> NDArray[np.float64]:
    """The logits of probabilities (any shape), none beyond `LARGEST_LOGIT`.

    >>> logits_of([0.5, 1.0]).tolist()
    [0.0, 14.0]
    """
    from scipy.special import logit

    found: NDArray[np.float64] = np.clip(
        logit(np.asarray(probabilities, dtype=np.float64)), -LARGEST_LOGIT, LARGEST_LOGIT
    )
    return found


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
