"""Files to volumes and back, by suffix, with the checks that every image must pass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from zeusseg.case import Array, Volume
from zeusseg.errors import BadInputError
from zeusseg.io import nifti, pictures

SUFFIXES = (*nifti.SUFFIXES, *pictures.SUFFIXES)


def image_suffix(path: Path) -> str | None:
    """The suffix that makes a file an image (`.nii.gz`, `.png`, …), in lower case; None for any other file."""
    name = path.name.lower()
    return next((suffix for suffix in sorted(SUFFIXES, key=len, reverse=True) if name.endswith(suffix)), None)


def read_volume(path: Path, channel: int | None = None) -> Volume:
    """Read one image; `channel` picks along the fourth axis of a 4-D NIfTI file.

    Raises `BadInputError`, in one line naming the file, where it is truncated, of another format, 4-D without a
    channel, empty, constant, or not finite everywhere.
    """
    return read_channels(path, [channel])[0]


def read_channels(path: Path, channels: Sequence[int | None]) -> list[Volume]:
    """Read several channels of one file, opening it once. Raises `BadInputError` as `read_volume` does."""
    if _is_picture(path):
        array = pictures.read_picture(path)
        low, high = _finite_range(path, array)
        _refuse_constant(path, low, high)
        if any(channel for channel in channels):
            raise BadInputError(f"{path}: channels {list(channels)} asked for, but a picture is one image")
        return [Volume.from_file(array, pictures.picture_affine(), "picture")] * len(channels)
    array, affine = nifti.read_nifti(path)
    volumes = []
    for channel in channels:
        one = _pick(path, array, channel)
        low, high = _finite_range(path, one)
        _refuse_constant(path if array.shape[3] == 1 else f"{path} (channel {channel})", low, high)
        volumes.append(_oriented(path, one, affine))
    return volumes


def read_labels(path: Path) -> Volume:
    """Read a label file as the smallest integer type that holds its values; a constant one is allowed.

    Raises `BadInputError` where it cannot be read, is 4-D or coloured, or holds values that are not whole numbers.
    """
    if _is_picture(path):
        array = pictures.read_picture(path, labels=True)
        if array.ndim == 4:
            raise BadInputError(f"{path}: a label picture in colour: expected grey values or palette indices")
        affine = None
    else:
        stored, affine = nifti.read_nifti(path)
        array = _pick(path, stored, None)
    low, high = _finite_range(path, array)
    dtype = np.promote_types(np.min_scalar_type(int(low)), np.min_scalar_type(int(high)))
    whole = array.astype(dtype, copy=False)
    if array.dtype.kind == "f" and not np.array_equal(whole, array):
        odd = array[whole != array].flat[0]
        raise BadInputError(f"{path}: label value {odd:g} is not a whole number")
    if affine is None:
        return Volume.from_file(whole, pictures.picture_affine(), "picture")
    return _oriented(path, whole, affine)


def write_volume(path: Path, array: Array, like: Volume, dtype: DTypeLike) -> None:
    """Write an array on `like`'s canonical grid (x, y, z) on the grid of `like`'s own file, atomically.

    A NIfTI path gets that file's affine (sform and qform, code 1), a `.png` or `.tif` path one plane.
    """
    stored = like.to_file(array)
    if _is_picture(path):
        pictures.write_picture(path, stored, dtype)
    else:
        nifti.write_nifti(path, stored, like.file_grid.affine, dtype)


def _is_picture(path: Path) -> bool:
    suffix = image_suffix(path)
    if suffix is None:
        raise BadInputError(f"{path}: not an image by its suffix: expected one of {', '.join(SUFFIXES)}")
    return suffix in pictures.SUFFIXES


def _pick(path: Path, array: Array, channel: int | None) -> Array:
    """(i, j, k) out of (i, j, k, channel)."""
    count = array.shape[3]
    if channel is None and count > 1:
        raise BadInputError(f"{path}: 4-D with {count} volumes: expected one (only msd keeps modalities so)")
    if channel is not None and channel >= count:
        raise BadInputError(f"{path}: has {count} channel(s), so there is none numbered {channel}")
    return array[..., channel or 0]


def _finite_range(path: Path, array: Array) -> tuple[float, float]:
    # Two passes and no temporary array: NaN and inf both show in the least or the greatest value.
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all():
        raise BadInputError(f"{path}: holds NaN or infinite values: replace them before use")
    return low, high


def _refuse_constant(what: Path | str, low: float, high: float) -> None:
    if low == high:
        raise BadInputError(f"{what}: every voxel is {low:g}: the image shows nothing")


def _oriented(path: Path, array: Array, affine: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Volume:
    try:
        return Volume.from_file(array, affine)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error
