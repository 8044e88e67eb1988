"""From the scores of all masks to what a study found: seeds averaged per patient, patients described, arms paired."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zeusseg.metrics import Summary, compare_paired, holm, summarize
from zeusseg.report.compare import ALL, Pair
from zeusseg.studies.plan import Setting
from zeusseg.studies.scores import MaskScore


@dataclass(frozen=True)
class Row:
    """One arm on one target (or `ALL`) in one setting, by one metric.

    `found` is over the masks that were written, `with_failures` over all, failed ones as misses. `patients` holds the
    value of each patient, averaged over seeds, and `seeds` that of each seed, averaged over patients. The counts are
    of masks over all seeds (and folds): `misses` of `with_reference`, `false_masks` of `target_free`, and `failed`.
    """

    arm: str
    setting: Setting
    target: str
    metric: str
    found: Summary
    with_failures: Summary
    patients: Mapping[str, float]
    seeds: Mapping[int, float]
    n_cases: int
    with_reference: int
    misses: int
    target_free: int
    false_masks: int
    failed: int

    @property
    def seed_low(self) -> float:
        return min(self.seeds.values(), default=math.nan)

    @property
    def seed_high(self) -> float:
        return max(self.seeds.values(), default=math.nan)


@dataclass(frozen=True)
class SettingPairs:
    """The pairs of arms in one setting: over the masks that both have, and with failed ones as misses (empty where
    nothing failed)."""

    setting: Setting
    pairs: tuple[Pair, ...]
    with_failures: tuple[Pair, ...]


def patient_means(masks: Iterable[MaskScore], metric: str) -> dict[str, float]:
    """The value of each patient: the mean of its masks for every seed, and of these the mean over seeds.

    NaN (no reference) is left out. Volume differences count by their size.
    """
    found: dict[str, dict[int, list[float]]] = {}
    for mask in masks:
        value = mask.value(metric)
        if not math.isnan(value):
            size = abs(value) if metric.startswith("volume_difference") else value
            found.setdefault(mask.score.patient, {}).setdefault(mask.seed, []).append(size)
    return {patient: float(np.mean([np.mean(values) for values in seeds.values()])) for patient, seeds in found.items()}


def describe_arms(masks: Sequence[MaskScore], metrics: Sequence[str]) -> list[Row]:
    """A row per setting, target, metric and arm, in the order in which these occur in `masks`."""
    rows = []
    for setting in dict.fromkeys(mask.setting for mask in masks):
        here = [mask for mask in masks if mask.setting == setting]
        arms = list(dict.fromkeys(mask.arm for mask in here))
        for target, metric, arm in itertools.product(_targets(here), metrics, arms):
            rows.append(_row(arm, setting, target, metric, _of(here, arm, target)))
    return rows


def compare_arms(
    masks: Sequence[MaskScore], metrics: Sequence[str], pairs: Sequence[tuple[str, str]] | None = None
) -> list[SettingPairs]:
    """Every pair of arms (or these `pairs`) in every setting, patient by patient.

    Two arms are compared over the masks that both have for the same seed. Holm's correction is over the pairs and
    targets of a metric in one setting.
    """
    found = []
    for setting in dict.fromkeys(mask.setting for mask in masks):
        here = [mask for mask in masks if mask.setting == setting]
        arms = list(dict.fromkeys(mask.arm for mask in here))
        wanted = [pair for pair in pairs or itertools.combinations(arms, 2) if set(pair) <= set(arms)]
        failed = any(mask.score.failure is not None for mask in here)
        found.append(
            SettingPairs(
                setting,
                _pairs([mask for mask in here if mask.score.failure is None], metrics, wanted),
                _pairs(here, metrics, wanted) if failed else (),
            )
        )
    return found


def _row(arm: str, setting: Setting, target: str, metric: str, masks: Sequence[MaskScore]) -> Row:
    written = [mask for mask in masks if mask.score.failure is None]
    patients, with_failures = patient_means(written, metric), patient_means(masks, metric)
    seeds = {
        seed: float(np.mean(list(values.values())))
        for seed in dict.fromkeys(mask.seed for mask in masks)
        if (values := patient_means([mask for mask in written if mask.seed == seed], metric))
    }
    return Row(
        arm=arm, setting=setting, target=target, metric=metric,
        found=summarize(list(patients), list(patients.values())),
        with_failures=summarize(list(with_failures), list(with_failures.values())),
        patients=patients, seeds=seeds,
        n_cases=len({mask.score.case for mask in written if not math.isnan(mask.value(metric))}),
        with_reference=sum(mask.score.reference_voxels > 0 for mask in written),
        misses=sum(mask.score.missed for mask in written),
        target_free=sum(mask.score.reference_voxels == 0 for mask in written),
        false_masks=sum(mask.score.false_mask for mask in written),
        failed=len(masks) - len(written),
    )  # fmt: skip


def _pairs(masks: Sequence[MaskScore], metrics: Sequence[str], wanted: Sequence[tuple[str, str]]) -> tuple[Pair, ...]:
    pairs: list[Pair] = []
    for metric in metrics:
        family = []
        for target, (first, second) in itertools.product(_targets(masks), wanted):
            sides = [{mask.reference: mask for mask in _of(masks, arm, target)} for arm in (first, second)]
            shared = [key for key in sides[0] if key in sides[1]]
            values = [patient_means([side[key] for key in shared], metric) for side in sides]
            # A reference is the same for both, so a patient has a value on both sides or on none.
            paired = compare_paired([values[0][p] for p in values[0]], [values[1][p] for p in values[0]])
            family.append(Pair(first, second, target, metric, paired, math.nan))
        corrected = holm([pair.paired.p for pair in family])
        pairs += [replace(pair, p_holm=p, of=len(family)) for pair, p in zip(family, corrected, strict=True)]
    return tuple(pairs)


def _targets(masks: Sequence[MaskScore]) -> list[str]:
    """The targets, and all of them together where they are several."""
    names = list(dict.fromkeys(mask.score.target for mask in masks))
    return [*names, ALL] if len(names) > 1 else names


def _of(masks: Sequence[MaskScore], arm: str, target: str) -> list[MaskScore]:
    return [mask for mask in masks if mask.arm == arm and target in (ALL, mask.score.target)]
