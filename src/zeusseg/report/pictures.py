"""A case as pictures for the page: one grey image per modality, with the outlines of both masks drawn over it.

The images are PNGs inside the page; the outlines are SVG paths along the voxels' edges, so they stay sharp at any size,
add almost nothing to the page, and the reader can switch them off to see what lies beneath.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Array, Case, Mask
from zeusseg.planes import cut

PIXEL_BUDGET = 4_000_000
"""Pixels of all images of one page: keeps it below about 6 MB, however many targets and modalities there are."""


@dataclass(frozen=True)
class Panel:
    """One modality's image of the slice, as a data URI."""

    modality: str
    image: str


@dataclass(frozen=True)
class CasePicture:
    """One slice of a case. Sizes are in `unit`s of the smaller voxel edge; paths are in voxels of the plane.

    `left` and `top` are the letters of the patient's directions there (R: the patient's right), empty for a picture.
    """

    panels: tuple[Panel, ...]
    columns: int
    rows: int
    column_edge: float
    row_edge: float
    reference_path: str
    prediction_path: str
    plane: str
    left: str
    top: str


def panel_edge(panels: int) -> int:
    """The longest side in pixels that an image may have when the page shows that many."""
    return int(np.clip(np.sqrt(PIXEL_BUDGET / max(panels, 1)), 48, 320))


def picture_of(case: Case, reference: Mask, prediction: Mask, longest_side: int) -> CasePicture:
    """Draw the slice on which reference and prediction together cover most, every modality of the case.

    Masks are (x, y, z) on the case's grid. The view is radiology's: the patient's right is left, front or head is up.
    """
    axis = case.slice_axis
    both = reference | prediction
    index = int(np.argmax(both.sum(axis=tuple(other for other in range(3) if other != axis))))
    planes = {name: cut(volume.array, axis)[index] for name, volume in case.images.items()}
    masks = cut(both, axis)[index]
    window = _window(list(planes.values()), masks)
    across, along = (edge for place, edge in enumerate(case.spacing_mm) if place != axis)
    smallest = min(across, along)
    column_edge, row_edge = across / smallest, along / smallest
    is_picture = case.reference.file_grid.kind == "picture"
    return CasePicture(
        panels=tuple(
            Panel(name, _png(_grey(plane)[window], longest_side, column_edge, row_edge))
            for name, plane in planes.items()
        ),
        columns=window[1].stop - window[1].start,
        rows=window[0].stop - window[0].start,
        column_edge=column_edge,
        row_edge=row_edge,
        reference_path=outline(cut(reference, axis)[index][window].astype(bool)),
        prediction_path=outline(cut(prediction, axis)[index][window].astype(bool)),
        plane="" if is_picture else f"{('sagittal', 'coronal', 'axial')[axis]} slice {index + 1} of {case.shape[axis]}",
        left="" if is_picture else ("A" if axis == 0 else "R"),
        top="" if is_picture else ("A" if axis == 2 else "S"),
    )


def outline(mask: Mask) -> str:
    """The edges between a mask (rows, columns) and what is outside it, as an SVG path in voxel units.

    >>> outline(np.array([[True, True]]))
    'M0 0h2M0 1h2M0 0v1M2 0v1'
    """
    padded = np.pad(mask, 1).astype(np.int8)
    level = np.diff(padded, axis=0)[:, 1:-1] != 0  # (rows + 1, columns): edges that run along a row
    upright = np.diff(padded, axis=1)[1:-1].T != 0  # (columns + 1, rows): edges that run along a column
    rows = "".join(f"M{start} {row}h{length}" for row, start, length in _runs(level))
    columns = "".join(f"M{column} {start}v{length}" for column, start, length in _runs(upright))
    return rows + columns


def _runs(lines: Mask) -> list[tuple[int, int, int]]:
    """(line, start, length) of every run of True along the second axis."""
    change = np.diff(np.pad(lines, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    starts, ends = np.argwhere(change == 1), np.argwhere(change == -1)
    return [(int(line), int(start), int(end - start)) for (line, start), end in zip(starts, ends[:, 1], strict=True)]


def _grey(plane: Array) -> NDArray[np.uint8]:
    """Brightness as 0..255: colour as it is, anything else between its 0.5th and 99.5th percentile."""
    if plane.ndim == 3 and plane.dtype == np.uint8:
        return plane.astype(np.uint8)
    values = plane.astype(np.float64)
    low, high = np.percentile(values, [0.5, 99.5])
    if high <= low:
        low, high = values.min(), values.max()
    return (np.clip((values - low) / max(high - low, 1e-12), 0, 1) * 255).round().astype(np.uint8)


def _window(planes: Sequence[Array], mask: Array) -> tuple[slice, slice]:
    """The part (rows, columns) of the planes that shows anything, with a small margin: empty black around it is cut."""
    shown = mask.astype(bool)
    for plane in planes:
        grey = _grey(plane).astype(np.int16)
        flat = grey.max(axis=-1) if grey.ndim == 3 else grey
        shown = shown | (np.abs(flat - flat[0, 0]) > 20)
    parts = []
    for axis in (0, 1):
        places = np.flatnonzero(shown.any(axis=1 - axis))
        first, last = (int(places[0]), int(places[-1])) if places.size else (0, shown.shape[axis] - 1)
        parts.append(slice(max(first - 3, 0), min(last + 4, shown.shape[axis])))
    return parts[0], parts[1]


def _png(grey: NDArray[np.uint8], longest_side: int, column_edge: float, row_edge: float) -> str:
    """A data URI of the image, made smaller where a side exceeds the limit; enlarging is left to the browser."""
    from PIL import Image

    rows, columns = grey.shape[:2]
    shrink = min(1.0, longest_side / max(rows * row_edge, columns * column_edge))
    size = (max(1, round(columns * min(1.0, shrink * column_edge))), max(1, round(rows * min(1.0, shrink * row_edge))))
    image = Image.fromarray(np.ascontiguousarray(grey))
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
