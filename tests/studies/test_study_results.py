"""Scores become means and pairs: worked out by hand, and by SciPy from the same numbers."""

import itertools

import numpy as np
import pytest
from scipy import stats

from zeusseg.report.compare import ALL
from zeusseg.report.scoring import Score
from zeusseg.studies.plan import Setting
from zeusseg.studies.results import compare_arms, describe_arms, patient_means
from zeusseg.studies.scores import MaskScore

VAL = Setting("val")


def mask(arm, seed, patient, dice, *, case=None, target="lesion", setting=VAL, voxels=9, failure=None, fold=None):
    score = Score(patient, case or patient, target, {"dice": dice, "volume_difference_ml": -dice},
                  0 if np.isnan(dice) else 10, voxels, failure=failure)  # fmt: skip
    return MaskScore(arm, seed, fold, setting, score)


def three_arms(patients=9, seeds=3):
    """Dice of every arm, seed and patient, as an array (arm, seed, patient), and the same as masks."""
    rng = np.random.default_rng(1)
    difficulty = rng.uniform(0.3, 0.6, patients)
    gain = np.array([0.2, 0.1, 0.1])[:, None, None]
    values = difficulty + gain + rng.normal(0, 0.03, (3, seeds, patients))
    masks = [mask("abc"[a], s, f"p{p}", values[a, s, p]) for a, s, p in np.ndindex(*values.shape)]
    return values, masks


def test_a_patient_is_averaged_over_its_cases_first_and_over_seeds_then():
    masks = [
        mask("a", 0, "p", 0.2, case="p1"), mask("a", 0, "p", 0.4, case="p2"),
        mask("a", 1, "p", 0.9, case="p1"), mask("a", 1, "q", float("nan")),
    ]  # fmt: skip
    assert patient_means(masks, "dice") == {"p": pytest.approx((0.3 + 0.9) / 2)}  # not (0.2 + 0.4 + 0.9) / 3


def test_means_intervals_and_seed_spread_are_those_of_patients_averaged_over_seeds():
    values, masks = three_arms()
    rows = {row.arm: row for row in describe_arms(masks, ["dice"])}
    by_patient = values.mean(axis=1)
    for a, arm in enumerate("abc"):
        interval = stats.bootstrap(
            (by_patient[a],), np.mean, n_resamples=9999, method="BCa", rng=np.random.default_rng(0)
        ).confidence_interval
        row = rows[arm]
        assert row.found.mean == pytest.approx(by_patient[a].mean())
        assert (row.found.low, row.found.high) == pytest.approx((interval.low, interval.high), abs=2e-3)
        assert row.found.n_patients == 9
        seeds = values[a].mean(axis=1)
        assert (row.seed_low, row.seed_high) == pytest.approx((seeds.min(), seeds.max()))


def test_pairs_are_wilcoxon_over_patients_with_holms_correction_over_the_pairs():
    values, masks = three_arms()
    (found,) = compare_arms(masks, ["dice"])
    by_patient = values.mean(axis=1)
    p = [stats.wilcoxon(by_patient[x], by_patient[y]).pvalue for x, y in itertools.combinations(range(3), 2)]
    assert [(pair.first, pair.second) for pair in found.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [pair.paired.p for pair in found.pairs] == pytest.approx(p)
    order = np.argsort(p)
    by_hand = np.maximum.accumulate([min(1, p[place] * (3 - rank)) for rank, place in enumerate(order)])
    assert [found.pairs[place].p_holm for place in order] == pytest.approx(by_hand)
    assert [pair.better for pair in found.pairs] == ["a", "a", None]
    assert found.with_failures == ()


def test_chosen_pairs_are_corrected_for_their_own_number():
    _, masks = three_arms()
    (found,) = compare_arms(masks, ["dice"], [("c", "a")])
    (pair,) = found.pairs
    assert (pair.first, pair.second, pair.of) == ("c", "a", 1)
    assert pair.p_holm == pair.paired.p


def test_every_setting_is_corrected_by_itself():
    _, masks = three_arms()
    few = [mask(m.arm, m.seed, m.score.patient, 0.5, setting=Setting("val", ("t1",))) for m in masks]
    assert [len(found.pairs) for found in compare_arms(masks + few, ["dice"])] == [3, 3]
    assert {pair.of for found in compare_arms(masks + few, ["dice"]) for pair in found.pairs} == {3}


def test_failed_masks_are_left_out_once_and_misses_once_and_pairs_take_what_both_arms_have():
    masks = [
        mask("a", 0, "p", 0.8), mask("a", 1, "p", 0.6), mask("b", 0, "p", 0.5),
        mask("b", 1, "p", 0.0, failure="broken"), mask("a", 0, "q", 0.4), mask("a", 1, "q", 0.4),
        mask("b", 0, "q", 0.4), mask("b", 1, "q", 0.4),
    ]  # fmt: skip
    a, b = describe_arms(masks, ["dice"])
    assert (b.found.mean, b.with_failures.mean) == pytest.approx((0.45, (0.25 + 0.4) / 2))
    assert (a.failed, b.failed) == (0, 1)
    (found,) = compare_arms(masks, ["dice"])
    assert found.pairs[0].paired.difference == pytest.approx((0.8 - 0.5 + 0) / 2)  # p by seed 0 alone
    assert found.with_failures[0].paired.difference == pytest.approx((0.7 - 0.25 + 0) / 2)


def test_misses_and_false_masks_are_counted_over_seeds():
    masks = [mask("a", seed, "p", 0.0, voxels=0) for seed in (0, 1)]
    masks += [mask("a", 0, "q", float("nan"), voxels=5), mask("a", 1, "q", float("nan"), voxels=0)]
    (row,) = describe_arms(masks, ["dice"])
    assert (row.misses, row.with_reference, row.false_masks, row.target_free) == (2, 2, 1, 2)
    assert (row.found.n_patients, row.n_cases) == (1, 1)


def test_several_targets_stand_by_themselves_and_together():
    masks = [mask("a", 0, "p", 0.2), mask("a", 0, "p", 0.6, target="core")]
    assert {row.target: row.found.mean for row in describe_arms(masks, ["dice"])} == pytest.approx(
        {"lesion": 0.2, "core": 0.6, ALL: 0.4}
    )


def test_volume_differences_count_by_their_size():
    assert patient_means([mask("a", 0, "p", 0.3)], "volume_difference_ml") == {"p": 0.3}


def test_models_of_several_folds_on_the_same_case_are_one_seed():
    masks = [mask("a", 0, "p", 0.2, fold=0), mask("a", 0, "p", 0.4, fold=1), mask("a", 1, "p", 0.9, fold=0)]
    assert patient_means(masks, "dice") == {"p": pytest.approx(0.6)}
