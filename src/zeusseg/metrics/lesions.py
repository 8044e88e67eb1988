"""Lesions one by one: how many were found, how many were made up, and how well each was outlined.

A lesion is a connected component (26 neighbours in 3-D, 8 in 2-D). A reference lesion is found where any voxel of it
was predicted; a predicted component that touches no reference lesion is a false lesion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zeusseg.case import Mask
from zeusseg.metrics.box import pair_masks


@dataclass(frozen=True)
class LesionScores:
    """Counts of reference lesions `found` and `missed` and of `false` lesions, and the Dice of each found one."""

    found: int
    missed: int
    false: int
    dice_of_found: tuple[float, ...]

    @property
    def f1(self) -> float:
        """Twice the found over the found twice, the missed and the false; NaN without any reference lesion."""
        if not self.found + self.missed:
            return float("nan")
        return 2 * self.found / (2 * self.found + self.missed + self.false)

    @property
    def dice(self) -> float:
        """The mean Dice per lesion, 0 for missed and for false ones; NaN without any reference lesion.

        The lesion-wise Dice of the BraTS 2023 challenge, without its dilation of the reference.
        """
        if not self.found + self.missed:
            return float("nan")
        return sum(self.dice_of_found) / (self.found + self.missed + self.false)


def lesion_scores(prediction: Mask, reference: Mask) -> LesionScores:
    """Match the components of two masks (x, y, z) or (x, y) of one shape.

    A reference lesion is outlined by all predicted components that touch it, whole. Raises `ValueError` where the
    shapes differ.
    """
    import cc3d

    pair = pair_masks(prediction, reference, [1.0] * prediction.ndim)
    # In a plane, 26 neighbours are 8.
    shape = (*pair.prediction.shape, 1, 1)[:3]
    predicted_mask, true_mask = pair.prediction.reshape(shape), pair.reference.reshape(shape)
    predicted, true = (cc3d.connected_components(mask, connectivity=26) for mask in (predicted_mask, true_mask))
    predicted_sizes, true_sizes = np.bincount(predicted.ravel()), np.bincount(true.ravel())
    both = predicted_mask & true_mask
    pairs, shared = np.unique(np.stack([true[both], predicted[both]]), axis=1, return_counts=True)
    dice = []
    for lesion in np.unique(pairs[0]):
        touching = pairs[0] == lesion
        outlined = predicted_sizes[pairs[1][touching]].sum()
        dice.append(float(2 * shared[touching].sum() / (true_sizes[lesion] + outlined)))
    return LesionScores(
        found=len(dice),
        missed=len(true_sizes) - 1 - len(dice),
        false=len(predicted_sizes) - 1 - len(np.unique(pairs[1])),
        dice_of_found=tuple(dice),
    )
