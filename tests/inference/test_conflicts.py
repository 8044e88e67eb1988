"""Words against what the model finds by the name alone: what is flagged, in which words, and what is not."""

import numpy as np
import pytest

from helpers.heads import ball, head
from zeusseg.case import Case, Target, Volume
from zeusseg.inference import conflicts
from zeusseg.inference.conflicts import Conflict, find_conflicts
from zeusseg.inference.segment import SegmentedTarget

DEFINITION = "abnormal tissue on one side: bright on FLAIR, dark on T1"
# Balls of 15 mm radius: 238 voxels of 54 mm3, 12.9 ml, as a ball of 29 mm.
LEFT, RIGHT = ball(16, 30), ball(43, 30)
LARGE_RIGHT = ball(41, 30, radius_mm=24)
CRUMBS = np.zeros_like(RIGHT)
CRUMBS[36:50:2, 20:50:2, 3] = True


class Loaded:
    targets = (Target("lesion", (1,), ("tumor",), DEFINITION), Target("cyst", (2,)))
    writer = "name"


@pytest.fixture
def model(monkeypatch):
    """A model that finds a given mask for given texts, and nothing for others; it keeps what it was asked."""
    asked: list[str] = []

    def knows(**masks):
        def answer(loaded, case, texts, **options):
            asked.extend(texts.values())
            return {key: found(masks.get(text.replace(" ", "_"), np.zeros(case.shape))) for key, text in texts.items()}

        monkeypatch.setattr(conflicts, "segment", answer)
        return asked

    return knows


def found(mask) -> SegmentedTarget:
    empty = None if mask.any() else "presence 0.02 is below 0.5"
    return SegmentedTarget(mask.astype(np.float32), 0.9 if mask.any() else 0.02, empty)


def case_with(mask, flair: float = 180, t1: float = 60) -> Case:
    return head(flair=[(mask, flair)], t1=[(mask, t1)])


def told(text: str, mask, case: Case | None = None, key: str = "lesion") -> list[tuple[str, str, str]]:
    case = case_with(mask) if case is None else case
    return [(c.about, c.said, c.seen) for c in find_conflicts(Loaded(), case, {key: text})[key]]


def test_a_mask_emptied_by_a_wrong_side_is_told_with_the_side_that_the_name_alone_shows(model):
    asked = model(lesion=RIGHT)
    nothing = found(np.zeros(RIGHT.shape, dtype=bool))
    answers = find_conflicts(
        Loaded(), case_with(RIGHT), {"lesion": "the lesion on the left", "cyst": "cyst"}, segmented={"lesion": nothing}
    )
    text = (
        "the words say left; what the model finds by the name alone lies on the right (12.9 ml); asked with these "
        "words, it finds nothing"
    )
    assert answers == {"lesion": (Conflict("side", "left", "right", text),), "cyst": ()}
    assert asked == ["lesion"]


def test_a_name_that_was_answered_before_is_not_asked_again(model):
    asked = model()
    (conflict,) = find_conflicts(
        Loaded(), case_with(RIGHT), {"lesion": "the lesion on the left"}, by_name={"lesion": found(RIGHT)}
    )["lesion"]
    assert (conflict.said, conflict.seen) == ("left", "right")
    assert asked == []


def test_a_mask_that_obeys_a_wrong_side_is_flagged_all_the_same(model):
    model(lesion=RIGHT)
    (conflict,) = find_conflicts(
        Loaded(), case_with(RIGHT), {"lesion": "the left-sided lesion"}, segmented={"lesion": found(LEFT)}
    )["lesion"]
    assert conflict.text.endswith("on the right (12.9 ml)")


@pytest.mark.parametrize(
    ("text", "mask"),
    [
        ("the lesion on the right", RIGHT),
        # One of several is on that side.
        ("the lesion on the left", LEFT | LARGE_RIGHT),
        ("bilateral lesions", LEFT | RIGHT),
        ("a lesion of 35 mm on the right, bright on FLAIR", RIGHT),
        ("the lesion, not on the left", RIGHT),
        ("no lesion on the left", RIGHT),
        # Nothing to measure: nothing found, and a modality that is not there.
        ("the lesion on the left", np.zeros(RIGHT.shape, dtype=bool)),
        ("the lesion, dark on T2", RIGHT),
        # Crumbs, none of which is a twentieth of the mask.
        ("the lesion on the left", CRUMBS),
        # It lies across the midline.
        ("the lesion on the left", ball(30.5, 30, radius_mm=24)),
    ],
)
def test_words_that_agree_and_words_that_cannot_be_held_against_anything_are_not_flagged(model, text, mask):
    model(lesion=mask)
    assert told(text, mask) == []


