"""How much two masks share. A miss earns nothing; where the reference is empty every measure is NaN.

(A mask where there is nothing to segment is a false mask: it is counted apart, not averaged in.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zeusseg.case import Mask


@dataclass(frozen=True)
class Overlap:
    """Voxels that two masks share, and those of each, with what follows from them.

    >>> overlap(np.array([True, True, False]), np.array([True, False, False])).precision
    0.5
    """

    shared: int
    predicted: int
    true: int

    @property
    def dice(self) -> float:
        """Twice the shared voxels over the voxels of both; 0 for a miss, NaN for an empty reference."""
        return self._of_reference(2 * self.shared, self.predicted + self.true)

    @property
    def iou(self) -> float:
        """The shared voxels over those of the union; 0 for a miss, NaN for an empty reference."""
        return self._of_reference(self.shared, self.predicted + self.true - self.shared)

    @property
    def precision(self) -> float:
        """The share of the predicted voxels that is right; 0 for a miss, NaN for an empty reference."""
        return self._of_reference(self.shared, max(self.predicted, 1))

    @property
    def recall(self) -> float:
        """The share of the reference's voxels that was found; 0 for a miss, NaN for an empty reference."""
        return self._of_reference(self.shared, self.true)

    @property
    def volume_difference(self) -> float:
        """Predicted less reference voxels: above 0 where too much was marked; NaN for an empty reference."""
        return self._of_reference(self.predicted - self.true, 1)

    def _of_reference(self, part: int, whole: int) -> float:
        return part / whole if self.true else float("nan")


def overlap(prediction: Mask, reference: Mask) -> Overlap:
    """Count the voxels of two masks. Raises `ValueError` where the shapes differ."""
    if prediction.shape != reference.shape:
        raise ValueError(f"prediction {prediction.shape} and reference {reference.shape} must have one shape")
    predicted, true = prediction.astype(bool, copy=False), reference.astype(bool, copy=False)
    return Overlap(
        int(np.count_nonzero(predicted & true)), int(np.count_nonzero(predicted)), int(np.count_nonzero(true))
    )


def dice(prediction: Mask, reference: Mask) -> float:
    """Dice of two masks of one shape, as `Overlap.dice`.

    >>> dice(np.array([True, True, False]), np.array([True, False, False]))
    0.6666666666666666
    """
    return overlap(prediction, reference).dice


def iou(prediction: Mask, reference: Mask) -> float:
    """Intersection over union of two masks of one shape, as `Overlap.iou`.

    >>> iou(np.array([True, True, False]), np.array([True, False, False]))
    0.5
    """
    return overlap(prediction, reference).iou
