"""Which cases are shown: told by Dice, each once."""

import math

import pytest

from zeusseg.report.gallery import choose
from zeusseg.report.scoring import Score


def scores(*dice):
    return [Score(f"p{n}", f"c{n}", "lesion", {"dice": value}, 5, 5) for n, value in enumerate(dice)]


@pytest.mark.parametrize(
    ("dice", "expected"),
    [
        ([], []),
        ([0.5], [("only", "c0")]),
        ([0.5, 0.9], [("worst", "c0"), ("best", "c1")]),
        ([0.5, 0.9, 0.7], [("worst", "c0"), ("median", "c2"), ("best", "c1")]),
        ([0.4, 0.9, 0.7, 0.1], [("worst", "c3"), ("median", "c0"), ("best", "c1")]),  # the lower of 0.7 and 0.4
        ([0.8, 0.8, 0.8], [("worst", "c2"), ("median", "c1"), ("best", "c0")]),
    ],
)
def test_best_median_and_worst_by_dice(dice, expected):
    assert [(kind, score.case) for kind, score in choose(scores(*dice))] == expected


def test_the_largest_false_mask_is_shown_and_right_empty_masks_are_not():
    free = [Score("p", case, "lesion", {"dice": math.nan}, 0, size) for case, size in (("a", 3), ("b", 9), ("c", 0))]
    assert [(kind, score.case) for kind, score in choose(free)] == [("false mask", "b")]


def test_failed_cases_have_no_mask_to_show():
    failed = Score("p", "c", "lesion", {"dice": 0.0}, 5, 0, failure="no mask")
    assert choose([failed]) == []


def test_cases_without_the_target_are_neither_best_nor_worst_whatever_they_score():
    scored = [Score("p", "free", "lesion", {"dice": 1.0}, 0, 0), Score("q", "there", "lesion", {"dice": 0.4}, 5, 5)]
    false_mask = Score("r", "false", "lesion", {"dice": 0.0}, 0, 9)
    assert [(kind, score.case) for kind, score in choose([*scored, false_mask])] == [
        ("only", "there"), ("false mask", "false"),
    ]  # fmt: skip
