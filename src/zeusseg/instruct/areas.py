"""Areas that are brighter or darker than the tissue around them: found by seeds, grown to half their contrast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Mask
from zeusseg.instruct.finding import Polarity
from zeusseg.instruct.foreground import Image


@dataclass(frozen=True, eq=False)
class Area:
    """One outlying area on the work grid: its blocks, how it differs, and how much it stands out."""

    mask: Mask
    polarity: Polarity
    contrast: float
    conspicuity: float


@dataclass(frozen=True)
class Thresholds:
    """When a block counts as outlying, in robust standard deviations of the tissue.

    A seed deviates by `alone` from the tissue, or by `paired` from the tissue and by `asymmetric` from the mirrored
    place as well; an area must be at least `smallest` of the foreground.
    """

    alone: float = 3.0
    paired: float = 1.3
    asymmetric: float = 1.8
    smallest: float = 0.0015


def find_areas(
    deviation: Image, mirrored: Image | None, tissue: Mask, polarity: Polarity, thresholds: Thresholds
) -> list[Area]:
    """Find areas of one polarity, the most conspicuous first.

    `deviation` (x, y, z) is in robust standard deviations of the tissue; `mirrored` is the same about the body's
    mid-sagittal plane, None where there is none: then only what stands out alone counts.
    """
    from scipy import ndimage

    sign = 1.0 if polarity == "bright" else -1.0
    level = sign * deviation
    if mirrored is None:
        seeds = tissue & (level > thresholds.alone)
        excess = level
    else:
        excess = np.minimum(level, level - sign * mirrored)
        seeds = tissue & (level > thresholds.paired) & (level - sign * mirrored > thresholds.asymmetric)
    smallest = max(4.0, thresholds.smallest * float(tissue.sum()))
    seeds = _opened(seeds)
    pieces, count = ndimage.label(seeds, structure=np.ones((3, 3, 3)))
    areas: list[Area] = []
    taken = np.zeros(tissue.shape, dtype=bool)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    order = sorted(range(1, count + 1), key=lambda piece: (-sizes[piece], piece))
    for piece in order[:6]:
        seed = pieces == piece
        if sizes[piece] < 0.3 * smallest or taken[seed].mean() > 0.5:
            continue
        grown, contrast = grow(level, seed, tissue & ~taken)
        if grown.sum() < smallest:
            continue
        taken |= grown
        conspicuity = float(np.clip(excess[grown], 0, 8).mean()) * float(grown.sum()) ** 0.5
        areas.append(Area(grown, polarity, contrast, conspicuity))
    return sorted(areas, key=lambda area: -area.conspicuity)


def grow(level: Image, seed: Mask, tissue: Mask) -> tuple[Mask, float]:
    """Extend a seed to where the level has fallen half-way to that of the tissue around it; and that contrast."""
    from scipy import ndimage

    area, contrast = seed, 0.0
    for _ in range(2):
        core = float(np.median(level[area]))
        around = ndimage.binary_dilation(area, _ball(), iterations=3) & ~ndimage.binary_dilation(area, _ball())
        shell = level[around & tissue]
        rest = float(np.median(shell)) if shell.size else 0.0
        contrast = core - rest
        top = float(np.percentile(level[area], 98))
        candidates = tissue & (level > rest + 0.5 * contrast) & (level < top + 0.5 * contrast)
        pieces, _ = ndimage.label(_opened(candidates) | seed)
        touched = np.unique(pieces[seed])
        area = np.isin(pieces, touched[touched > 0])
    return _filled(area), contrast


def _filled(mask: Mask) -> Mask:
    from scipy import ndimage

    return np.stack([ndimage.binary_fill_holes(mask[:, :, k]) for k in range(mask.shape[2])], axis=2)


def _opened(mask: Mask) -> Mask:
    from scipy import ndimage

    cross = np.zeros((3, 3, 1), dtype=bool)
    cross[1, :, 0] = cross[:, 1, 0] = True
    return np.asarray(ndimage.binary_opening(mask, cross))


def _ball() -> NDArray[np.bool_]:
    from scipy import ndimage

    return np.asarray(ndimage.generate_binary_structure(3, 1))
