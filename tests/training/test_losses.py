"""The loss: Dice where the target is, cross-entropy everywhere, presence beside them."""

import math

import pytest
import torch

from zeusseg.models.zeus import ZeusOutput
from zeusseg.training.losses import PRESENCE_WEIGHT, MaskLoss


def test_parts_are_as_worked_out_by_hand():
    # All logits 0 mean probability 1/2 everywhere; 4 pixels, of which 2 belong to the one target that is there.
    masks = torch.zeros(1, 2, 2, 2, dtype=torch.uint8)
    masks[0, 0, 0] = 1
    losses = MaskLoss()(ZeusOutput(torch.zeros(1, 2, 2, 2), torch.zeros(1, 2)), masks)
    # Dice = 2 * (2 * 0.5) / (4 * 0.5 + 2) = 1/2, for the present target alone.
    assert losses.dice.item() == pytest.approx(0.5, abs=1e-4)
    assert losses.cross_entropy.item() == pytest.approx(math.log(2))
    assert losses.presence.item() == pytest.approx(math.log(2))
    assert losses.total.item() == pytest.approx(0.5 + math.log(2) * (1 + PRESENCE_WEIGHT), abs=1e-4)


def test_right_masks_cost_next_to_nothing_and_wrong_ones_much():
    masks = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    masks[0, 0, :2] = 1
    right = (masks.float() * 2 - 1) * 20
    good = MaskLoss()(ZeusOutput(right, torch.full((1, 1), 20.0)), masks)
    bad = MaskLoss()(ZeusOutput(-right, torch.full((1, 1), -20.0)), masks)
    assert good.total < 1e-3
    assert bad.total > 20


def test_with_nothing_there_only_an_empty_mask_is_cheap():
    masks = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    empty = MaskLoss()(ZeusOutput(torch.full((1, 1, 4, 4), -20.0), torch.full((1, 1), -20.0)), masks)
    full = MaskLoss()(ZeusOutput(torch.full((1, 1, 4, 4), 20.0), torch.full((1, 1), 20.0)), masks)
    assert empty.dice == 0
    assert empty.total < 1e-3 < 20 < full.total
