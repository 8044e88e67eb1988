"""What training minimises: overlap and cross-entropy of the masks, and cross-entropy of the presence."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from zeusseg.models.alignment import alignment_loss
from zeusseg.models.zeus import ZeusOutput

PRESENCE_WEIGHT = 0.2
ALIGNMENT_WEIGHT = 0.2


@dataclass
class Losses:
    """Scalars: `total`, and its parts before weighting."""

    total: Tensor
    dice: Tensor
    cross_entropy: Tensor
    presence: Tensor
    alignment: Tensor


def average(first: Losses, second: Losses) -> Losses:
    """The mean of two losses, part by part."""
    return Losses(*((a + b) / 2 for a, b in zip(vars(first).values(), vars(second).values(), strict=True)))


class MaskLoss(nn.Module):
    """Dice of each target over the whole batch, cross-entropy of every mask, presence beside them.

    Taken over the batch (as nnU-Net does in 2-D), Dice also counts what is wrongly marked in slices without the
    target; taken slice by slice it is undefined there. A target that no slice of the batch holds has no Dice, and
    cross-entropy alone teaches its mask, like that of absent words, to stay empty.
    """

    def __init__(self) -> None:
        super().__init__()
        from monai.losses import DiceLoss

        self.dice = DiceLoss(sigmoid=True, batch=True)

    def forward(self, output: ZeusOutput, masks: Tensor, targets: Tensor) -> Losses:
        """`masks` (batch, target, height, width), 0 or 1, all zero where a target is absent; `targets` (batch, target)
        tells which target of the data set each is, -1 for absent words."""
        reference = masks.to(output.masks)
        present = reference.flatten(2).any(dim=2)
        cross_entropy = functional.binary_cross_entropy_with_logits(output.masks, reference)
        there = [targets == target for target in torch.unique(targets[present])]
        each = [self.dice(output.masks[pairs][:, None], reference[pairs][:, None]) for pairs in there]
        dice = torch.stack(each).mean() if each else cross_entropy.new_zeros(())
        presence = functional.binary_cross_entropy_with_logits(output.presence, present.to(output.presence))
        alignment = dice.new_zeros(())
        if output.alignment is not None:
            alignment = alignment_loss(output.alignment, reference)
        total = dice + cross_entropy + PRESENCE_WEIGHT * presence + ALIGNMENT_WEIGHT * alignment
        return Losses(total, dice, cross_entropy, presence, alignment)
