"""Measures one image alone: body, symmetry, and what is brighter or darker than the tissue around it."""

from __future__ import annotations

import numpy as np

from zeusseg.case import Mask, Volume
from zeusseg.instruct.areas import Area, Search, choose, find_areas
from zeusseg.instruct.describe import describe
from zeusseg.instruct.finding import FindingAttributes, Polarity
from zeusseg.instruct.foreground import Image, WorkGrid, find_foreground, work_grid
from zeusseg.instruct.shapes import bounding_box
from zeusseg.instruct.signals import signal_of
from zeusseg.instruct.symmetry import SagittalPlane, find_plane, likeness, mirror
from zeusseg.instruct.tissue import evened, inner_tissue, robust_deviation

POLARITIES: tuple[Polarity, ...] = ("bright", "dark")
MOST_AREAS = 3
# Where anatomy stands out by itself, in shares of the body's width, height and length.
MIDLINE_STRIP_SHARE = 0.07
LOW_SHARE = 0.3
FRONT_SHARE = 0.3
# Folds, vessels and sulci are thinner than this share of the body's width.
THIN_SHARE = 0.024
# What counts as one unit of contrast in CT; elsewhere it is the tissue's own brightness above the background.
CT_SCALE_HU = 60.0
CT_WINDOW_HU = (-200.0, 300.0)


def measure(volume: Volume, *, modality: str, spacing_known: bool = True) -> FindingAttributes:
    """Measure a volume (x, y, z) or (x, y, 1, 3). The same voxels always give the same attributes.

    `modality` decides what grey values mean (Hounsfield units in `ct`); where the spacing is unknown every length
    is in voxels.
    """
    from scipy.ndimage import gaussian_filter

    signal = signal_of(modality)
    grid = work_grid(volume, spacing_known)
    is_ct = modality.casefold() == "ct" and float(grid.image.min()) < -500
    image = np.clip(grid.image, *CT_WINDOW_HU) if is_ct else grid.image
    foreground = find_foreground(grid.image, kind=volume.file_grid.kind, is_ct=is_ct)
    body = tissue = foreground.mask
    if foreground.frame == "body":
        tissue = inner_tissue(body, image, grid, None if is_ct else foreground.background)
    if not np.ptp(image[tissue]) > 0:
        return FindingAttributes((), None, float(body.mean()), foreground.frame, spacing_known)
    step = min(grid.edges[:2])
    smooth = gaussian_filter(image, [signal.smoothing_blocks * step / edge for edge in grid.edges])
    scale = CT_SCALE_HU if is_ct else max(abs(float(np.median(image[tissue])) - foreground.background), 1e-6)
    deviation = evened(smooth, tissue, scale)
    # A Gaussian of 0.7 blocks leaves about half of the noise that it takes away.
    noise = 0.35 / signal.smoothing_blocks * robust_deviation((image - smooth)[tissue]) / scale
    plane, mirrored, asymmetry = None, None, None
    if foreground.frame == "body":
        plane = find_plane(body, image, grid.edges)
        mirrored = mirror(deviation, plane, grid.edges)
        asymmetry = _asymmetry(deviation, mirrored, tissue, plane, grid)
    thin = max(1, round(THIN_SHARE * int(body.any(axis=(1, 2)).sum())))
    box = bounding_box(tissue, margin=2)
    areas: list[Area] = []
    for opposite in (None,) if mirrored is None else (mirrored[box], None):
        search = Search(deviation[box], opposite, tissue[box], signal, noise, thin)
        found = [area.placed(box, tissue.shape) for polarity in POLARITIES for area in find_areas(search, polarity)]
        areas += [a for a in found if plane is None or not _is_anatomy(a, body, plane, grid, opposite is None)]
    return FindingAttributes(
        tuple(describe(area, deviation, body, plane, grid, spacing_known) for area in choose(areas, MOST_AREAS)),
        asymmetry,
        float(body.mean()),
        foreground.frame,
        spacing_known,
    )


def _asymmetry(deviation: Image, mirrored: Image, tissue: Mask, plane: SagittalPlane, grid: WorkGrid) -> float:
    both = tissue & (mirror(tissue.astype(np.float32), plane, grid.edges) > 0.5)
    return float(np.clip(1.0 - likeness(deviation, mirrored, both), 0.0, 1.0)) if both.any() else 1.0


def _is_anatomy(area: Area, body: Mask, plane: SagittalPlane, grid: WorkGrid, alone: bool) -> bool:
    """Whether an area lies where anatomy stands out by itself.

    That is the midline: its lower half always (brainstem, cisterns), its upper half where the area was found `alone`,
    without a difference between the sides; and the lowest front (orbits, skull base).
    """
    box = bounding_box(body)
    x, y, z = (float(place.mean()) for place in np.nonzero(area.mask))
    width, length, height = (part.stop - part.start for part in box)
    from_midline = abs(float(plane.distance(x * grid.edges[0], y * grid.edges[1])))
    height_share = (z + 0.5 - box[2].start) / height
    if (alone or height_share < 0.5) and from_midline < MIDLINE_STRIP_SHARE * width * grid.edges[0]:
        return True
    return bool(height_share < LOW_SHARE and (y + 0.5 - box[1].start) / length > 1 - FRONT_SHARE)
