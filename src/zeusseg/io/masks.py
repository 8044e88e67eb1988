"""One mask, one file: `STEM.nii.gz` for volumes (0/1), `STEM.png` for pictures (0/255), on the case's own grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zeusseg.case import Mask, Volume
from zeusseg.errors import BadInputError
from zeusseg.io.volumes import image_suffix, read_labels, write_volume


def write_mask(stem: Path, mask: Mask, like: Volume) -> Path:
    """Write a mask (x, y, z) of `like`'s canonical grid atomically; returns the path with its suffix."""
    if like.file_grid.kind == "picture":
        path = stem.with_name(stem.name + ".png")
        write_volume(path, mask.astype(np.uint8) * np.uint8(255), like, np.uint8)
    else:
        path = stem.with_name(stem.name + ".nii.gz")
        write_volume(path, mask, like, np.uint8)
    return path


def read_mask(stem_or_path: Path, like: Volume) -> Mask:
    """Read a mask (x, y, z), any value but 0 being inside. A stem finds the file that `write_mask` wrote.

    Raises `BadInputError` where it is missing or unreadable, or lies on another grid than `like` (both are said).
    """
    path = stem_or_path
    if image_suffix(path) is None or not path.is_file():
        path = path.with_name(path.name + (".png" if like.file_grid.kind == "picture" else ".nii.gz"))
    if not path.is_file():
        raise BadInputError(f"{stem_or_path}: there is no such mask (looked for {path.name} too)")
    mask = read_labels(path)
    if not mask.same_grid(like):
        raise BadInputError(f"{path}: the mask is on {grid_text(mask)}, the case on {grid_text(like)}")
    return mask.array != 0


def grid_text(volume: Volume) -> str:
    """A grid in words, for messages: size, voxel edges and where its first voxel lies (canonical orientation)."""
    size = "x".join(str(n) for n in volume.shape)
    edges = "x".join(f"{edge:g}" for edge in np.round(volume.spacing_mm, 3))
    origin = ", ".join(f"{place:g}" for place in np.round(volume.affine[:3, 3], 2))
    return f"a grid of {size} voxels of {edges} mm from ({origin})"
