"""How far apart the surfaces of two masks lie, by either of the two definitions in use.

`border`: a border voxel is a voxel of the mask with a face neighbour outside it; beyond the image counts as outside.
Every border voxel counts alike (MONAI's default, medpy). `elements`: the surface runs between voxels, in a piece per
2x2x2 neighbourhood that is partly inside, and each piece counts by its area in the spacing (surface-distance of
Nikolov et al., arXiv 1809.04430; MONAI with `use_subvoxels`).

Axes of one plane are dropped first, so a picture (x, y, 1) has the outline of a flat shape instead of being border all
over. HD95 is the larger of the two directed 95th percentiles; medpy pools the directions before the percentile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Mask
from zeusseg.metrics.box import MaskPair, pair_masks

Distances = NDArray[np.float64]
Indices = NDArray[np.intp]
SurfaceKind = Literal["border", "elements"]


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Distances between two surfaces, found once and read by every measure below; the unit is that of the spacing.

    `from_prediction` (points of the prediction,) holds the distance of each to the nearest point of the reference,
    `from_reference` the other way round; where the other mask is empty every distance is `diagonal`, the longest
    extent of the image. An empty mask has no surface, hence an empty array. `prediction_areas` and `reference_areas`
    tell how much each point counts; None where all count alike.
    """

    from_prediction: Distances
    from_reference: Distances
    diagonal: float
    prediction_areas: Distances | None = None
    reference_areas: Distances | None = None


def surface_distances(
    prediction: Mask, reference: Mask, spacing: Sequence[float], kind: SurfaceKind = "border"
) -> SurfaceDistances:
    """Distances between the surfaces of two masks (x, y, z) or (x, y) of one shape, with the voxel edges `spacing`.

    Raises `ValueError` where the shapes differ, the spacing does not fit them, or the kind is unknown.
    """
    return pair_distances(pair_masks(prediction, reference, spacing), kind)


def pair_distances(pair: MaskPair, kind: SurfaceKind = "border") -> SurfaceDistances:
    """`surface_distances` of masks that were paired already."""
    if kind == "border":
        (predicted, _), (true, _) = _both_ways(_border(pair.prediction), _border(pair.reference), pair)
        return SurfaceDistances(predicted, true, pair.diagonal)
    if kind != "elements":
        raise ValueError(f"unknown surface {kind!r}: expected 'border' or 'elements'")
    codes = _codes(pair.prediction), _codes(pair.reference)
    full = 2 ** (2 ** len(pair.edges)) - 1
    on_predicted, on_true = ((code != 0) & (code != full) for code in codes)
    (predicted, predicted_at), (true, true_at) = _both_ways(on_predicted, on_true, pair)
    areas = _areas(pair.edges)
    return SurfaceDistances(
        predicted, true, pair.diagonal, areas[codes[0].ravel()[predicted_at]], areas[codes[1].ravel()[true_at]]
    )


def hausdorff_95(distances: SurfaceDistances) -> float:
    """The larger of the two directed 95th percentiles; the image's diagonal for a miss, NaN for an empty reference."""
    if distances.from_reference.size == 0:
        return float("nan")
    if distances.from_prediction.size == 0:
        return distances.diagonal
    return max(
        _percentile_95(distances.from_prediction, distances.prediction_areas),
        _percentile_95(distances.from_reference, distances.reference_areas),
    )


def average_symmetric_surface_distance(distances: SurfaceDistances) -> float:
    """The mean distance of all points of both surfaces to the other one (Heimann et al. 2009, TMI 28(8), ASD).

    The image's diagonal for a miss, NaN for an empty reference. medpy's `assd` is the mean of the two directed means
    instead.
    """
    if distances.from_reference.size == 0:
        return float("nan")
    if distances.from_prediction.size == 0:
        return distances.diagonal
    both, areas = _pooled(distances)
    return float(np.average(both, weights=areas))