@pytest.mark.parametrize(
    ("text", "mask", "expected"),
    [
        ("bilateral lesions", RIGHT, ("side", "both sides", "right")),
        ("the lesion in the midline", RIGHT, ("side", "midline", "right")),
        ("a lesion of 60 mm", RIGHT, ("size", "60 mm", "29 mm")),
        ("a lesion of 1 cm", RIGHT, ("size", "10 mm", "29 mm")),
        ("the large lesion", ball(43, 30, radius_mm=7), ("size", "large", "0.14 %")),
        ("a small lesion", ball(41, 30, radius_mm=36), ("size", "small", "16 %")),
        ("the lesion, dark on FLAIR", RIGHT, ("signal", "hypointense on FLAIR", "hyperintense on FLAIR")),
        ("the lesion, bright on T1", RIGHT, ("signal", "hyperintense on T1", "hypointense on T1")),
    ],
)
def test_side_size_and_signal_that_no_piece_has_are_flagged(model, text, mask, expected):
    model(lesion=mask)
    assert told(text, mask) == [expected]


def test_a_signal_without_a_modality_may_be_that_of_any(model):
    model(lesion=RIGHT)
    assert told("the bright lesion", RIGHT) == told("the dark lesion", RIGHT) == []
    both_dark = case_with(RIGHT, flair=60, t1=60)
    assert told("the bright lesion", RIGHT, both_dark) == [("signal", "bright", "hypointense on FLAIR")]


def test_where_no_single_piece_has_all_that_is_said_the_best_fitting_one_is_told_of(model):
    model(lesion=LEFT | LARGE_RIGHT)
    case = head(flair=[(LEFT, 40), (LARGE_RIGHT, 180)], t1=[])
    (conflict,) = find_conflicts(Loaded(), case, {"lesion": "the lesion on the left that is bright on FLAIR"})["lesion"]
    assert (conflict.about, conflict.said, conflict.seen) == ("side", "left", "right")
    assert "the part of what the model finds by the name alone that fits best lies on the right" in conflict.text
    assert told("the smaller lesion on the left that is dark on FLAIR", LEFT, case) == []


def test_what_the_writer_found_is_not_flagged_again_and_costs_no_second_pass(model):
    asked = model(lesion=RIGHT)
    text = f"Segment the lesion: {DEFINITION}. FLAIR: a hyperintense area of 10 mm on the left. T1: bright on the left."
    assert told(text, RIGHT) == []
    assert asked == []


def test_of_a_text_of_ones_own_the_words_without_attributes_are_asked_and_then_the_targets_that_it_names(model):
    asked = model(the_tumor=RIGHT)
    assert told("the tumor on the left", RIGHT, key="text") == [("side", "left", "right")]
    assert asked == ["the tumor", "lesion"]
    model(lesion=RIGHT)
    assert told("the tumor on the left", RIGHT, key="text") == [("side", "left", "right")]
    model(something=RIGHT)
    assert told("the tumor on the left", RIGHT, key="text") == []


def test_a_crop_has_no_sides_and_no_share_of_the_body_but_millimetres_and_signal(model):
    model(lesion=RIGHT[25:55, 15:45])
    whole = case_with(RIGHT)
    images = {name: Volume.from_file(v.array[25:55, 15:45], v.affine) for name, v in whole.images.items()}
    text = "the large dark lesion of 90 mm on the left, dark on FLAIR"
    assert [about for about, *_ in told(text, None, Case("c", "p", images))] == ["size", "signal"]
    assert told("the large lesion on the left", None, Case("c", "p", images)) == []


def test_without_a_spacing_millimetres_mean_nothing(model):
    model(lesion=RIGHT)
    whole = case_with(RIGHT)
    assert told("a lesion of 90 mm", RIGHT, Case("c", "p", whole.images, spacing_known=False)) == []


def test_of_a_picture_size_and_signal_are_told_but_no_side(model):
    pixels = np.full((60, 80), 120, dtype=np.uint8)
    pixels[10:18, 10:18] = 20
    volume = Volume.from_file(pixels.T[..., None], np.diag([-1.0, -1.0, 1.0, 1.0]), "picture")
    model(lesion=volume.array == 20)
    case = Case("c", "p", {"us": volume}, spacing_known=False)
    text = "the bright lesion of 60 mm on the right; a lesion of 40 % of the picture"
    (signal, size) = find_conflicts(Loaded(), case, {"lesion": text})["lesion"]
    assert (signal.about, signal.said, signal.seen) == ("signal", "bright", "hypoechoic on ultrasound")
    assert (size.about, size.said, size.seen) == ("size", "40 %", "1.3 %")
    assert size.text.endswith("fills 1.3 % of the picture (64 voxels)")
    assert told("the lesion on the left", None, case) == told("the lesion on the right", None, case) == []
