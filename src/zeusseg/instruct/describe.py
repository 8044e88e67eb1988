"""What is said of an outlying area: its place in the body, size, shape, border and texture."""

from __future__ import annotations

from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Mask
from zeusseg.instruct.areas import Area
from zeusseg.instruct.finding import Outlier, Side
from zeusseg.instruct.foreground import Image, WorkGrid
from zeusseg.instruct.shapes import dilated, eroded, roundness
from zeusseg.instruct.symmetry import SagittalPlane

Name = TypeVar("Name")
Point = NDArray[np.float64]

MIDLINE_SHARE = 0.04


def describe(
    area: Area, deviation: Image, body: Mask, plane: SagittalPlane | None, grid: WorkGrid, spacing_known: bool
) -> Outlier:
    """State an area in numbers and words. `deviation` and `body` are (x, y, z) on the work grid."""
    sign = 1.0 if area.polarity == "bright" else -1.0
    level = sign * deviation
    mask = area.mask
    centre = np.array([float(place.mean()) for place in np.nonzero(mask)])
    blocks = int(mask.sum())
    block_volume = grid.edges[0] * grid.edges[1] * grid.edges[2]
    largest_slice = float(mask.sum(axis=(0, 1)).max()) * grid.edges[0] * grid.edges[1]
    in_plane = 2 * float(np.sqrt(largest_slice / np.pi))
    flat = body.shape[2] == 1
    return Outlier(
        polarity=area.polarity,
        side=side(centre, body, plane, grid),
        anterior_posterior=_third(centre[1], body, 1, ("posterior", "middle", "anterior")),
        superior_inferior="middle" if flat else _third(centre[2], body, 2, ("inferior", "middle", "superior")),
        voxels=blocks * grid.voxels_per_block,
        volume_ml=blocks * block_volume / 1000.0 if spacing_known else None,
        diameter=in_plane if flat else ball_diameter(blocks * block_volume),
        in_plane=in_plane,
        share=blocks / float(body.sum()),
        roundness=roundness(mask, grid.edges),
        border=border(level, mask),
        texture=texture(level, mask),
        contrast=area.contrast,
        centre=_voxel(centre, grid.factors),
    )


def side(centre: Point, body: Mask, plane: SagittalPlane | None, grid: WorkGrid) -> Side:
    """The patient's side on which a centre (in blocks) lies; midline within a small share of the body's width."""
    across = np.nonzero(body.any(axis=(1, 2)))[0]
    width = float(across[-1] - across[0] + 1) * grid.edges[0]
    if plane is None:
        distance = (centre[0] - (body.shape[0] - 1) / 2) * grid.edges[0]
    else:
        distance = float(plane.distance(centre[0] * grid.edges[0], centre[1] * grid.edges[1]))
    if abs(distance) < MIDLINE_SHARE * width:
        return "midline"
    return "right" if distance > 0 else "left"


def _voxel(block: Point, factors: tuple[int, int, int]) -> tuple[float, float, float]:
    """The voxel index of a place that is given in blocks."""
    x, y, z = (block + 0.5) * factors - 0.5
    return (float(x), float(y), float(z))


def _third(place: float, body: Mask, axis: int, names: tuple[Name, Name, Name]) -> Name:
    """In which third of the body's extent along an axis a place (in blocks) lies."""
    along = np.nonzero(body.any(axis=tuple(other for other in range(3) if other != axis)))[0]
    share = (place - along[0] + 0.5) / float(along[-1] - along[0] + 1)
    return names[min(2, max(0, int(3 * share)))]


def ball_diameter(volume: float) -> float:
    """Diameter of the ball of a volume.

    >>> round(ball_diameter(4 / 3 * np.pi), 6)
    2.0
    """
    return float(2 * (3 * volume / (4 * np.pi)) ** (1 / 3))


def border(level: Image, mask: Mask) -> Literal["sharp", "ill-defined"]:
    """Sharp where most of the contrast is gone within two blocks across the outline, in plane."""
    rim = mask & ~eroded(mask, 1)
    core = mask & ~rim if (mask & ~rim).any() else mask
    beyond = dilated(mask, 2) & ~dilated(mask, 1)
    far = dilated(mask, 4) & ~dilated(mask, 2)
    if not beyond.any() or not far.any():
        return "sharp"
    contrast = float(np.median(level[core]) - np.median(level[far]))
    step = float(np.median(level[rim]) - np.median(level[beyond]))
    return "sharp" if step > 0.6 * contrast else "ill-defined"


def texture(level: Image, mask: Mask) -> Literal["homogeneous", "heterogeneous", "ring"]:
    """Ring where a good part of the middle falls behind the wall by half and more; else by the spread of the values."""
    core = eroded(mask, 2)
    wall = mask & ~core
    if core.sum() >= 4 and np.percentile(level[core], 25) < 0.5 * np.median(level[wall]):
        return "ring"
    inside = level[eroded(mask, 1)] if eroded(mask, 1).any() else level[mask]
    spread = float(np.percentile(inside, 84) - np.percentile(inside, 16)) / 2
    return "homogeneous" if spread < 0.3 * abs(float(np.median(inside))) else "heterogeneous"
