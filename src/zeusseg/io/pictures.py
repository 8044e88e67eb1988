"""Pictures (PNG, JPEG, TIFF): one plane, seen as radiology shows an axial slice."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike, NDArray

from zeusseg.case import Array
from zeusseg.errors import BadInputError
from zeusseg.files import write_atomically

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
LOSSLESS_SUFFIXES = (".png", ".tif", ".tiff")


def picture_affine() -> NDArray[np.float64]:
    """Columns run to the patient's left, rows to the back: a picture counts as a radiological axial view."""
    return np.diag([-1.0, -1.0, 1.0, 1.0])


def read_picture(path: Path, *, labels: bool = False) -> Array:
    """Pixels as (column, row, 1), or (column, row, 1, 3) where they have colour. Raises `BadInputError`.

    Colour with three equal channels is grey. With `labels`, a palette's indices are the values (unless the palette is
    a grey scale); otherwise its colours are.
    """
    pixels = _pixels(_load(path), labels=labels)
    if pixels.ndim == 3 and np.array_equal(pixels[..., 0], pixels[..., 1]):
        pixels = pixels[..., 0] if np.array_equal(pixels[..., 0], pixels[..., 2]) else pixels
    if not pixels.dtype.isnative:
        pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    return np.swapaxes(pixels, 0, 1)[:, :, None]


def read_mask_picture(path: Path) -> Array:
    """Pixels as (column, row, 1), 1 inside and 0 outside. Raises `BadInputError`.

    Inside is what reaches half of the range of values (128 of 0 to 255), in any channel where the mask has colour:
    JPEG leaves faint greys all around an object, which are not part of it. A lossless mask that stays below half
    everywhere numbers its objects (0 and 1, say): there every value but 0 is inside.
    """
    pixels = read_picture(path)
    if pixels.dtype.kind not in "iu":
        raise BadInputError(f"{path}: a mask of {pixels.dtype} numbers: expected whole numbers, such as 0 and 255")
    strongest = pixels.max(axis=3) if pixels.ndim == 4 else pixels
    half = (int(np.iinfo(str(pixels.dtype)).max) + 1) // 2
    if path.suffix.lower() in LOSSLESS_SUFFIXES and strongest.max() < half:
        return np.not_equal(strongest, 0).astype(np.uint8)
    return np.greater_equal(strongest, half).astype(np.uint8)


def picture_shape(path: Path) -> tuple[int, int, int]:
    """(columns, rows, 1). The pixels are decoded too, so that a truncated file is noticed. Raises `BadInputError`."""
    image = _load(path)
    return (image.width, image.height, 1)


def write_picture(path: Path, array: Array, dtype: DTypeLike) -> None:
    """Write (column, row, 1) atomically, without loss."""
    from PIL import Image

    if path.suffix.lower() not in LOSSLESS_SUFFIXES:
        raise ValueError(f"{path}: labels and masks are written without loss, as one of {LOSSLESS_SUFFIXES}")
    pixels = np.ascontiguousarray(np.swapaxes(array[:, :, 0], 0, 1).astype(dtype))
    with write_atomically(path) as temporary:
        Image.fromarray(pixels).save(temporary)


def _load(path: Path) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        raise BadInputError(f"{path}: there is no such file")
    if path.stat().st_size == 0:
        raise BadInputError(f"{path}: the file is empty (0 bytes)")
    try:
        with Image.open(path) as image:
            pages = getattr(image, "n_frames", 1)
            if pages != 1:
                raise BadInputError(f"{path}: has {pages} pages: expected one picture")
            image.load()
            return image
    except UnidentifiedImageError as error:
        raise BadInputError(f"{path}: not a readable picture") from error
    except (OSError, EOFError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise BadInputError(f"{path}: truncated or corrupt picture ({' '.join(str(error).split())})") from error


def _pixels(image: Image.Image, *, labels: bool) -> Array:
    """(row, column) or (row, column, 3)."""
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8)
    if image.mode == "P":
        palette = np.asarray(image.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
        coloured = bool((palette != palette[:, :1]).any())
        return np.asarray(image if labels and coloured else image.convert("RGB"))
    if image.mode in ("L", "F", "I", "RGB") or image.mode.startswith("I;16"):
        return np.asarray(image)
    if image.mode == "LA":
        return np.asarray(image.convert("L"))
    return np.asarray(image.convert("RGB"))  # RGBA, CMYK, YCbCr, LAB …
