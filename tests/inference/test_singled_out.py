"""Which of several lesions the words mean: chosen by measuring what the name alone finds."""

import numpy as np
import pytest

from helpers.heads import ball, head
from zeusseg.case import Target
from zeusseg.inference import singled_out
from zeusseg.inference.segment import SegmentedTarget
from zeusseg.inference.singled_out import SingledOut, single_out
from zeusseg.models.peers.base import PeerModel

SMALL_LEFT, LARGE_RIGHT = ball(16, 30, radius_mm=12), ball(43, 30, radius_mm=22)
BOTH = SMALL_LEFT | LARGE_RIGHT
OWN_ANSWER = ball(30, 10)


class Loaded:
    model: object = None
    targets = (Target("lesion", (1,), ("tumor",)), Target("ventricles", (2,)))


def found(mask) -> SegmentedTarget:
    return SegmentedTarget(mask.astype(np.float32), 0.9, None)


@pytest.fixture
def choose(monkeypatch):
    """The mask for a text, of a model that finds `by_name` for the name and something else for the words."""

    def choose(text: str, by_name=BOTH):
        monkeypatch.setattr(
            singled_out, "segment", lambda loaded, case, texts, **options: {key: found(by_name) for key in texts}
        )
        case = head(flair=[(SMALL_LEFT, 180), (LARGE_RIGHT, 20)])
        chosen = single_out(Loaded(), case, {"text": text}, {"text": found(OWN_ANSWER)})
        return chosen.answers["text"], chosen.told.get("text")

    return choose


@pytest.mark.parametrize(
    ("text", "mask", "said"),
    [
        ("the lesion on the left", SMALL_LEFT, "left"),
        ("segment the right-sided tumor", LARGE_RIGHT, "right"),
        ("the larger lesion", LARGE_RIGHT, "large"),
        ("the tumor that is bright on FLAIR", SMALL_LEFT, "bright on FLAIR"),
        ("the small lesion on the left, bright on FLAIR", SMALL_LEFT, "left, small, bright on FLAIR"),
    ],
)
def test_the_piece_that_the_words_fit_is_the_mask(choose, text, mask, said):
    answer, told = choose(text)
    assert np.array_equal(answer.mask, mask)
    assert told == SingledOut(said, pieces=2, kept=1)


def test_where_nothing_fits_the_mask_is_empty_and_says_why(choose):
    answer, told = choose("the larger lesion on the left")
    assert not answer.mask.any()
    assert "left, large" in str(answer.empty_reason)
    assert told == SingledOut("left, large", pieces=2, kept=0)


@pytest.mark.parametrize(
    "text",
    [
        "the lesion",  # says nothing of it
        "the ventricles on the left",  # anatomy is on its side by nature
        "the lesion and the ventricles on the left",  # of which of the two?
        "no lesion on the left",  # denies it
        "the lesion on the left or on the right",
    ],
)
def test_a_text_that_singles_nothing_out_keeps_the_models_own_answer(choose, text):
    answer, told = choose(text)
    assert np.array_equal(answer.mask, OWN_ANSWER)
    assert told is None


def test_the_size_of_a_single_lesion_cannot_be_told_and_keeps_the_models_own_answer(choose):
    answer, told = choose("the smaller lesion", by_name=SMALL_LEFT)
    assert np.array_equal(answer.mask, OWN_ANSWER)
    assert told is None


def test_a_single_lesion_on_the_other_side_is_not_meant(choose):
    answer, told = choose("the lesion on the right", by_name=SMALL_LEFT)
    assert not answer.mask.any()
    assert told == SingledOut("right", pieces=1, kept=0)


def test_a_peers_answer_is_its_own():
    class Peer(PeerModel):
        load = encode_text = segment = None

    loaded = Loaded()
    loaded.model = Peer({"size": 16})
    own = {"text": found(OWN_ANSWER)}
    chosen = single_out(loaded, head(flair=[(SMALL_LEFT, 180)]), {"text": "the lesion on the left"}, own)
    assert chosen == (own, {}, {})
