"""NIfTI files: voxels as stored and the affine, with every way a file can be broken said in one line."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from zeusseg.case import Array
from zeusseg.errors import BadInputError
from zeusseg.files import write_atomically

SUFFIXES = (".nii", ".nii.gz")


def open_nifti(path: Path) -> Any:
    """The nibabel image of a file, its voxels not yet read. Raises `BadInputError` where it is no NIfTI file."""
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    if not path.is_file():
        raise BadInputError(f"{path}: there is no such file")
    if path.stat().st_size == 0:
        raise BadInputError(f"{path}: the file is empty (0 bytes)")
    try:
        image = nib.load(path)
    except EOFError as error:
        raise BadInputError(f"{path}: truncated: the compressed data end too early") from error
    except (ImageFileError, HeaderDataError, OSError, ValueError, zlib.error, struct.error) as error:
        raise BadInputError(f"{path}: not a readable NIfTI file ({_line(error)})") from error
    # A file may call itself .nii and hold another of nibabel's formats; only NIfTI says where its voxels lie.
    if not isinstance(image, nib.Nifti1Image):  # Nifti2Image is a subclass
        raise BadInputError(f"{path}: not a NIfTI file but {type(image).__name__}")
    dtype = image.get_data_dtype()
    if dtype.fields is not None or dtype.kind not in "iuf":
        raise BadInputError(f"{path}: voxels of type {dtype} are not grey values: expected integers or floats")
    if 0 in image.shape or not image.shape:
        raise BadInputError(f"{path}: has no voxels (shape {image.shape})")
    return image


def spatial_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The three spatial sizes of a file's shape, where a missing axis counts as one plane."""
    x, y, z = (*shape[:3], 1, 1)[:3]
    return (x, y, z)


def channel_count(path: Path, shape: tuple[int, ...]) -> int:
    """How many volumes a file holds along its fourth axis. Raises `BadInputError` for a fifth one."""
    if any(size != 1 for size in shape[4:]):
        raise BadInputError(f"{path}: has {len(shape)} axes {shape}: expected x, y, z (and channels in msd)")
    return shape[3] if len(shape) > 3 else 1


def read_nifti(path: Path) -> tuple[Array, NDArray[np.float64]]:
    """Voxels as stored, (i, j, k, channel), and the affine (4, 4).

    Integers keep their type; scaled values and doubles become float32. Raises `BadInputError`.
    """
    image = open_nifti(path)
    channels = channel_count(path, image.shape)
    try:
        if path.name.lower().endswith(".gz"):
            # nibabel stops at the last voxel and so never meets the checksum behind it.
            image = type(image).from_bytes(gzip.decompress(path.read_bytes()))
        unscaled = image.dataobj.slope == 1 and image.dataobj.inter == 0
        array = np.asanyarray(image.dataobj) if unscaled else image.get_fdata(dtype=np.float32, caching="unchanged")
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise BadInputError(f"{path}: truncated or corrupt: the voxels cannot be read ({_line(error)})") from error
    if array.dtype.kind == "f":
        # What a double holds beyond float32 becomes inf, which the check for finite values then names.
        with np.errstate(over="ignore"):
            array = array.astype(np.float32, copy=False)
    elif not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array.reshape((*spatial_shape(image.shape), channels), order="F"), np.asarray(image.affine, dtype=np.float64)


def write_nifti(path: Path, array: Array, affine: NDArray[np.float64], dtype: DTypeLike) -> None:
    """Write (i, j, k) atomically; the affine goes into sform and qform, both with code 1 (scanner)."""
    import nibabel as nib

    image = nib.Nifti1Image(np.asarray(array, dtype=dtype), affine)
    image.header.set_data_dtype(dtype)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    with write_atomically(path) as temporary:
        nib.save(image, temporary)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
