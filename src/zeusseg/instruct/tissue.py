"""The tissue that outliers are judged against: without skin and skull, with its shading evened out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Mask
from zeusseg.instruct.foreground import Image, WorkGrid
from zeusseg.instruct.shapes import dilated, eroded, filled, largest_piece

DEEPEST_RIM_SHARE = 0.3
SKULL_DIP = 0.75
BONE_HU = 220.0
# Brain and scalp, or brain and orbit, hang together by less than this share of the head's radius.
BRIDGE_SHARE = 0.03


def inner_tissue(mask: Mask, image: Image, grid: WorkGrid, background: float | None) -> Mask:
    """The body without its rim: the brain where there is a skull around it, else all but the outermost blocks.

    In MR a skull shows as a dip of brightness between scalp and brain, seen from the outside inwards; `background` is
    the grey value of the air around the body. None stands for CT, where bone is told by its density.
    """
    from scipy import ndimage

    depth = np.stack(
        [ndimage.distance_transform_edt(mask[:, :, k], sampling=grid.edges[:2]) for k in range(mask.shape[2])], axis=2
    )
    radius = float(np.sqrt(mask.sum(axis=(0, 1)).max() * grid.edges[0] * grid.edges[1] / np.pi))
    step = min(grid.edges[:2])
    bridge = max(1, round(BRIDGE_SHARE * radius / step))
    if background is None:
        soft = mask & (image < BONE_HU)
        inner = soft & _largest_solid(soft & (depth > 1.5 * step), bridge)
    else:
        level = np.abs(image - background)
        skull = skull_depth(depth, mask, level, step, DEEPEST_RIM_SHARE * radius)
        inner = depth > max(1.5 * step, 0.7 * skull)
        if skull > 0:
            brain = float(np.median(level[mask & (depth > 0.4 * radius)]))
            inner = _largest_solid(inner & (level > 0.45 * brain), bridge)
    return inner if inner.sum() > 0.15 * mask.sum() else mask


def skull_depth(depth: NDArray[np.float64], mask: Mask, level: Image, step: float, deepest: float) -> float:
    """How deep under the skin the brain begins, in the unit of `depth`; 0 where no scalp and skull are seen.

    The brightness at each depth is a median over the middle third of the planes: near the crown and the base, planes
    cut the skull aslant.
    """
    planes = slice(mask.shape[2] // 3, max(mask.shape[2] // 3 + 1, 2 * mask.shape[2] // 3))
    near = mask[:, :, planes] & (depth[:, :, planes] <= 2 * deepest)
    layers = (depth[:, :, planes][near] / step).astype(int)
    values = level[:, :, planes][near]
    if layers.size == 0 or layers.max() < 4:
        return 0.0
    profile = np.array([np.median(values[layers == k]) if (layers == k).any() else np.nan for k in range(layers.max())])
    count = max(3, int(deepest / step))
    outer = profile[:count]
    brain = float(np.nanmedian(profile[count:])) if len(profile) > count else float(np.nanmedian(profile))
    scalp = int(np.nanargmax(outer[: max(2, count // 2)]))
    skull = scalp + int(np.nanargmin(outer[scalp:]))
    if skull <= scalp or outer[skull] > SKULL_DIP * min(brain, float(outer[scalp])):
        return 0.0
    risen = [k for k in range(skull, len(profile)) if profile[k] > 0.85 * brain]
    return risen[0] * step if risen else 0.0


def _largest_solid(mask: Mask, radius: int) -> Mask:
    """The largest piece once bridges thinner than the radius (in blocks, in plane) are cut; its gaps closed."""
    return filled(eroded(dilated(largest_piece(eroded(mask, radius)), radius + 3), 3))


def evened(image: Image, tissue: Mask, scale: float) -> Image:
    """Deviation from the tissue's smooth background as a share of `scale`, 0 outside the tissue.

    The background is a polynomial of second order over the tissue (coil sensitivity, cupping, attenuation), fitted
    again after outliers were taken out.
    """
    points = np.argwhere(tissue)
    terms = _polynomial(image.shape)
    some = tuple(points[:: max(1, len(points) // 4000)].T)
    values = image[some].astype(np.float64)
    basis = np.stack([term[some] for term in terms], axis=1)
    kept = np.ones(len(values), dtype=bool)
    weights = np.zeros(basis.shape[1])
    for _ in range(4):
        weights = np.linalg.lstsq(basis[kept], values[kept], rcond=None)[0]
        rest = values - basis @ weights
        rest -= np.median(rest)
        kept = np.abs(rest) <= 2.0 * max(robust_deviation(rest), 1e-6)
    background = np.zeros(image.shape, dtype=np.float32)
    for weight, term in zip(weights, terms, strict=True):
        background += np.float32(weight) * term
    return np.where(tissue, (image - background) / np.float32(scale), np.float32(0.0))


def robust_deviation(values: NDArray[np.floating]) -> float:
    """1.4826 times the median absolute deviation: the standard deviation where values are normal."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _polynomial(shape: tuple[int, ...]) -> list[Image]:
    """The terms 1, x, y, z and their products up to second order on [-1, 1], each broadcast to the shape."""
    axes = [np.linspace(-1, 1, n, dtype=np.float32) if n > 1 else np.zeros(1, dtype=np.float32) for n in shape]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    terms = [np.ones(shape, dtype=np.float32), x, y, x * x, y * y, x * y]
    return [*terms, z, z * z, x * z, y * z] if shape[2] > 2 else terms
