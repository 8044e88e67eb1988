"""From scores of cases to the numbers that are quoted: per target and over all targets, each with its n."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zeusseg.metrics import Summary, summarize
from zeusseg.report.scoring import Score


@dataclass(frozen=True)
class MetricSummary:
    """One metric over patients, and the number of cases behind it (those with a reference)."""

    over_patients: Summary
    n_cases: int

    def to_json(self) -> dict[str, Any]:
        found = self.over_patients
        return {
            "mean": _or_none(found.mean),
            "median": _or_none(found.median),
            "interval_95": [_or_none(found.low), _or_none(found.high)],
            "n_patients": found.n_patients,
            "n_cases": self.n_cases,
        }


@dataclass(frozen=True)
class TargetSummary:
    """What became of one target, or of all (`target` is None): means twice, and what means do not show.

    `predicted` averages over the masks that were written; `failures_as_misses` also over the cases without one.
    The counts are of masks, that is of (case, target) pairs: `misses` of the `with_reference` that were predicted,
    `false_masks` of the `target_free` that were predicted, `failed` of all.
    """

    target: str | None
    predicted: Mapping[str, MetricSummary]
    failures_as_misses: Mapping[str, MetricSummary]
    with_reference: int
    misses: int
    target_free: int
    false_masks: int
    failed: int

    def to_json(self) -> dict[str, Any]:
        return {
            "predicted": {metric: found.to_json() for metric, found in self.predicted.items()},
            "with_failures_as_misses": {metric: found.to_json() for metric, found in self.failures_as_misses.items()},
            "with_reference": self.with_reference,
            "misses": self.misses,
            "target_free": self.target_free,
            "false_masks": self.false_masks,
            "failed": self.failed,
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


def _or_none(value: float) -> float | None:
    """JSON knows no NaN."""
    return None if math.isnan(value) else value
