"""How far apart the borders of two masks lie.

A border voxel is a voxel of the mask with a face neighbour outside it; beyond the image counts as outside. Axes of one
plane are dropped first, so a picture (x, y, 1) has the border of a flat shape instead of being border all over.
HD95 is the larger of the two directed 95th percentiles and NSD counts border voxels, both as MONAI has them;
medpy pools the two directions before the percentile and surface-distance weighs surface elements by their area.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Mask

Distances = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Distances between two borders, found once and read by every measure below; the unit is that of the spacing.

    `from_prediction` (border voxels of the prediction,) holds the distance of each to the nearest border voxel of the
    reference, `from_reference` the other way round; where the other mask is empty every distance is `diagonal`, the
    longest extent of the image. An empty mask has no border voxel, hence an empty array.
    """

    from_prediction: Distances
    from_reference: Distances
    diagonal: float


def surface_distances(prediction: Mask, reference: Mask, spacing: Sequence[float]) -> SurfaceDistances:
    """Distances between the borders of two masks (x, y, z) or (x, y) of one shape, with the voxel edges `spacing`.

    Raises `ValueError` where the shapes differ or the spacing does not fit them.
    """
    from scipy.spatial import cKDTree

    if prediction.shape != reference.shape:
        raise ValueError(f"prediction {prediction.shape} and reference {reference.shape} must have one shape")
    if len(spacing) != prediction.ndim or min(spacing) <= 0:
        raise ValueError(
            f"spacing {tuple(spacing)} does not fit masks of shape {prediction.shape}: one edge > 0 per axis"
        )
    several = [axis for axis, size in enumerate(prediction.shape) if size > 1] or [0]
    edges = np.array([spacing[axis] for axis in several], dtype=np.float64)
    shape = [prediction.shape[axis] for axis in several]
    diagonal = float(np.linalg.norm(edges * shape))
    predicted, true = (_border_points(mask.astype(bool).reshape(shape)) * edges for mask in (prediction, reference))
    if len(predicted) == 0 or len(true) == 0:
        return SurfaceDistances(np.full(len(predicted), diagonal), np.full(len(true), diagonal), diagonal)
    return SurfaceDistances(
        from_prediction=np.asarray(cKDTree(true).query(predicted)[0], dtype=np.float64),
        from_reference=np.asarray(cKDTree(predicted).query(true)[0], dtype=np.float64),
        diagonal=diagonal,
    )


def hausdorff_95(distances: SurfaceDistances) -> float:
    """The larger of the two directed 95th percentiles; the image's diagonal for a miss, NaN for an empty reference."""
    if distances.from_reference.size == 0:
        return float("nan")
    if distances.from_prediction.size == 0:
        return distances.diagonal
    return float(max(np.percentile(distances.from_prediction, 95), np.percentile(distances.from_reference, 95)))


def normalized_surface_dice(distances: SurfaceDistances, tolerance: float) -> float:
    """The share of both borders that lies within `tolerance` of the other; 0 for a miss, NaN for an empty reference.

    Raises `ValueError` for a negative tolerance.
    """
    if tolerance < 0:
        raise ValueError(f"tolerance {tolerance} is negative: expected a distance in the unit of the spacing")
    if distances.from_reference.size == 0:
        return float("nan")
    if distances.from_prediction.size == 0:
        return 0.0
    # Twenty steps of 0.1 mm add up to a little more than 2 mm in floating point; they are meant to be within 2 mm.
    limit = tolerance * (1 + 1e-9)
    both = np.concatenate([distances.from_prediction, distances.from_reference])
    return float(np.mean(both <= limit))


def _border_points(mask: Mask) -> NDArray[np.float64]:
    """Indices (n, axes) of the border voxels."""
    from scipy.ndimage import binary_erosion, find_objects

    box = find_objects(mask.astype(np.uint8))
    if not box or box[0] is None:
        return np.empty((0, mask.ndim))
    # Only the box around the mask is eroded: masks are small beside their image. The erosion takes what lies beyond an
    # edge for outside, which is what it is at the edge of the box and what it counts as at the edge of the image.
    inside = mask[box[0]]
    border = inside & ~binary_erosion(inside)
    corner = np.array([part.start for part in box[0]])
    return (np.argwhere(border) + corner).astype(np.float64)
