"""What training minimises: overlap and cross-entropy of the masks, and cross-entropy of the presence."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from zeusseg.models.zeus import ZeusOutput

PRESENCE_WEIGHT = 0.2


@dataclass
class Losses:
    """Scalars: `total`, and its parts before weighting."""

    total: Tensor
    dice: Tensor
    cross_entropy: Tensor
    presence: Tensor


class MaskLoss(nn.Module):
    """Dice over the targets that are in the slice, cross-entropy over all, presence beside them.

    Dice of an empty reference is undefined, and its smoothed form has no useful gradient; cross-entropy alone teaches
    a mask to stay empty.
    """

    def __init__(self) -> None:
        super().__init__()
        from monai.losses import DiceLoss

        self.dice = DiceLoss(sigmoid=True, reduction="none")

    def forward(self, output: ZeusOutput, masks: Tensor) -> Losses:
        """`masks` (batch, target, height, width), 0 or 1; all zero where a target is absent."""
        reference = masks.to(output.masks)
        present = reference.flatten(2).any(dim=2)
        cross_entropy = functional.binary_cross_entropy_with_logits(output.masks, reference)
        each = self.dice(output.masks.flatten(0, 1)[:, None], reference.flatten(0, 1)[:, None]).flatten()
        dice = (each * present.flatten()).sum() / present.sum().clamp(min=1)
        presence = functional.binary_cross_entropy_with_logits(output.presence, present.to(output.presence))
        return Losses(dice + cross_entropy + PRESENCE_WEIGHT * presence, dice, cross_entropy, presence)
