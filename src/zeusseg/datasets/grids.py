"""Bringing an image onto another image's grid by their affines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Array, Volume


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
    source: Array = volume.array if labels else _smoothed(volume.array.astype(np.float32), matrix)
    # One more voxel around, so that the outer half of the border voxels counts as inside; NaN marks the outside.
    moved = affine_transform(
        np.pad(source, 1, mode="edge").astype(np.float32, copy=False),
        matrix,
        offset + 1,
        output_shape=reference.shape,
        order=0 if labels else 1,
        mode="constant",
        cval=np.nan,
    )
    outside = np.isnan(moved)
    if outside.all():
        return None
    moved[outside] = 0 if labels else float(volume.array.min())
    dtype = volume.array.dtype
    array: Array = (moved if dtype.kind == "f" else np.rint(moved)).astype(dtype)
    return Volume(array, reference.affine, reference.file_grid)


def _smoothed(array: NDArray[np.float32], matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    """Blur along the axes that get coarser, as much as the coarser voxel would average, so that nothing aliases."""
    from scipy.ndimage import gaussian_filter

    steps = np.linalg.norm(matrix, axis=1)
    # Widths add as squares: a voxel of 1 must become one of `step`; 2.355 turns a full width into a sigma.
    sigma = np.sqrt(np.maximum(steps**2 - 1, 0)) / 2.355
    return array if (sigma < 0.1).all() else gaussian_filter(array, sigma, mode="nearest")
