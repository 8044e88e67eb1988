"""Mirrored patients: words follow the image."""

import numpy as np
import torch

from zeusseg.case import Case, Target, Volume
from zeusseg.inference.load import LoadedModel
from zeusseg.inference.mirror import mirror_words, sided
from zeusseg.inference.segment import segment
from zeusseg.inference.slices import Slicing
from zeusseg.models.zeus import ZeusModel


def test_left_and_right_are_exchanged_and_nothing_else():
    assert mirror_words("Left frontal, right of it; leftover") == "Right frontal, left of it; leftover"


def test_a_target_with_a_side_is_found_by_any_of_its_words():
    plain, lateral = Target("lesion", (1,)), Target("RV", (1,), ("right ventricle",))
    assert sided([plain, lateral]) == lateral
    assert sided([plain, Target("a", (1,), (), "bright spot")]) is None


def test_a_model_trained_on_mirrored_patients_answers_a_mirrored_case_with_the_mirrored_mask():
    torch.manual_seed(0)
    parts = {"modalities": 1, "channels": 3, "width": 32, "vision_channels": (8, 16, 16)}
    loaded = LoadedModel(ZeusModel(**parts).eval(), parts, ("t1",), (), Slicing(), "name", mirror=True, clicks=False)
    array = np.random.default_rng(0).normal(size=(16, 24, 3))
    case, mirrored = (
        Case("c", "p", {"t1": Volume.from_file(np.ascontiguousarray(a), np.eye(4))}) for a in (array, array[::-1])
    )
    first = segment(loaded, case, {"a": "the left one"})["a"]
    second = segment(loaded, mirrored, {"a": "the right one"})["a"]
    np.testing.assert_allclose(first.probability, second.probability[::-1], atol=1e-5)
    assert abs(first.presence - second.presence) < 1e-5
