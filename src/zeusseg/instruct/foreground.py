"""Where the body is in an image, whatever the background's value, and what kind of view the image gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Mask, Volume
from zeusseg.instruct.shapes import dilated, eroded, filled, largest_piece, opened

Image = NDArray[np.float32]

MOST_VOXELS_IN_PLANE = 96
MOST_PLANES = 40
MOST_PIXELS_OF_A_PICTURE = 128
AIR_HU = -300.0


@dataclass(frozen=True, eq=False)
class WorkGrid:
    """An image on the coarser grid that is measured: block means, in floating point, grey.

    `image` is (x, y, z); `factors` says how many voxels of the volume each axis of a block has; `edges` are the
    blocks' edges in millimetres, or in voxels where the spacing is unknown.
    """

    image: Image
    factors: tuple[int, int, int]
    edges: tuple[float, float, float]

    @property
    def voxels_per_block(self) -> int:
        return self.factors[0] * self.factors[1] * self.factors[2]


def work_grid(volume: Volume, spacing_known: bool) -> WorkGrid:
    """Coarsen a volume by whole factors, so that every image takes about the same time to measure.

    Voxels at the far end of an axis that fill no whole block are left out.
    """
    array = volume.array
    if array.ndim == 4:
        array = array.mean(axis=3, dtype=np.float32)
    limits = (MOST_VOXELS_IN_PLANE, MOST_VOXELS_IN_PLANE, MOST_PLANES)
    if array.shape[2] == 1:
        limits = (MOST_PIXELS_OF_A_PICTURE, MOST_PIXELS_OF_A_PICTURE, 1)
    fx, fy, fz = (-(-size // limit) for size, limit in zip(array.shape, limits, strict=True))
    nx, ny, nz = array.shape[0] // fx, array.shape[1] // fy, array.shape[2] // fz
    whole = array[: nx * fx, : ny * fy, : nz * fz]
    # Summing strided views is several times faster than a reshape to six axes and a mean.
    image = np.zeros((nx, ny, nz), dtype=np.float32)
    for i in range(fx):
        for j in range(fy):
            for k in range(fz):
                image += whole[i::fx, j::fy, k::fz]
    image /= fx * fy * fz
    spacing = volume.spacing_mm if spacing_known else (1.0, 1.0, 1.0)
    return WorkGrid(image, (fx, fy, fz), (spacing[0] * fx, spacing[1] * fy, spacing[2] * fz))


@dataclass(frozen=True, eq=False)
class Foreground:
    """The body in the image: `mask` (x, y, z), the air's grey value, and the frame of reference in view."""

    mask: Mask
    background: float
    frame: Literal["body", "crop", "picture"]


def find_foreground(image: Image, *, kind: Literal["nifti", "picture"], is_ct: bool) -> Foreground:
    """Find the body. Where its outline is not in view (a crop), the whole image counts as foreground.

    Bodies are told from the background by Otsu's threshold on the distance to the background's median, which need be
    neither 0 nor the least value; where it lies amid the tissue's values (z-scores around 0) by being exactly that
    value; in CT by the density of air.
    """
    whole = np.ones(image.shape, dtype=bool)
    if kind == "picture":
        seen = _solid(image > image.min() + 0.04 * float(np.ptp(image)))
        return Foreground(seen if seen.mean() > 0.2 else whole, float(image.min()), "picture")
    border = _border(image).astype(np.float64)
    background = float(np.median(border))
    if is_ct:
        mask = _solid(image > AIR_HU)
    else:
        body = image[image != background]
        low, high = np.percentile(body, (5, 95)) if body.size else (0.0, 0.0)
        if low < background < high and (border == background).mean() > 0.9:
            mask = _solid(image != background)
        else:
            distance = np.sqrt(np.abs(_smoothed(image, 0.7) - background))
            mask = _solid(distance > 0.85 * _otsu(distance))
    outside = 1.0 - float(_border(mask).mean())
    if outside < 0.6 or not 0.02 < mask.mean() < 0.95:
        return Foreground(whole, float(image.min()), "crop")
    return Foreground(mask, background, "body")


def _border(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """The voxels on the four sides of every plane (the first and last plane cut the body as a rule)."""
    return np.concatenate([array[0].ravel(), array[-1].ravel(), array[:, 0].ravel(), array[:, -1].ravel()])


def _smoothed(image: Image, sigma: float) -> Image:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(image, (sigma, sigma, 0.0))


def _solid(mask: Mask) -> Mask:
    """Specks removed, the largest piece kept, notches closed and holes filled plane by plane."""
    return filled(eroded(dilated(largest_piece(opened(mask, 1)), 2), 2))


def _otsu(values: Image) -> float:
    """Otsu's threshold (1979): the cut of a 128-bin histogram that separates two classes best."""
    counts, edges = np.histogram(values, bins=128)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = sums / below - (sums[-1] - sums) / above
        between = np.nan_to_num(below * above * gap**2)
    return float(centres[between.argmax()])
