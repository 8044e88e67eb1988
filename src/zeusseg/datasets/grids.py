"""Bringing an image onto another image's grid by their affines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Array, Mask, Volume


def adopt(volume: Volume, reference: Volume) -> Volume:
    """The same voxels, said to lie on `reference`'s grid (for grids equal to rounding, files turned differently)."""
    return replace(volume, affine=reference.affine, file_grid=reference.file_grid)


def resample(volume: Volume, reference: Volume, *, labels: bool = False) -> Volume | None:
    """`volume` (x, y, z) on the grid of `reference`; None where the two do not overlap.

    Images are interpolated linearly and keep their type; outside their field of view they take their least value.
    Labels take the nearest value, and 0 outside.
    """
    from scipy.ndimage import affine_transform

    to_source = np.linalg.inv(volume.affine) @ reference.affine
    matrix, offset = to_source[:3, :3], to_source[:3, 3]
    outside = _outside(matrix, offset, volume.shape, reference.shape)
    if outside.all():
        return None
    moved = affine_transform(
        volume.array.astype(np.float32) if labels else _smoothed(volume.array.astype(np.float32), matrix),
        matrix,
        offset,
        output_shape=reference.shape,
        order=0 if labels else 1,
        mode="nearest",
    )
    moved[outside] = 0 if labels else float(volume.array.min())
    dtype = volume.array.dtype
    array: Array = (moved if dtype.kind == "f" else np.rint(moved)).astype(dtype)
    return Volume(array, reference.affine, reference.file_grid)


def _outside(
    matrix: NDArray[np.float64], offset: NDArray[np.float64], source: tuple[int, ...], shape: tuple[int, ...]
) -> Mask:
    """Which voxels of a grid have their centre outside all voxels of the source, whose border voxels count whole."""
    outside = np.zeros(shape, dtype=bool)
    x, y, z = np.ogrid[: shape[0], : shape[1], : shape[2]]
    for row, start, size in zip(matrix, offset, source, strict=True):
        place = (row[0] * x + row[1] * y + row[2] * z + start).astype(np.float32)
        # A thousandth of a voxel is left to rounding.
        outside |= (place < -0.501) | (place > size - 0.499)
    return outside


def _smoothed(array: NDArray[np.float32], matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    """Blur along the axes that get coarser, as much as the coarser voxel would average, so that nothing aliases."""
    from scipy.ndimage import gaussian_filter

    steps = np.linalg.norm(matrix, axis=1)
    # Widths add as squares: a voxel of 1 must become one of `step`; 2.355 turns a full width into a sigma.
    sigma = np.sqrt(np.maximum(steps**2 - 1, 0)) / 2.355
    return array if (sigma < 0.1).all() else gaussian_filter(array, sigma, mode="nearest")
