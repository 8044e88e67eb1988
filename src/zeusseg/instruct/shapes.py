"""Operations on masks, plane by plane, in plain NumPy where that is several times faster than SciPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Mask

Box = tuple[slice, slice, slice]


def dilated(mask: Mask, radius: int) -> Mask:
    """The mask (x, y, z) widened in plane by a disc; nothing beyond the grid counts.

    >>> dilated(np.array([0, 0, 1, 0, 0], dtype=bool)[:, None, None], 1)[:, 0, 0].astype(int).tolist()
    [0, 1, 1, 1, 0]
    """
    result = mask.copy()
    nx, ny = mask.shape[:2]
    for dx, dy in _disc(radius):
        target = result[max(0, dx) : nx + min(0, dx), max(0, dy) : ny + min(0, dy)]
        target |= mask[max(0, -dx) : nx + min(0, -dx), max(0, -dy) : ny + min(0, -dy)]
    return result


def eroded(mask: Mask, radius: int) -> Mask:
    """The mask narrowed in plane by a disc; beyond the grid counts as inside, so only real borders recede."""
    return ~dilated(~mask, radius)


def opened(mask: Mask, radius: int) -> Mask:
    """The mask without what is thinner than the disc."""
    return dilated(eroded(mask, radius), radius)


def filled(mask: Mask) -> Mask:
    """The mask with holes filled in every plane."""
    from scipy import ndimage

    in_plane = np.zeros((3, 3, 3), dtype=bool)
    in_plane[1, :, 1] = in_plane[:, 1, 1] = True
    outside, count = ndimage.label(np.pad(~mask, ((1, 1), (1, 1), (0, 0)), constant_values=True), in_plane)
    reaches_edge = np.zeros(count + 1, dtype=bool)
    reaches_edge[outside[0, 0]] = True
    return ~reaches_edge[outside][1:-1, 1:-1]


def largest_piece(mask: Mask) -> Mask:
    """The largest piece of connected blocks (by their faces); an empty mask where there is none."""
    from scipy import ndimage

    pieces, count = ndimage.label(mask)
    if count == 0:
        return np.zeros(mask.shape, dtype=bool)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(pieces == int(sizes.argmax()))


def bounding_box(mask: Mask, margin: int = 0) -> Box:
    """The smallest box around a mask that is not empty, widened in plane by `margin` where the grid allows."""
    slices = []
    for axis in range(3):
        along = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        wider = margin if axis < 2 else 0
        slices.append(slice(max(0, int(along[0]) - wider), int(along[-1]) + 1 + wider))
    return (slices[0], slices[1], slices[2])


def roundness(mask: Mask, edges: tuple[float, ...] = (1.0, 1.0)) -> float:
    """How nearly the largest slice is a disc: the part of the disc of the same area about its centre that it fills.

    >>> round(roundness(np.ones((1, 9, 1), dtype=bool)), 2)
    0.33
    """
    x, y = np.nonzero(mask[:, :, int(mask.sum(axis=(0, 1)).argmax())])
    radius = np.hypot((x - x.mean()) * edges[0], (y - y.mean()) * edges[1])
    return float((radius <= np.sqrt(len(x) * edges[0] * edges[1] / np.pi)).mean())


def _disc(radius: int) -> NDArray[np.int_]:
    """Steps (dx, dy) of a disc other than (0, 0)."""
    reach = range(-radius, radius + 1)
    limit = radius * radius + 0.5 * radius
    return np.array([(dx, dy) for dx in reach for dy in reach if 0 < dx * dx + dy * dy <= limit])
