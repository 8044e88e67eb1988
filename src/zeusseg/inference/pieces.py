"""The pieces of a mask, measured: on which side of the patient, how large, and how bright against what is around."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Case, Mask
from zeusseg.instruct.describe import MIDLINE_SHARE, ball_diameter
from zeusseg.instruct.finding import Polarity
from zeusseg.instruct.shapes import bounding_box
from zeusseg.instruct.tissue import robust_deviation
from zeusseg.instruct.view import View, look_at

# Smaller parts of a mask are crumbs that nobody would speak of.
LEAST_SHARE_OF_MASK = 0.05
# A piece is on every side that holds so much of it.
SIDE_SHARE = 0.25
# In units of the spread of what is around; less is no difference.
LEAST_CONTRAST = 0.3
# Signal is measured on every so many-th voxel, so that a large organ takes no longer than a lesion.
MOST_VOXELS_ACROSS = 64


@dataclass(frozen=True)
class Piece:
    """One connected part of a mask (26 neighbours).

    `diameter` is that of the ball (in a single plane the circle) of the same size, in millimetres, or in voxels where
    the spacing is unknown; `share` is of the body or of what is in view. `sides` are those of `left`, `right` and
    `midline` that it may be said to be on, empty where there are none to tell. `polarity` is by modality, of those
    that were asked for; None where it is like what is around it.
    """

    voxels: int
    volume_ml: float | None
    diameter: float
    share: float
    sides: frozenset[str]
    polarity: Mapping[str, Polarity | None]


def view_of(case: Case) -> View:
    """The view of the first modality in which the body's outline can be seen, else of the first."""
    views = [look_at(volume, name, case.spacing_known) for name, volume in case.images.items()]
    return next((view for view in views if view.plane is not None), views[0])


def measure_pieces(mask: Mask, case: Case, view: View, modalities: Sequence[str]) -> list[Piece]:
    """The pieces of a mask (x, y, z), the largest first; their signal is measured in `modalities` of the case."""
    from scipy import ndimage

    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    kept = [i for i in np.argsort(-sizes, kind="stable") if sizes[i] >= LEAST_SHARE_OF_MASK * sizes.sum()]
    body = view.body(case.shape)
    return [_measure(labels == i + 1, mask, case, view, body, modalities) for i in kept]


def _measure(piece: Mask, mask: Mask, case: Case, view: View, body: Mask, modalities: Sequence[str]) -> Piece:
    voxels = int(piece.sum())
    x, y, z = case.spacing_mm
    flat = case.shape[2] == 1
    size = voxels * x * y * (1.0 if flat else z)
    in_mm = case.spacing_known and case.reference.file_grid.kind != "picture"
    return Piece(
        voxels, size / 1000 if in_mm and not flat else None,
        2 * float(np.sqrt(size / np.pi)) if flat else ball_diameter(size), voxels / max(view.voxels, 1),
        _sides(piece, view), _polarities(piece, mask, case, body, modalities) if modalities else {},
    )


def _sides(piece: Mask, view: View) -> frozenset[str]:
    if view.plane is None:
        return frozenset()
    edges, factors = view.grid.edges, view.grid.factors
    across, along = (
        ((place + 0.5) / factors[axis] - 0.5) * edges[axis] for axis, place in enumerate(np.nonzero(piece)[:2])
    )
    from_midline = view.plane.distance(across, along)
    shares = {"left": float(np.mean(from_midline < 0)), "right": float(np.mean(from_midline > 0))}
    width = int(view.foreground.mask.any(axis=(1, 2)).sum()) * edges[0]
    sides = {side for side, share in shares.items() if share >= SIDE_SHARE}
    near = abs(float(from_midline.mean())) < MIDLINE_SHARE * width
    return frozenset({"left", "right", "midline"} if near or len(sides) == 2 else sides)


def _polarities(
    piece: Mask, mask: Mask, case: Case, body: Mask, modalities: Sequence[str]
) -> dict[str, Polarity | None]:
    """Brighter or darker than the ring around it: the body from a voxel off, as far as half the piece's radius."""
    from scipy import ndimage

    box = bounding_box(piece)
    steps = [max(1, -(-(part.stop - part.start) // MOST_VOXELS_ACROSS)) for part in box]
    spacing = [edge * step for edge, step in zip(case.spacing_mm, steps, strict=True)]
    edge = max(spacing[:2])
    radius = ball_diameter(float(piece.sum()) * float(np.prod(case.spacing_mm))) / 2
    reach = edge + max(3 * edge, radius / 2)
    wide = tuple(
        slice(part.start % step if part.start < margin else part.start - margin, part.stop + margin, step)
        for part, step, margin in (
            (part, step, step * int(np.ceil(reach / length)))
            for part, step, length in zip(box, steps, spacing, strict=True)
        )
    )
    inside = piece[wide]
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(~inside, sampling=spacing)
    ring = (distance > edge) & (distance <= reach) & ~mask[wide] & body[wide]
    found: dict[str, Polarity | None] = {}
    for modality in modalities:
        array = case.images[modality].array[wide].astype(np.float32)
        grey = array.mean(axis=3) if array.ndim == 4 else array
        found[modality] = _polarity(grey[inside], grey[ring])
    return found


def _polarity(inside: NDArray[np.float32], around: NDArray[np.float32]) -> Polarity | None:
    if not inside.size or not around.size:
        return None
    difference = float(np.median(inside)) - float(np.median(around))
    if abs(difference) <= LEAST_CONTRAST * robust_deviation(around):
        return None
    return "bright" if difference > 0 else "dark"
