"""One mask, one file: `STEM.nii.gz` for volumes (0/1), `STEM.png` for pictures (0/255), on the case's own grid.

Probabilities are kept in the same way, as whole numbers: 0 to 255 stand for 0 to 1.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Array, Mask, Volume
from zeusseg.errors import BadInputError
from zeusseg.io import pictures
from zeusseg.io.volumes import image_suffix, read_labels, write_volume

PROBABILITY = "_probability"  # TARGET_probability.nii.gz, beside TARGET.nii.gz


def write_mask(stem: Path, mask: Mask, like: Volume) -> Path:
    """Write a mask (x, y, z) of `like`'s canonical grid atomically; returns the path with its suffix."""
    inside = 255 if _suffix(like) == ".png" else 1
    return _write(stem, mask.astype(np.uint8) * np.uint8(inside), like)


def read_mask(stem_or_path: Path, like: Volume) -> Mask:
    """Read a mask (x, y, z), any value but 0 being inside. A stem finds the file that `write_mask` wrote.

    Raises `BadInputError` where it is missing or unreadable, or lies on another grid than `like` (both are said).
    """
    return read_label_map(stem_or_path, like) != 0


def read_binary_labels(path: Path) -> Volume:
    """A label file in which one object is marked, as 0 and 1: any value but 0 in a volume, half of the range and above
    in a picture (see `read_mask_picture`). Raises `BadInputError` as `read_labels` does, but takes coloured pictures.
    """
    if image_suffix(path) in pictures.SUFFIXES:
        return Volume.from_file(pictures.read_mask_picture(path), pictures.picture_affine(), "picture")
    stored = read_labels(path)
    return Volume((stored.array != 0).astype(np.uint8), stored.affine, stored.file_grid)


def write_probability(stem: Path, probability: NDArray[np.float32], like: Volume) -> Path:
    """Write probabilities (x, y, z) from 0 to 1 in steps of 1/255, as `write_mask` writes masks."""
    return _write(stem, np.rint(probability * 255).astype(np.uint8), like)


def read_probability(stem_or_path: Path, like: Volume) -> NDArray[np.float32]:
    """Read what `write_probability` wrote. Raises `BadInputError` as `read_mask` does, and for values above 255."""
    stored = read_label_map(stem_or_path, like)
    if stored.min() < 0 or stored.max() > 255:
        raise BadInputError(f"{stem_or_path}: values from {stored.min()} to {stored.max()}, expected 0 to 255")
    return stored.astype(np.float32) / np.float32(255)


def read_label_map(stem_or_path: Path, like: Volume) -> Array:
    """Read whole numbers (x, y, z) on the grid of `like`. Raises `BadInputError` as `read_mask` does."""
    path = stem_or_path
    if image_suffix(path) is None or not path.is_file():
        path = path.with_name(path.name + _suffix(like))
    if not path.is_file():
        raise BadInputError(f"{stem_or_path}: there is no such mask (looked for {path.name} too)")
    labels = read_labels(path)
    if not labels.same_grid(like):
        raise BadInputError(f"{path}: the mask is on {grid_text(labels)}, the case on {grid_text(like)}")
    return labels.array


def _suffix(like: Volume) -> str:
    return ".png" if like.file_grid.kind == "picture" else ".nii.gz"


def _write(stem: Path, array: Array, like: Volume) -> Path:
    path = stem.with_name(stem.name + _suffix(like))
    write_volume(path, array, like, np.uint8)
    return path


def grid_text(volume: Volume) -> str:
    """A grid in words, for messages: size, voxel edges and where its first voxel lies (canonical orientation)."""
    size = "x".join(str(n) for n in volume.shape)
    edges = "x".join(f"{edge:g}" for edge in np.round(volume.spacing_mm, 3))
    origin = ", ".join(f"{place:g}" for place in np.round(volume.affine[:3, 3], 2))
    return f"a grid of {size} voxels of {edges} mm from ({origin})"
