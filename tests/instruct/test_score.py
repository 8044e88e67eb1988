"""Scoring statements against the truth: worked out by hand, then on phantoms."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

from zeusseg.instruct.finding import Finding, FindingAttributes, Outlier
from zeusseg.instruct.score import TruthScore, score_against_truth, score_phantoms

SPACING_MM = (2.0, 2.0, 5.0)
OUTLIER = Outlier(
    polarity="bright", side="right", anterior_posterior="middle", superior_inferior="middle", voxels=100,
    volume_ml=2.0, diameter=20.0, in_plane=20.0, share=0.01, roundness=0.9, border="sharp", texture="homogeneous",
    contrast=0.5, centre=(60.0, 40.0, 8.0),
)


def lesion(**changes):
    truth = {
        "side": "right", "polarity": "bright", "equivalent_diameter_mm": 24.0, "lesion_diameter_mm": 30.0,
        "centre_voxel": (62.0, 40.0, 8.0),
    }
    return SimpleNamespace(**{**truth, **changes})


def score(outliers, lesions):
    attributes = FindingAttributes(tuple(outliers), 0.1, 0.4, "body", True)
    seen = [item for item in lesions if item.polarity != "iso"]
    truth = SimpleNamespace(lesions=lesions, visible=seen, no_lesion=not lesions)
    return score_against_truth({"t1": Finding("t1", "", attributes)}, {"t1": truth}, SPACING_MM)["t1"]


def test_a_true_statement_counts_in_everything():
    assert score([OUTLIER], [lesion()]) == TruthScore(lesions=1, found=1, side=1, polarity=1, size=1, images=1)


def test_each_error_counts_where_it_was_made():
    assert score([replace(OUTLIER, side="left")], [lesion()]).side == 0
    assert score([replace(OUTLIER, polarity="dark")], [lesion()]).polarity == 0
    # 25 % of 24 mm are 6 mm: 18 mm is still right, 17.9 mm is not.
    assert score([replace(OUTLIER, diameter=18.0)], [lesion()]).size == 1
    assert score([replace(OUTLIER, diameter=17.9)], [lesion()]).size == 0


def test_an_area_beyond_the_lesions_radius_is_unfounded_and_the_lesion_not_found():
    far = replace(OUTLIER, centre=(54.0, 40.0, 8.0))  # 16 mm away, and the radius is 15 mm
    assert score([far], [lesion()]) == TruthScore(lesions=1, images=1, unfounded=1)


def test_two_lesions_need_two_statements():
    other = lesion(centre_voxel=(64.0, 40.0, 8.0))
    assert score([OUTLIER], [lesion(), other]) == TruthScore(lesions=2, found=1, side=1, polarity=1, size=1, images=1)


def test_silence_is_right_only_where_there_is_no_lesion():
    assert score([], []) == TruthScore(images=1, lesion_free=1, silent=1)
    assert score([OUTLIER], []) == TruthScore(images=1, lesion_free=1, unfounded=1)
    assert score([], [lesion(polarity="iso")]) == TruthScore(images=1)


def test_rates_are_over_what_there_was():
    rates = (TruthScore(lesions=4, found=3, side=2, images=2) + TruthScore(images=2, unfounded=1)).rates()
    assert (rates["found"], rates["side"], rates["unfounded_per_image"]) == (0.75, 0.5, 0.25)
    assert math.isnan(rates["silent"])


def test_measured_tells_the_truth_about_most_phantoms():
    scores = score_phantoms(4, seed=500)
    assert set(scores) == {"t1", "t1ce", "t2", "flair", "all"}
    rates = scores["all"].rates()
    assert scores["all"].images == 16
    assert rates["side"] >= 0.7
    assert rates["polarity"] >= 0.7
    assert rates["size"] == pytest.approx(1.0, abs=0.5)
