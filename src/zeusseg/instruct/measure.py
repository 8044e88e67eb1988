"""Measures one image alone: body, symmetry, and what is brighter or darker than the tissue around it."""

from __future__ import annotations

import numpy as np

from zeusseg.case import Volume
from zeusseg.instruct.areas import Thresholds, find_areas
from zeusseg.instruct.describe import describe
from zeusseg.instruct.finding import FindingAttributes
from zeusseg.instruct.foreground import Image, find_foreground, work_grid
from zeusseg.instruct.symmetry import SagittalPlane, find_plane, likeness, mirror
from zeusseg.instruct.tissue import evened, inner_tissue

MOST_AREAS = 3
LEAST_LIKENESS = 0.3


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
    tissue = inner_tissue(body, image, grid, foreground.background) if foreground.frame == "body" else body
    if not np.ptp(image[tissue]) > 0:
        return FindingAttributes((), None, float(body.mean()), foreground.frame, spacing_known)
    step = min(grid.edges[:2])
    smooth = gaussian_filter(image, [0.8 * step / edge for edge in grid.edges])
    deviation = evened(smooth, tissue)
    plane: SagittalPlane | None = None
    mirrored: Image | None = None
    asymmetry: float | None = None
    if foreground.frame == "body":
        plane = find_plane(body, image, grid.edges)
        blurred = gaussian_filter(deviation, (1.0, 1.0, 0.0))
        mirrored = mirror(blurred, plane, grid.edges)
        both = tissue & (mirror(tissue.astype(np.float32), plane, grid.edges) > 0.5)
        alike = likeness(blurred, mirrored, both) if both.any() else 0.0
        asymmetry = float(np.clip(1.0 - alike, 0.0, 1.0))
        mirrored = mirrored if alike > LEAST_LIKENESS else None
    thresholds = Thresholds()
    areas = [
        area for polarity in ("bright", "dark") for area in find_areas(deviation, mirrored, tissue, polarity, thresholds)
    ]
    areas = sorted(areas, key=lambda area: -area.conspicuity)[:MOST_AREAS]
    return FindingAttributes(
        tuple(describe(area, deviation, body, plane, grid, spacing_known) for area in areas),
        asymmetry,
        float(body.mean()),
        foreground.frame,
        spacing_known,
    )
