"""Measures one image alone: body, symmetry, and what is brighter or darker than the tissue around it."""

from __future__ import annotations

import numpy as np

from zeusseg.case import Mask, Volume
from zeusseg.instruct.areas import Area, choose, find_areas
from zeusseg.instruct.describe import describe
from zeusseg.instruct.finding import FindingAttributes, Polarity
from zeusseg.instruct.foreground import Image, WorkGrid, find_foreground, work_grid
from zeusseg.instruct.shapes import bounding_box
from zeusseg.instruct.signals import signal_of
from zeusseg.instruct.symmetry import SagittalPlane, find_plane, likeness, mirror
from zeusseg.instruct.tissue import evened, inner_tissue, robust_deviation

POLARITIES: tuple[Polarity, ...] = ("bright", "dark")
MOST_AREAS = 3
MIDLINE_STRIP_SHARE = 0.07
LOW_SHARE = 0.3
FRONT_SHARE = 0.3
# Folds, vessels and sulci are thinner than this share of the body's width.
THIN_SHARE = 0.024
# What counts as one unit of contrast in CT; elsewhere it is the tissue's own brightness above the background.
CT_SCALE_HU = 60.0


def measure(volume: Volume, *, modality: str, spacing_known: bool = True) -> FindingAttributes:
    """Measure a volume (x, y, z) or (x, y, 1, 3). The same voxels always give the same attributes.

    `modality` decides what grey values mean (Hounsfield units in `ct`); where the spacing is unknown every length
    is in voxels.
    """
    from scipy.ndimage import gaussian_filter

    grid = work_grid(volume, spacing_known)
    is_ct = modality.casefold() == "ct" and float(grid.image.min()) < -500
    image = np.clip(grid.image, -200.0, 300.0) if is_ct else grid.image
    foreground = find_foreground(grid.image, kind=volume.file_grid.kind, is_ct=is_ct)
    body = foreground.mask
    tissue = inner_tissue(body, image, grid, None if is_ct else foreground.background) if foreground.frame == "body" else body
    if not np.ptp(image[tissue]) > 0:
        return FindingAttributes((), None, float(body.mean()), foreground.frame, spacing_known)
    step = min(grid.edges[:2])
    smooth = gaussian_filter(image, [0.7 * step / edge for edge in grid.edges])
    scale = CT_SCALE_HU if is_ct else max(abs(float(np.median(image[tissue])) - foreground.background), 1e-6)
    deviation = evened(smooth, tissue, scale)
    noise = 0.5 * robust_deviation((image - smooth)[tissue]) / scale
    plane: SagittalPlane | None = None
    mirrored: Image | None = None
    asymmetry: float | None = None
    if foreground.frame == "body":
        plane = find_plane(body, image, grid.edges)
        mirrored = mirror(deviation, plane, grid.edges)
        both = tissue & (mirror(tissue.astype(np.float32), plane, grid.edges) > 0.5)
        alike = likeness(deviation, mirrored, both) if both.any() else 0.0
        asymmetry = float(np.clip(1.0 - alike, 0.0, 1.0))
    signal = signal_of(modality)
    across = int(body.any(axis=(1, 2)).sum())
    thin = max(1, round(THIN_SHARE * across))
    box = bounding_box(tissue, margin=2)
    areas: list[Area] = []
    for polarity in POLARITIES:
        for other in (None,) if mirrored is None else (mirrored[box], None):
            found = find_areas(deviation[box], other, tissue[box], polarity, signal, noise, thin)
            placed = [area.placed(box, tissue.shape) for area in found]
            areas += [area for area in placed if plane is None or not _is_anatomy(area, body, plane, grid, other is None)]
    chosen = choose(areas, MOST_AREAS)
    return FindingAttributes(
        tuple(describe(area, deviation, body, plane, grid, spacing_known) for area in chosen),
        asymmetry,
        float(body.mean()),
        foreground.frame,
        spacing_known,
    )


def _is_anatomy(area: Area, body: Mask, plane: SagittalPlane, grid: WorkGrid, alone: bool) -> bool:
    """Whether an area lies where anatomy stands out by itself.

    That is the midline (brainstem, cisterns), unless the two sides differ there, and the orbits and the skull base in
    the lowest front of a head.
    """
    box = bounding_box(body)
    x, y, z = (float(place.mean()) for place in np.nonzero(area.mask))
    width, length, height = (part.stop - part.start for part in box)
    from_midline = abs(float(plane.distance(x * grid.edges[0], y * grid.edges[1])))
    level = (z + 0.5 - box[2].start) / height
    if (alone or level < 0.5) and from_midline < MIDLINE_STRIP_SHARE * width * grid.edges[0]:
        return True
    return level < LOW_SHARE and (y + 0.5 - box[1].start) / length > 1 - FRONT_SHARE
