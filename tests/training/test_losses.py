"""The loss: Dice of each target over the batch, cross-entropy everywhere, presence beside them."""

import math

import pytest
import torch

from zeusseg.models.zeus import ZeusOutput
from zeusseg.training.losses import PRESENCE_WEIGHT, MaskLoss

FIRST_AND_ABSENT = torch.tensor([[0, -1]])


def test_parts_are_as_worked_out_by_hand():
    # All logits 0 mean probability 1/2 everywhere; 4 pixels, of which 2 belong to the one target that is there.
    masks = torch.zeros(1, 2, 2, 2, dtype=torch.uint8)
    masks[0, 0, 0] = 1
    losses = MaskLoss()(ZeusOutput(torch.zeros(1, 2, 2, 2), torch.zeros(1, 2)), masks, FIRST_AND_ABSENT)
    # Dice = 2 * (2 * 0.5) / (4 * 0.5 + 2) = 1/2, of the present target alone.
    assert losses.dice.item() == pytest.approx(0.5, abs=1e-4)
    assert losses.cross_entropy.item() == pytest.approx(math.log(2))
    assert losses.presence.item() == pytest.approx(math.log(2))
    assert losses.total.item() == pytest.approx(0.5 + math.log(2) * (1 + PRESENCE_WEIGHT), abs=1e-4)


def test_dice_counts_false_marks_in_slices_without_the_target():
    # Two slices of 4 pixels; the target is 2 pixels of the first, marked right; 2 of the other are wrongly marked.
    masks = torch.zeros(2, 1, 2, 2, dtype=torch.uint8)
    masks[0, 0, 0] = 1
    logits = (masks.float() * 2 - 1) * 20
    logits[1, 0, 1] = 20
    losses = MaskLoss()(ZeusOutput(logits, torch.zeros(2, 1)), masks, torch.tensor([[0], [0]]))
    assert losses.dice.item() == pytest.approx(1 - 2 * 2 / (4 + 2), abs=1e-4)


def test_targets_have_a_dice_each_in_whatever_place_they_stand():
    masks = torch.zeros(2, 2, 2, 2, dtype=torch.uint8)
    masks[0, 0] = masks[1, 1] = 1  # target 5, found; target 3 is in the slices' other places
    masks[0, 1, 0] = 1  # target 3, missed
    logits = torch.full((2, 2, 2, 2), -20.0)
    logits[0, 0] = logits[1, 1] = 20.0
    losses = MaskLoss()(ZeusOutput(logits, torch.zeros(2, 2)), masks, torch.tensor([[5, 3], [3, 5]]))
    assert losses.dice.item() == pytest.approx(0.5, abs=1e-4)  # 0 for the one, 1 for the other


def test_right_masks_cost_next_to_nothing_and_wrong_ones_much():
    masks = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    masks[0, 0, :2] = 1
    right = (masks.float() * 2 - 1) * 20
    good = MaskLoss()(ZeusOutput(right, torch.full((1, 1), 20.0)), masks, torch.tensor([[0]]))
    bad = MaskLoss()(ZeusOutput(-right, torch.full((1, 1), -20.0)), masks, torch.tensor([[0]]))
    assert good.total < 1e-3
    assert bad.total > 20


def test_with_nothing_there_only_an_empty_mask_is_cheap():
    masks, absent = torch.zeros(1, 1, 4, 4, dtype=torch.uint8), torch.tensor([[-1]])
    empty = MaskLoss()(ZeusOutput(torch.full((1, 1, 4, 4), -20.0), torch.full((1, 1), -20.0)), masks, absent)
    full = MaskLoss()(ZeusOutput(torch.full((1, 1, 4, 4), 20.0), torch.full((1, 1), 20.0)), masks, absent)
    assert empty.dice == 0
    assert empty.total < 1e-3 < 20 < full.total
