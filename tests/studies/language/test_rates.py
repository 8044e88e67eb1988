"""Rates, spreads and verdicts from judged answers, worked out by hand."""

import math

import pytest
from scipy.stats import beta

from zeusseg.studies.language.judge import Judged, Slices
from zeusseg.studies.language.questions import Question
from zeusseg.studies.language.rates import rates_of
from zeusseg.studies.language.spread import Wording, spreads_of
from zeusseg.studies.language.verdict import verdict_of, wrong_side_of


def answered(
    kind="absent", right=True, patient="p", text="x", target=None, dice=None, voxels=0, held_out=False, **others
) -> Judged:
    question = Question(kind, text, target, others.pop("about", None), (), held_out)
    told = {"dice_of": {}, "conflicts": (), "presence": None} | others
    return Judged(f"case of {patient}", patient, question, voxels, dice=dice, right=right, **told)


def rate(judged, name):
    return next(rate for rate in rates_of("m", judged) if rate.row.name == name)


def test_questions_are_averaged_within_patients_first():
    judged = [answered(right=right, patient="p") for right in (True, True, True, False)]
    found = rate([*judged, answered(right=False, patient="q")], "absent")
    assert found.rate == pytest.approx((0.75 + 0) / 2)
    assert (found.n_questions, found.n_patients) == (5, 2)
    assert 0 <= found.low <= found.rate <= found.high <= 0.75


@pytest.mark.parametrize(("right", "low", "high"), [
    (True, beta.ppf(0.025, 10, 1), 1.0),
    (False, 0.0, beta.ppf(0.975, 1, 10)),
])  # fmt: skip
def test_patients_who_all_agree_get_the_exact_interval(right, low, high):
    found = rate([answered(right=right, patient=f"p{n}") for n in range(10)], "absent")
    assert (found.low, found.high) == pytest.approx((low, high))


@pytest.mark.parametrize("patients", ["p", "pqr"])
def test_patients_who_are_all_equally_in_between_leave_no_interval(patients):
    judged = [answered(right=right, patient=patient) for patient in patients for right in (True, False)]
    assert math.isnan(rate(judged, "absent").low)
    assert rate(judged, "absent").rate == 0.5


@pytest.mark.parametrize(("kind", "wrong", "met"), [
    ("absent", 1, True), ("absent", 2, False), ("swap", 1, True), ("swap", 2, False), ("paraphrase", 5, True),
    ("paraphrase", 6, False), ("negation", 0, None),
])  # fmt: skip
def test_goals_are_met_or_missed_by_the_rate(kind, wrong, met):
    judged = [answered(kind, right=n >= wrong, patient=f"p{n}") for n in range(100)]
    assert rate(judged, kind).met is met


def test_held_out_combinations_have_a_row_of_their_own():
    judged = [answered("attribute", right=False, held_out=True), *[answered("attribute", right=True)] * 3]
    assert (rate(judged, "attribute").rate, rate(judged, "attribute").row.goal) == (0.75, None)
    assert (rate(judged, "attribute, held out").rate, rate(judged, "attribute, held out").row.goal) == (0, 0.9)


def test_slices_without_the_target_count_by_the_share_left_unmarked():
    judged = [
        answered("name", patient="p", slices=Slices(4, 1, 2, 0)),
        answered("name", patient="q", slices=Slices(2, 2, 0, 0)),
    ]
    assert rate(judged, "slices without it").rate == pytest.approx((0.75 + 0) / 2)
    # Nothing of q is clear of its target.
    assert (rate(judged, "slices clear of it").rate, rate(judged, "slices clear of it").n_patients) == (1, 1)


def test_what_was_not_asked_has_no_rate():
    assert [found.row.name for found in rates_of("m", [answered("swap")])] == ["swap"]


def test_spread_is_over_the_mean_dice_of_the_wordings():
    judged = [
        answered("paraphrase", text=text, target="a", dice=dice, patient=patient)
        for text, dices in {"one": (0.9, 0.7), "two": (0.8, 0.9), "three": (0.9, 0.9)}.items()
        for patient, dice in zip("pq", dices, strict=True)
    ]
    names = [answered("name", target="a", dice=dice, text="a") for dice in (0.9, 1.0)]
    other = [answered("paraphrase", text=text, target="b", dice=0.5) for text in ("four", "five")]
    first, second = spreads_of("m", [*other, *judged, *names])
    # Means 80, 85 and 90 points: deviations 5, 0 and 5, so a variance of 50 / 2.
    assert (first.target, first.points, first.name_dice) == ("a", pytest.approx(5), pytest.approx(0.95))
    assert first.wordings[0] == Wording("one", pytest.approx(0.8), 2)
    assert not first.met
    assert (second.target, second.points, second.met) == ("b", 0, True)
    assert math.isnan(second.name_dice)


def test_wordings_for_a_target_that_is_not_there_have_no_spread():
    assert spreads_of("m", [answered("paraphrase", text=text, target="a") for text in "xy"]) == []


def test_wrong_sides_are_empty_ignored_or_obeyed_and_flagged_beside_that():
    found = wrong_side_of("m", [
        answered("wrong side", about="a", voxels=0, dice_of={"a": 0.0}, conflicts=("it lies on the right",)),
        answered("wrong side", about="a", voxels=9, dice_of={"a": 0.3}),
        answered("wrong side", about="a", voxels=9, dice_of={"a": 0.0}),
        answered("wrong side", about="a", voxels=5, dice_of={"a": 0.0}),
    ])  # fmt: skip
    assert (found.flagged, found.empty, found.ignored, found.obeyed) == (0.25, 0.25, 0.25, 0.5)
    assert wrong_side_of("m", [answered("absent")]) is None


def all_kinds(swap=1.0, masks=0.0, silent=0.0, n=100) -> list[Judged]:
    """Answers of `n` patients; `swap` of the swaps are right, `masks` of the nonsense gets a mask, and `silent` of the
    names none."""
    found = []
    for number in range(n):
        share, patient = number / n, f"p{number}"
        found.append(answered("swap", right=share < swap, patient=patient))
        found.append(answered("name", target="a", voxels=int(share >= silent), patient=patient))
        found.append(answered("empty", patient=patient))
        for kind in ("absent", "gibberish", "unrelated"):
            found.append(answered(kind, right=share >= masks, voxels=int(share < masks), patient=patient))
    return found


@pytest.mark.parametrize(("answers", "verdict"), [
    ({}, "words decide"),
    ({"swap": 0.99, "masks": 0.01}, "words decide"),
    ({"swap": 0.98}, "words decide in part"),
    ({"swap": 0.61}, "words decide in part"),
    ({"masks": 0.5}, "words decide in part"),
    ({"swap": 0.6}, "IGNORES ITS WORDS"),
    ({"masks": 0.51}, "IGNORES ITS WORDS"),
    ({"silent": 0.51}, "IGNORES ITS WORDS"),
])  # fmt: skip
def test_the_verdict_follows_from_swaps_and_words_for_nothing(answers, verdict):
    assert verdict_of("m", all_kinds(**answers)).verdict == verdict


def test_without_a_pair_to_swap_words_for_nothing_decide():
    found = verdict_of("m", [one for one in all_kinds() if one.question.kind != "swap"])
    assert found.verdict == "words decide"
    assert "could not be asked" in found.reasons[0]


def test_a_verdict_in_part_names_the_goals_that_were_missed():
    assert verdict_of("m", all_kinds(swap=0.9)).reasons[-1] == "Goals missed: swap (90.0 %)."
