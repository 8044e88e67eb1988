"""The threshold that validation cases choose: of the best ones the nearest to one half, and marking does not pay."""

import numpy as np
import pytest
import torch
from torch import Tensor

from zeusseg.case import Case, Target, Volume
from zeusseg.errors import BadInputError, UsageError
from zeusseg.inference.load import LoadedModel
from zeusseg.inference.slices import Slicing
from zeusseg.inference.threshold import choose_threshold
from zeusseg.instruct.instruction import Instruction
from zeusseg.models.peers.base import PeerModel
from zeusseg.models.text import TextTokens

TARGET = Target("disc", (1,))
SIDE = 16


class Told(PeerModel):
    """Says the probability that it is told, inside a square of the picture and outside."""

    def __init__(self, inside: float, outside: float):
        super().__init__({"size": SIDE}, ((0.0,) * 3, (1.0,) * 3))
        self.probabilities = torch.full((SIDE, SIDE), outside)
        self.probabilities[4:12, 4:12] = inside

    @classmethod
    def load(cls, weights, changes, *, frozen=None):
        raise NotImplementedError

    def encode_text(self, texts) -> TextTokens:
        empty = torch.zeros(len(texts), 1)
        return TextTokens(empty[:, None], empty == 0, empty)

    def segment(self, pixels: Tensor, words: TextTokens) -> Tensor:
        return self.probabilities.logit().expand(len(pixels), words.pooled.shape[1], SIDE, SIDE)


class Cases:
    """Pictures with the square (or nothing) as their reference."""

    targets = (TARGET,)
    case_ids = ("square", "nothing", "broken")

    def read(self, case_id, *, labels=True):
        if case_id == "broken":
            raise BadInputError("broken.png: cannot be read")
        picture = np.random.default_rng(0).normal(size=(SIDE, SIDE, 1))
        mask = np.zeros((SIDE, SIDE, 1), dtype=np.uint8)
        mask[4:12, 4:12] = case_id == "square"
        images = {"us": Volume.from_file(picture, np.eye(4))}
        return Case(case_id, case_id, images, Volume.from_file(mask, np.eye(4)) if labels else None, False)


def choose(inside: float, outside: float, *case_ids: str):
    loaded = LoadedModel(Told(inside, outside), {}, ("us",), (TARGET,), Slicing(), "name", mirror=False, clicks=False)
    lines = [Instruction(case_id, "disc", "the disc") for case_id in case_ids]
    return choose_threshold(loaded, Cases(), lines, progress=False)


@pytest.mark.parametrize(
    ("inside", "outside", "expected"),
    # Right from `outside` up to what is just below `inside`, in steps of 0.05: the nearest to one half of them.
    [(0.32, 0.12, 0.3), (0.93, 0.72, 0.75), (0.9, 0.1, 0.5)],
)
def test_the_best_threshold_nearest_to_one_half(inside, outside, expected):
    assert choose(inside, outside, "square") == (expected, {})


def test_marking_what_is_not_there_does_not_pay():
    # The same answer on a case with the square and on one with nothing: 1 + 0 below 0.32, 0 + 1 above it, so that all
    # thresholds are worth the same; with a second case of nothing, silence is worth more.
    assert choose(0.32, 0.12, "square")[0] < 0.32
    threshold, _ = choose(0.32, 0.12, "square", "nothing")
    assert threshold == 0.5


def test_a_case_that_cannot_be_read_costs_itself():
    threshold, failures = choose(0.32, 0.12, "square", "broken")
    assert (threshold, failures) == (0.3, {"broken": "broken.png: cannot be read"})
    with pytest.raises(UsageError, match="no validation case could be asked"):
        choose(0.32, 0.12, "broken")
