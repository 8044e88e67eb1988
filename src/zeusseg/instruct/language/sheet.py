"""What a model is shown of one modality: a few slices, chosen from the image alone, on one sheet or one by one."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Case, Mask
from zeusseg.instruct.foreground import find_foreground
from zeusseg.planes import cut, orientation_of

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

# Answers are kept by image; where sheets are drawn in another way, this number makes them other questions.
SHEET_VERSION = 2
PANELS, COLUMNS, TILE = 6, 3, 224
OVERVIEW = 64
# Brain and abdomen both fit: most soft tissue lies between, and bone and air are told by their extremes.
CT_LOW_HU, CT_HIGH_HU = -160.0, 240.0


@dataclass(frozen=True)
class Sheet:
    """Pictures (PNG) of one modality, and in words what they show ("The picture shows 6 of the 155 slices, numbered,").

    `orientation` says how they lie. `names` has one entry per picture: "slice 12 of 155".
    """

    pictures: tuple[bytes, ...]
    panels: str
    orientation: str
    names: tuple[str, ...]

    def one_by_one(self) -> list[Sheet]:
        """A sheet for each picture, for models that take one at a time."""
        return [
            Sheet((picture,), f"The picture shows {name}", self.orientation, (name,))
            for picture, name in zip(self.pictures, self.names, strict=True)
        ]


def contact_sheet(case: Case, modality: str) -> Sheet:
    """Draw the slices of one modality that `worth_showing` picks side by side on one picture, each with its number.

    Hounsfield units are windowed for soft tissue; anything else between the 0.5th and 99.5th percentile of what is not
    background, alike on all slices. A picture is shown whole.
    """
    from PIL import Image, ImageDraw

    drawn = _draw(case, modality)
    width, height = drawn.tiles[0].size
    columns = min(COLUMNS, len(drawn.tiles))
    sheet = Image.new(drawn.tiles[0].mode, (columns * width, -(-len(drawn.tiles) // columns) * height))
    draw = ImageDraw.Draw(sheet)
    for place, (tile, index) in enumerate(zip(drawn.tiles, drawn.indices, strict=True)):
        corner = (place % columns * width, place // columns * height)
        sheet.paste(tile, corner)
        if not drawn.is_picture:
            said = f"{index + 1}/{drawn.planes}"
            draw.text((corner[0] + 4, corner[1] + height - 14), said, fill=(255,) * len(sheet.getbands()))
    what = f"{len(drawn.tiles)} of the {drawn.planes} slices"
    panels = "This is a picture" if drawn.is_picture else f"The picture shows {what}, numbered,"
    return Sheet((_png(sheet),), panels, drawn.orientation, (what,))


def separate_slices(case: Case, modality: str) -> Sheet:
    """The same slices, each a picture of its own; one slice or a picture makes a contact sheet of one."""
    drawn = _draw(case, modality)
    if len(drawn.tiles) == 1:
        return contact_sheet(case, modality)
    names = tuple(f"slice {index + 1} of {drawn.planes}" for index in drawn.indices)
    numbers = ", ".join(str(index + 1) for index in drawn.indices)
    panels = f"The pictures show the slices {numbers} of the {drawn.planes} slices"
    return Sheet(tuple(_png(tile) for tile in drawn.tiles), panels, drawn.orientation, names)


@dataclass(frozen=True)
class _Drawn:
    """Tiles as PIL images with their planes' indices, out of so many planes."""

    tiles: list[PillowImage]
    indices: list[int]
    planes: int
    orientation: str
    is_picture: bool


def _draw(case: Case, modality: str) -> _Drawn:
    from PIL import Image

    volume = case.images[modality]
    # A stack of one or two planes is looked at from the front, whatever its header says of its spacing.
    fewest = int(np.argmin(case.shape))
    axis = fewest if case.shape[fewest] <= 2 else case.slice_axis
    picture = volume.file_grid.kind == "picture"
    planes = cut(volume.array, axis)
    # Stored without its rescaling, CT has no Hounsfield units to be windowed by.
    is_ct = modality == "ct" and float(volume.array.min()) < -500
    small = _overview(planes)
    # The body is looked for in a volume (x, y, z), whose last axis is the one that planes are cut across.
    inside = find_foreground(small.transpose(2, 1, 0), kind=volume.file_grid.kind, is_ct=is_ct).mask.transpose(2, 1, 0)
    chosen = worth_showing(small, inside, mirrored=axis != 0)
    low, high = (CT_LOW_HU, CT_HIGH_HU) if is_ct else np.percentile(small[inside], (0.5, 99.5)).tolist()
    edges = [edge for place, edge in enumerate(case.spacing_mm) if place != axis]
    size = _tile_size(planes.shape[1:3], (edges[1], edges[0]))
    tiles = []
    for index in chosen:
        grey = np.clip((planes[index].astype(np.float64) - low) / max(high - low, 1e-9), 0, 1) * 255
        tiles.append(Image.fromarray(grey.round().astype(np.uint8)).resize(size, Image.Resampling.BILINEAR))
    return _Drawn(tiles, chosen, len(planes), orientation_of(axis, picture=picture), picture)


def _png(image: PillowImage) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


def worth_showing(small: NDArray[np.float32], inside: Mask, *, mirrored: bool, count: int = PANELS) -> list[int]:
    """Numbers of the planes to show, ascending, at most `count`.

    `small` are the planes (plane, row, column) and `inside` what of them is body. The fullest one, the one whose left
    and right differ most (where `mirrored`: planes that show both sides), the one with most that is far brighter or
    darker than the rest, and between the ends of the body others evenly spread.
    """
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


def _overview(planes: NDArray[np.generic]) -> NDArray[np.float32]:
    """The planes (plane, row, column[, 3]) grey and small; what makes one worth showing is large."""
    flat = planes.mean(axis=-1) if planes.ndim == 4 else planes
    step = max(1, max(flat.shape[1:]) // OVERVIEW)
    return np.ascontiguousarray(flat[:, ::step, ::step], dtype=np.float32)


def _tile_size(shape: tuple[int, ...], edges: tuple[float, float]) -> tuple[int, int]:
    """(width, height) in pixels of a plane (rows, columns) with its voxels' proportions."""
    height, width = shape[0] * edges[0], shape[1] * edges[1]
    scale = TILE / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))
