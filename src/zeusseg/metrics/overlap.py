"""How much two masks share. Empty masks: NaN where the reference is empty, 0 where only the prediction is."""

from __future__ import annotations

import numpy as np

from zeusseg.case import Mask


def dice(prediction: Mask, reference: Mask) -> float:
    """Twice the shared voxels over the voxels of both, of two masks of one shape.

    NaN where the reference is empty, whatever was predicted (a false mask is counted apart, not averaged in);
    0 for a miss. Raises `ValueError` where the shapes differ.

    >>> dice(np.array([True, True, False]), np.array([True, False, False]))
    0.6666666666666666
    """
    shared, predicted, true = _counts(prediction, reference)
    return 2 * shared / (predicted + true) if true else float("nan")


def iou(prediction: Mask, reference: Mask) -> float:
    """Shared voxels over the voxels of the union, of two masks of one shape; the same policy as `dice`.

    >>> iou(np.array([True, True, False]), np.array([True, False, False]))
    0.5
    """
    shared, predicted, true = _counts(prediction, reference)
    return shared / (predicted + true - shared) if true else float("nan")


def _counts(prediction: Mask, reference: Mask) -> tuple[int, int, int]:
    if prediction.shape != reference.shape:
        raise ValueError(f"prediction {prediction.shape} and reference {reference.shape} must have one shape")
    predicted, true = prediction.astype(bool), reference.astype(bool)
    return int(np.count_nonzero(predicted & true)), int(np.count_nonzero(predicted)), int(np.count_nonzero(true))
