"""From scores of cases to the numbers that are quoted: per target and over all targets, each with its n."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zeusseg.metrics import Summary, brier_score, expected_calibration_error, summarize
from zeusseg.report.scoring import Score


@dataclass(frozen=True)
class MetricSummary:
    """One metric over patients, and the number of cases behind it (those with a reference)."""

    over_patients: Summary
    n_cases: int

    def to_json(self) -> dict[str, Any]:
        found = self.over_patients
        return {
            "mean": or_none(found.mean),
            "median": or_none(found.median),
            "interval_95": [or_none(found.low), or_none(found.high)],
            "n_patients": found.n_patients,
            "n_cases": self.n_cases,
        }


@dataclass(frozen=True)
class PresenceSummary:
    """Whether the presence that masks came with (`n` of them) means what it says; NaN where none came with one."""

    n: int
    ece: float
    brier: float


@dataclass(frozen=True)
class TargetSummary:
    """What became of one target, or of all (`target` is None): means twice, and what means do not show.

    `predicted` averages over the masks that were written; `failures_as_misses` also over the cases without one.
    The counts are of masks, that is of (case, target) pairs: `misses` of the `with_reference` that were predicted,
    `false_masks` of the `target_free` that were predicted, `failed` of all. `presence` tells how well calibrated the
    model's word for it is, `calibration` (`ece`, `brier`) the same of the voxels' probabilities, where they came too.
    """

    target: str | None
    predicted: Mapping[str, MetricSummary]
    failures_as_misses: Mapping[str, MetricSummary]
    with_reference: int
    misses: int
    target_free: int
    false_masks: int
    failed: int
    presence: PresenceSummary
    calibration: Mapping[str, MetricSummary]

    @property
    def sensitivity(self) -> float:
        """The share of the masks with a reference that are not empty; NaN without any."""
        return 1 - self.misses / self.with_reference if self.with_reference else math.nan

    @property
    def false_mask_rate(self) -> float:
        """The share of the target-free masks that are not empty (1 - specificity); NaN without any."""
        return self.false_masks / self.target_free if self.target_free else math.nan

    def to_json(self) -> dict[str, Any]:
        return {
            "predicted": {metric: found.to_json() for metric, found in self.predicted.items()},
            "with_failures_as_misses": {metric: found.to_json() for metric, found in self.failures_as_misses.items()},
            "with_reference": self.with_reference,
            "misses": self.misses,
            "target_free": self.target_free,
            "false_masks": self.false_masks,
            "failed": self.failed,
            "sensitivity": or_none(self.sensitivity),
            "specificity": or_none(1 - self.false_mask_rate),
            "false_mask_rate": or_none(self.false_mask_rate),
            "presence": {
                "n": self.presence.n,
                "ece": or_none(self.presence.ece),
                "brier": or_none(self.presence.brier),
            },
            "calibration": {name: found.to_json() for name, found in self.calibration.items()},
        }


def summarize_scores(scores: Sequence[Score], metrics: Sequence[str], target: str | None = None) -> TargetSummary:
    """Summarise the scores of one target, or of all where `target` is None.

    A patient counts once: the mean of all its cases and, over all targets, of all its targets.
    """
    chosen = [score for score in scores if target is None or score.target == target]
    predicted = [score for score in chosen if score.failure is None]
    return TargetSummary(
        target=target,
        predicted={metric: _summarize(predicted, metric) for metric in metrics},
        failures_as_misses={metric: _summarize(chosen, metric) for metric in metrics},
        with_reference=sum(score.reference_voxels > 0 for score in predicted),
        misses=sum(score.missed for score in predicted),
        target_free=sum(score.reference_voxels == 0 for score in predicted),
        false_masks=sum(score.false_mask for score in predicted),
        failed=len(chosen) - len(predicted),
        presence=_presence(predicted),
        calibration={name: _calibration(predicted, name) for name in ("ece", "brier")},
    )


def number(value: float | None, digits: int = 3) -> str:
    """A number as readers see it; a dash where there is none."""
    return "\N{EN DASH}" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def interval(summary: Summary, digits: int = 3) -> str:
    """The 95 % interval as readers see it; nothing where one patient leaves none."""
    return "" if math.isnan(summary.low) else f"{summary.low:.{digits}f} to {summary.high:.{digits}f}"


def _summarize(scores: Sequence[Score], metric: str) -> MetricSummary:
    with_value = [score for score in scores if not math.isnan(score.values[metric])]
    found = summarize([score.patient for score in with_value], [score.values[metric] for score in with_value])
    return MetricSummary(found, n_cases=len({score.case for score in with_value}))


def _presence(scores: Sequence[Score]) -> PresenceSummary:
    told = [(score.presence, score.reference_voxels > 0) for score in scores if score.presence is not None]
    presences, outcomes = [presence for presence, _ in told], [outcome for _, outcome in told]
    return PresenceSummary(len(told), expected_calibration_error(presences, outcomes), brier_score(presences, outcomes))


def _calibration(scores: Sequence[Score], name: str) -> MetricSummary:
    told = [score for score in scores if not math.isnan(score.calibration.get(name, math.nan))]
    found = summarize([score.patient for score in told], [score.calibration[name] for score in told])
    return MetricSummary(found, n_cases=len({score.case for score in told}))


def or_none(value: float) -> float | None:
    """JSON knows no NaN."""
    return None if math.isnan(value) else value
