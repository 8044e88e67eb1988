"""What a model is shown of one modality: a few slices, chosen from the image alone, on one contact sheet."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Case, Mask
from zeusseg.planes import cut, orientation_of

PANELS, COLUMNS, TILE = 6, 3, 224
# Slices are looked over at this size: what makes one worth showing is large.
OVERVIEW = 64
# Brain and abdomen both fit: most soft tissue lies between, and bone and air are told by their extremes.
CT_LOW_HU, CT_HIGH_HU = -160.0, 240.0


@dataclass(frozen=True)
class Sheet:
    """A PNG, and in words what is on it: `panels` ("6 axial slices ...") and how they lie."""

    png: bytes
    panels: str
    orientation: str


def contact_sheet(case: Case, modality: str) -> Sheet:
    """Draw the slices of one modality that `worth_showing` picks, windowed alike, each with its number.

    Hounsfield units are windowed for soft tissue; anything else between the 0.5th and 99.5th percentile of what is not
    background. A picture is shown whole.
    """
    from PIL import Image, ImageDraw

    volume, axis = case.images[modality], case.slice_axis
    picture = volume.file_grid.kind == "picture"
    planes = cut(volume.array, axis)
    chosen = worth_showing(planes, mirrored=axis != 0)
    shown = planes[_inside(planes)].astype(np.float64)
    low, high = (CT_LOW_HU, CT_HIGH_HU) if modality == "ct" else np.percentile(shown, (0.5, 99.5)).tolist()
    edges = [edge for place, edge in enumerate(case.spacing_mm) if place != axis]
    tile = _tile_size(planes.shape[1:3], (edges[1], edges[0]))
    columns = min(COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    sheet = Image.new("RGB" if planes.ndim == 4 else "L", (columns * tile[0], rows * tile[1]))
    draw = ImageDraw.Draw(sheet)
    for place, index in enumerate(chosen):
        grey = np.clip((planes[index].astype(np.float64) - low) / max(high - low, 1e-9), 0, 1) * 255
        corner = (place % columns * tile[0], place // columns * tile[1])
        sheet.paste(Image.fromarray(grey.round().astype(np.uint8)).resize(tile, Image.Resampling.BILINEAR), corner)
        if not picture:
            said = f"{index + 1}/{len(planes)}"
            draw.text((corner[0] + 4, corner[1] + tile[1] - 14), said, fill=(255,) * len(sheet.getbands()))
    file = io.BytesIO()
    sheet.save(file, format="PNG")
    slices = "one picture" if picture else f"{len(chosen)} of the {len(planes)} slices, numbered,"
    return Sheet(file.getvalue(), slices, orientation_of(axis, picture=picture))


def worth_showing(planes: NDArray[np.generic], *, mirrored: bool, count: int = PANELS) -> list[int]:
    """Numbers of the planes (plane, row, column[, 3]) to show, ascending, at most `count`.

    The fullest one, the one whose left and right differ most (where `mirrored`: planes that show both sides), the one
    with most that is far brighter or darker than the rest, and between the ends of the body others evenly spread.
    """
    flat = planes.mean(axis=-1) if planes.ndim == 4 else planes
    step = max(1, max(flat.shape[1:]) // OVERVIEW)
    small = flat[:, ::step, ::step].astype(np.float64)
    inside = _inside(small)
    extent = inside.mean(axis=(1, 2))
    values = small[inside]
    deviation = max(1.4826 * float(np.median(np.abs(values - np.median(values)))), 1e-9)
    away = np.where(inside, (small - np.median(values)) / deviation, 0.0)
    outlying = (np.abs(away) > 3).mean(axis=(1, 2))
    marks = [extent, outlying]
    if mirrored:
        columns = np.flatnonzero(inside.any(axis=(0, 1)))
        middle = away[:, :, columns[0] : columns[-1] + 1]
        marks.insert(1, np.abs(np.clip(middle, -4, 4) - np.clip(middle[:, :, ::-1], -4, 4)).mean(axis=(1, 2)))
    there = np.flatnonzero(extent >= 0.25 * extent.max())
    apart = max(1, len(there) // (2 * count))
    if len(there) <= count:
        return [int(index) for index in there]
    evenly = there[np.linspace(0, len(there) - 1, count + 2).round().astype(int)[1:-1]].tolist()
    chosen: list[int] = []
    for index in [int(there[np.argmax(mark[there])]) for mark in marks] + evenly:
        if len(chosen) < count and all(abs(index - other) >= apart for other in chosen):
            chosen.append(index)
    return sorted(chosen)


def _inside(planes: NDArray[np.generic]) -> Mask:
    """What differs from the commonest value of the border; everything, where hardly anything does."""
    flat = planes.mean(axis=-1) if planes.ndim == 4 else planes
    border = np.concatenate([flat[:, 0].ravel(), flat[:, -1].ravel(), flat[:, :, 0].ravel(), flat[:, :, -1].ravel()])
    values, counts = np.unique(border, return_counts=True)
    found = flat != values[counts.argmax()]
    return found if found.mean() > 0.01 else np.ones(flat.shape, dtype=bool)


def _tile_size(shape: tuple[int, ...], edges: tuple[float, float]) -> tuple[int, int]:
    """(width, height) in pixels of a plane (rows, columns) with its voxels' proportions."""
    height, width = shape[0] * edges[0], shape[1] * edges[1]
    scale = TILE / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))