def normalized_surface_dice(distances: SurfaceDistances, tolerance: float) -> float:
    """The share of both surfaces that lies within `tolerance` of the other; 0 for a miss, NaN for an empty reference.

    Source: Nikolov et al., arXiv 1809.04430. Raises `ValueError` for a negative tolerance.
    """
    if tolerance < 0:
        raise ValueError(f"tolerance {tolerance} is negative: expected a distance in the unit of the spacing")
    if distances.from_reference.size == 0:
        return float("nan")
    if distances.from_prediction.size == 0:
        return 0.0
    # Twenty steps of 0.1 mm add up to a little more than 2 mm in floating point; they are meant to be within 2 mm.
    limit = tolerance * (1 + 1e-9)
    both, areas = _pooled(distances)
    return float(np.average(both <= limit, weights=areas))


def _pooled(distances: SurfaceDistances) -> tuple[Distances, Distances | None]:
    both = np.concatenate([distances.from_prediction, distances.from_reference])
    if distances.prediction_areas is None or distances.reference_areas is None:
        return both, None
    return both, np.concatenate([distances.prediction_areas, distances.reference_areas])


def _percentile_95(distances: Distances, areas: Distances | None) -> float:
    """The 95th percentile; with areas, the first distance within which 95 % of the area lies."""
    if areas is None:
        return float(np.percentile(distances, 95))
    order = np.argsort(distances)
    covered = np.cumsum(areas[order]) / areas.sum()
    place = min(int(np.searchsorted(covered, 0.95)), len(distances) - 1)
    return float(distances[order][place])


def _both_ways(
    on_predicted: Mask, on_true: Mask, pair: MaskPair
) -> tuple[tuple[Distances, Indices], tuple[Distances, Indices]]:
    """Distances from each surface to the other, and which point (flat index) each belongs to.

    Points that both surfaces share come first, at distance 0: a tree need not be asked for them.
    """
    shared = np.flatnonzero(on_predicted & on_true)
    predicted = np.concatenate([shared, np.flatnonzero(on_predicted & ~on_true)])
    true = np.concatenate([shared, np.flatnonzero(on_true & ~on_predicted)])
    if not len(predicted) or not len(true):
        return (np.full(len(predicted), pair.diagonal), predicted), (np.full(len(true), pair.diagonal), true)
    points, others = (np.stack(np.unravel_index(at, on_true.shape), axis=1) * pair.edges for at in (predicted, true))
    return (_nearest(points, others, len(shared)), predicted), (_nearest(others, points, len(shared)), true)


def _nearest(points: Distances, others: Distances, shared: int) -> Distances:
    """The distance of each point (n, axis) to the nearest of the others; the first `shared` are among them."""
    from scipy.spatial import cKDTree

    distances = np.zeros(len(points))
    if len(points) > shared:
        # Building without medians and shrunken boxes is quicker, and voxels lie evenly enough not to miss them.
        tree = cKDTree(others, balanced_tree=False, compact_nodes=False)
        distances[shared:] = tree.query(points[shared:])[0]
    return distances


def _border(mask: Mask) -> Mask:
    """The border voxels of a mask."""
    inside = mask.copy()
    for axis in range(mask.ndim):
        to_end = np.moveaxis(inside, axis, 0)
        neighbours = np.moveaxis(mask, axis, 0)
        to_end[:-1] &= neighbours[1:]
        to_end[1:] &= neighbours[:-1]
        to_end[0] = to_end[-1] = False
    return mask & ~inside


def _codes(mask: Mask) -> NDArray[np.uint8]:
    """One number per neighbourhood of 2 voxels along each axis: which of them are inside, a bit each, as MONAI's."""
    padded = np.pad(mask, 1).astype(np.uint8)
    corners = np.ndindex(*(2,) * mask.ndim)
    codes = np.zeros([size + 1 for size in mask.shape], dtype=np.uint8)
    for bit, corner in enumerate(reversed(list(corners))):
        window = tuple(slice(start, start + size) for start, size in zip(corner, codes.shape, strict=True))
        codes |= padded[window] << bit
    return codes


def _areas(edges: Distances) -> Distances:
    """The area (the length in 2-D) of the surface in each kind of neighbourhood."""
    if len(edges) == 1:
        return np.array([0.0, 1.0, 1.0, 0.0])  # a point on a line, whichever side is inside
    from monai.metrics.utils import get_code_to_measure_table

    return np.asarray(get_code_to_measure_table(tuple(edges.tolist()))[0], dtype=np.float64)
