"""Two masks cut to the smallest box that holds both: they are small beside their image, so most work is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Mask


@dataclass(frozen=True, eq=False)
class MaskPair:
    """Two masks of one shape, cut. What lies beyond the box is outside of both, as what lies beyond the image is.

    Axes of one plane of the image are dropped, so that a picture (x, y, 1) is flat. `edges` are the voxel edges of
    the axes that are left, and `diagonal` is the longest extent of the image, in the same unit.
    """

    prediction: Mask
    reference: Mask
    edges: NDArray[np.float64]
    diagonal: float


def pair_masks(prediction: Mask, reference: Mask, spacing: Sequence[float]) -> MaskPair:
    """Pair two masks (x, y, z) or (x, y). Raises `ValueError` where shapes differ or the spacing does not fit them."""
    if prediction.shape != reference.shape:
        raise ValueError(f"prediction {prediction.shape} and reference {reference.shape} must have one shape")
    if len(spacing) != prediction.ndim or min(spacing) <= 0:
        raise ValueError(
            f"spacing {tuple(spacing)} does not fit masks of shape {prediction.shape}: one edge > 0 per axis"
        )
    several = [axis for axis, size in enumerate(prediction.shape) if size > 1] or [0]
    shape = [prediction.shape[axis] for axis in several]
    edges = np.array([spacing[axis] for axis in several], dtype=np.float64)
    first, second = prediction.reshape(shape), reference.reshape(shape)
    box = _box(first, second)
    return MaskPair(
        prediction=np.ascontiguousarray(first[box], dtype=bool),
        reference=np.ascontiguousarray(second[box], dtype=bool),
        edges=edges,
        diagonal=float(np.linalg.norm(edges * shape)),
    )


def _box(first: Mask, second: Mask) -> tuple[slice, ...]:
    """The smallest box around both; of two empty masks, the first voxel."""
    box = [slice(0, size) for size in first.shape]
    for axis in range(first.ndim):
        others = tuple(a for a in range(first.ndim) if a != axis)
        # Each axis is searched within what the axes before it left.
        filled = np.flatnonzero(first[tuple(box)].any(axis=others) | second[tuple(box)].any(axis=others))
        box[axis] = slice(int(filled[0]), int(filled[-1]) + 1) if len(filled) else slice(0, 1)
    return tuple(box)
