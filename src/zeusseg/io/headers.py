"""What a file is, without reading its voxels: shape, spacing, and whether all of it is there."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zeusseg.errors import BadInputError
from zeusseg.io import nifti, pictures


@dataclass(frozen=True, eq=False)
class Header:
    """A file's grid in canonical orientation, as `Volume` would have it, and how many volumes lie on it."""

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    channels: int
    kind: Literal["nifti", "picture"]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return (float(x), float(y), float(z))

    def same_grid(self, other: Header) -> bool:
        """As `Volume.same_grid`."""
        tolerance = 1e-2 * min(self.spacing_mm)
        return self.shape == other.shape and bool(np.allclose(self.affine, other.affine, atol=tolerance))


def read_header(path: Path) -> Header:
    """Read a header and check that the file is as long as it says. Raises `BadInputError` naming file and cause."""
    if path.name.lower().endswith(pictures.SUFFIXES):
        return _canonical(path, pictures.picture_shape(path), pictures.picture_affine(), 1, "picture")
    image = nifti.open_nifti(path)
    expected = int(image.dataobj.offset) + int(np.prod(image.shape)) * image.get_data_dtype().itemsize
    found = _length(path, expected)
    if found < expected:
        raise BadInputError(f"{path}: truncated: {found} bytes of {expected}")
    channels = nifti.channel_count(path, image.shape)
    return _canonical(path, nifti.spatial_shape(image.shape), image.affine, channels, "nifti")


def _canonical(
    path: Path,
    shape: tuple[int, int, int],
    affine: NDArray[np.float64],
    channels: int,
    kind: Literal["nifti", "picture"],
) -> Header:
    from nibabel.orientations import inv_ornt_aff, io_orientation

    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise BadInputError(f"{path}: the affine {affine.tolist()} maps no grid to space")
    orientation = io_orientation(affine)
    x, y, z = (shape[list(orientation[:, 0]).index(axis)] for axis in range(3))
    return Header((x, y, z), affine @ inv_ornt_aff(orientation, shape), channels, kind)


def _length(path: Path, expected: int) -> int:
    """The bytes of a file once decompressed."""
    if path.suffix.lower() != ".gz":
        return path.stat().st_size
    with path.open("rb") as file:
        file.seek(-4, 2)
        # gzip's last four bytes are the length (RFC 1952, ISIZE): enough for a whole file written in one piece.
        if int.from_bytes(file.read(4), "little") == expected % 2**32:
            return expected
    length = 0
    try:
        with gzip.open(path) as stream:
            while chunk := stream.read(1 << 20):
                length += len(chunk)
    except (EOFError, OSError, zlib.error) as error:
        raise BadInputError(f"{path}: truncated: {length} bytes of {expected} ({error})") from error
    return length
