"""Presence made to mean what it says: fitted numbers against another optimiser, and what a model is asked for them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit, logit

from zeusseg.case import Case, Target, Volume
from zeusseg.inference import calibration
from zeusseg.inference.calibration import ask_presence, calibrate, cross_fitted, fit_calibration
from zeusseg.inference.load import LoadedModel, load_model
from zeusseg.inference.segment import SegmentedTarget, segment
from zeusseg.inference.slices import Slicing
from zeusseg.metrics.calibration import Calibration, brier_score, expected_calibration_error, logits_of
from zeusseg.models.zeus import ZeusModel

PARTS = {"modalities": 1, "channels": 3, "width": 32, "vision_channels": [8, 16]}
TARGETS = (Target("lesion", (1,), ("tumor",)), Target("cyst", (2,)))


def newton(logits, present) -> tuple[float, float]:
    """Platt's fit by Newton's method on the raw logits, which shares nothing with the optimiser in use."""
    x, y = np.asarray(logits, dtype=float), np.asarray(present, dtype=bool)
    n1, n0 = y.sum(), (~y).sum()
    t = np.where(y, (n1 + 1) / (n1 + 2), 1 / (n0 + 2))
    w, basis = np.zeros(2), np.stack([x, np.ones_like(x)], axis=1)
    for _ in range(200):
        p = expit(basis @ w)
        step = np.linalg.solve((basis * (p * (1 - p))[:, None]).T @ basis, basis.T @ (t - p))
        w = w + step / max(1.0, np.abs(step).max())
    return w[0], w[1]


def drawn(n: int, scale: float, shift: float, seed: int = 0):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, n)
    return logits, random.random(n) < expit(scale * logits + shift)


def test_the_fit_is_that_of_another_optimiser():
    logits, present = drawn(60, 0.4, -1.0)
    found = fit_calibration(logits, present)
    assert (found.scale, found.shift) == pytest.approx(newton(logits, present), abs=1e-5)
    assert (found.n, found.positives) == (60, present.sum())


def test_two_logits_that_are_separated_get_platts_targets_by_hand():
    # Two distinct logits and two parameters: the fit meets the targets exactly, (3 + 1) / (3 + 2) and 1 / (2 + 2).
    found = fit_calibration([4.0, 4.0, 4.0, -2.0, -2.0], [1, 1, 1, 0, 0])
    np.testing.assert_allclose(found.probabilities([4.0, -2.0]), [0.8, 0.25], atol=1e-6)
    assert found.scale == pytest.approx((logit(0.8) - logit(0.25)) / 6, abs=1e-5)


def test_kinds_apart_by_far_and_logits_all_alike_give_finite_numbers():
    apart = fit_calibration([-500.0] * 20 + [900.0] * 20, [0] * 20 + [1] * 20)
    np.testing.assert_allclose(apart.probabilities([-500, 900]), [1 / 22, 21 / 22], atol=1e-6)
    alike = fit_calibration([3.0] * 4, [1, 1, 1, 0])
    assert alike.probabilities(3.0) == pytest.approx((3 * 0.8 + 1 / 3) / 4, abs=1e-6)


def test_what_was_likelier_stays_likelier_even_where_answers_are_the_wrong_way_round():
    found = fit_calibration([-3.0, -2.0, 2.0, 3.0], [1, 1, 0, 0])
    assert found.scale > 0
    assert (np.diff(found.probabilities([-3, 0, 3])) > 0).all()


def test_many_answers_give_back_what_they_were_drawn_with():
    found = fit_calibration(*drawn(20_000, 0.5, 0.7))
    assert (found.scale, found.shift) == pytest.approx((0.5, 0.7), abs=0.05)


@pytest.mark.parametrize(
    ("logits", "present", "reason"),
    [
        ([1.0, 2.0], [1, 1], "2 of 2 outcomes are true: a calibration needs both kinds"),
        ([1.0, 2.0], [1], "one length"),
        ([np.inf, 2.0], [1, 0], "not finite"),
    ],
)
def test_what_cannot_be_fitted_is_refused(logits, present, reason):
    with pytest.raises(ValueError, match=reason):
        fit_calibration(logits, present)


def test_a_probability_of_one_has_a_limited_logit():
    assert logits_of([0.5, 1.0, 0.0]).tolist() == [0.0, 14.0, -14.0]
    assert brentq(lambda p: logits_of(p) - 2.0, 0.01, 0.99) == pytest.approx(expit(2.0))


def test_a_patients_own_answers_are_not_in_its_probabilities():
    logits, present = drawn(30, 0.5, 0.0)
    patients = [f"p{i // 3}" for i in range(30)]
    found = cross_fitted(logits, present, patients)
    own = np.array(patients) == "p4"
    expected = fit_calibration(logits[~own], present[~own]).probabilities(logits[own])
    np.testing.assert_allclose(found[own], expected)
    turned = np.where(own, ~present, present)
    np.testing.assert_allclose(cross_fitted(logits, turned, patients)[own], expected)


def test_cross_fitting_needs_both_kinds_among_the_others():
    with pytest.raises(ValueError, match="without patient a: 0 of 1 outcomes are true"):
        cross_fitted([1, 2, 3], [1, 1, 0], ["a", "a", "b"])


def test_overconfident_logits_score_better_once_calibrated_on_other_patients():
    logits, present = drawn(300, 0.3, -1.5)
    after = cross_fitted(logits, present, [str(i // 3) for i in range(300)])
    assert brier_score(after, present) < brier_score(expit(logits), present) - 0.05
    assert expected_calibration_error(after, present) < expected_calibration_error(expit(logits), present) - 0.1


class Source:
    """Cases with a lesion and no cyst; `d` has no labels."""

    targets = TARGETS
    case_ids = ("a", "b", "d")

    def read(self, case_id: str, *, labels: bool = True) -> Case:
        array = np.zeros((4, 4, 2), dtype=np.uint8)
        array[:2] = 1
        volume = Volume.from_file(array, np.eye(4))
        return Case(case_id, f"patient {case_id}", {"t1": volume}, volume if labels and case_id != "d" else None)


@pytest.fixture
def asked(monkeypatch) -> list:
    """What the model is shown and asked; it is sure of what says `lesion` or `tumor` and doubts everything else."""
    seen = []

    def answer(loaded, case, texts, **options):
        seen.append((case, list(texts.values())))
        raw = {key: 0.99 if "lesion" in text or "tumor" in text else 0.2 for key, text in texts.items()}
        return {key: SegmentedTarget(np.zeros(case.shape, np.float32), 0.5, None, p) for key, p in raw.items()}

    monkeypatch.setattr(calibration, "segment", answer)
    return seen


def build(writer: str = "name") -> LoadedModel:
    return LoadedModel(ZeusModel(**PARTS), PARTS, ("t1",), TARGETS, Slicing(), writer, mirror=False, clicks=False)


def test_every_target_and_a_few_absent_things_are_asked_without_labels_and_failures_are_listed(asked):
    loaded = build()
    assert loaded.model.training
    texts = {("a", "lesion"): "the tumor here"}
    answers, failures = ask_presence(loaded, Source(), ("a", "b", "d"), texts=texts, progress=False)
    assert all(case.labels is None for case, _ in asked)
    assert [words[:2] for _, words in asked] == [["the tumor here", "cyst"], ["lesion", "cyst"]]
    assert not any("lesion" in text or "tumor" in text or "cyst" in text for _, words in asked for text in words[2:])
    assert [a.present for a in answers if a.case == "a"] == [True] + [False] * 4
    assert answers[0].patient == "patient a"
    assert answers[0].logit == pytest.approx(logit(0.99))
    assert "no labels" in failures["d"]
    assert not loaded.model.training


def test_the_same_cases_are_asked_the_same_things_whatever_else_is_asked(asked):
    ask_presence(build(), Source(), ("a", "b"), progress=False)
    ask_presence(build(), Source(), ("b",), progress=False)
    assert asked[1][1] == asked[2][1] != asked[0][1]


def test_a_model_without_words_is_asked_for_its_targets_alone(asked):
    answers, _ = ask_presence(build("none"), Source(), ("a",), progress=False)
    assert [(a.text, a.present) for a in answers] == [("", True), ("", False)]


def test_ten_answers_of_both_kinds_make_a_calibration_and_fewer_none(asked):
    found, failures = calibrate(build(), Source(), ("a", "b", "d"), progress=False)
    assert (found.n, found.positives, list(failures)) == (10, 2, ["d"])
    # Two of two with a lesion, none of eight without.
    np.testing.assert_allclose(found.probabilities(logits_of([0.99, 0.2])), [3 / 4, 1 / 10], atol=1e-6)
    assert calibrate(build(), Source(), ("a",), progress=False) == (None, {})
    assert calibrate(build(), Source(), (), progress=False) == (None, {})


def test_the_threshold_applies_to_the_calibrated_presence(run, phantoms):
    case, loaded = phantoms.read(phantoms.case_ids[0], labels=False), load_model(run)
    plain = segment(replace(loaded, calibration=None), case, {"lesion": "lesion"})["lesion"]
    assert plain.presence == plain.raw_presence
    lower, higher = Calibration(1.0, -20.0, 10, 5), Calibration(1.0, 20.0, 10, 5)
    doubted, trusted = (
        segment(replace(loaded, calibration=c), case, {"lesion": "lesion"})["lesion"] for c in (lower, higher)
    )
    assert doubted.raw_presence == trusted.raw_presence == plain.presence
    assert doubted.presence == pytest.approx(expit(logit(plain.presence) - 20))
    assert "is below 0.5" in doubted.empty_reason
    assert trusted.presence == pytest.approx(expit(logit(plain.presence) + 20))
    assert "is below 0.5" not in (trusted.empty_reason or "")


def test_a_real_run_is_calibrated_on_cases(run, phantoms):
    found, failures = calibrate(load_model(run), phantoms, phantoms.case_ids[:3], progress=False)
    assert failures == {}
    assert found.n == 3 * (len(phantoms.targets) + calibration.ABSENT_PER_CASE)
