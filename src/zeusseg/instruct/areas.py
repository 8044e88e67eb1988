"""Areas that are brighter or darker than the tissue around them, found by cutting the image at several levels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from zeusseg.case import Mask
from zeusseg.instruct.finding import Polarity
from zeusseg.instruct.foreground import Image
from zeusseg.instruct.signals import Signal
from zeusseg.instruct.shapes import dilated, eroded, filled, largest_piece, opened, roundness

CUTS = (0.08, 0.12, 0.18, 0.27, 0.4, 0.6, 0.9)
LEAST_SHARE = 0.0008
LARGEST_SHARE = 0.3
LEAST_STEP = 0.5
PIECES_PER_CUT = 4
FLUID_FACTOR = 1.5
LEAST_CONSPICUITY = 6.0
# What the other side does not contradict weighs more than what merely stands out on its own.
ALONE_SHARE = 0.6


@dataclass(frozen=True, eq=False)
class Area:
    """One outlying area: its blocks (x, y, z), how it differs from its surroundings, and how much it stands out."""

    mask: Mask
    polarity: Polarity
    contrast: float
    conspicuity: float

    def placed(self, box: tuple[slice, slice, slice], shape: tuple[int, ...]) -> Area:
        """The same area on the whole grid of which it was found in a box."""
        mask = np.zeros(shape, dtype=bool)
        mask[box] = self.mask
        return replace(self, mask=mask)


def find_areas(
    deviation: Image, mirrored: Image | None, tissue: Mask, polarity: Polarity, signal: Signal, noise: float, thin: int
) -> list[Area]:
    """Find the areas of one polarity that are compact and set off from their surroundings.

    `deviation` (x, y, z) is relative to the tissue's brightness and `noise` its standard deviation; `mirrored` is the
    same about the mid-sagittal plane: what both sides have is anatomy and left out. `thin` is the radius, in blocks,
    below which a structure is a fold, a vessel or a sulcus. Areas of several cuts may overlap.
    """
    from scipy import ndimage

    sign = np.float32(1.0 if polarity == "bright" else -1.0)
    level = sign * deviation
    if polarity == "dark":
        # Dark folds join a dark area at its border. Bright ones cannot be taken away like this: a rim is as thin.
        level = ndimage.grey_opening(level, size=(2 * thin - 1, 2 * thin - 1, 1))
    opposite = None
    if mirrored is not None:
        # Thin structures never lie quite opposite each other; thick ones are widened to allow for a crooked pose.
        square = (2 * thin + 1, 2 * thin + 1, 1)
        opposite = ndimage.maximum_filter(ndimage.grey_opening(sign * mirrored, size=square), size=square)
    least = max(8.0, LEAST_SHARE * float(tissue.sum()))
    ordinary = signal.least_bright if polarity == "bright" else signal.least_dark
    highest = signal.most_bright if polarity == "bright" else signal.most_dark
    areas: list[Area] = []
    for cut in CUTS:
        if cut < 2.0 * noise or cut < 0.5 * ordinary:
            continue
        beyond = tissue & (level > cut) & (level < FLUID_FACTOR * highest)
        if opposite is not None:
            beyond &= opposite < cut
        pieces, count = ndimage.label(opened(beyond, 1))
        if count == 0:
            continue
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        boxes = ndimage.find_objects(pieces)
        for piece in np.argsort(-sizes, kind="stable")[:PIECES_PER_CUT]:
            if sizes[piece] < 0.5 * least:
                break
            area = _judge(pieces == piece, boxes[piece - 1], level, opposite, tissue, polarity, cut, thin, least, ordinary)
            if area is None or not ordinary <= area.contrast <= highest:
                continue
            if area.conspicuity >= LEAST_CONSPICUITY:
                areas.append(area)
    return areas


def choose(areas: list[Area], most: int) -> list[Area]:
    """The most conspicuous areas that do not overlap, as far as they come near the first one."""
    chosen: list[Area] = []
    for area in sorted(areas, key=lambda area: -area.conspicuity):
        apart = not any((area.mask & other.mask).any() for other in chosen)
        if apart and len(chosen) < most and (not chosen or area.conspicuity > 0.25 * chosen[0].conspicuity):
            chosen.append(area)
    return chosen


def _judge(
    piece: Mask,
    box: tuple[slice, ...],
    level: Image,
    opposite: Image | None,
    tissue: Mask,
    polarity: Polarity,
    cut: float,
    thin: int,
    least: float,
    ordinary: float,
) -> Area | None:
    """Round a piece off and weigh it; None where it is too small, too large, or not set off from what is around."""
    near = tuple(
        slice(max(0, part.start - margin), part.stop + margin)
        for part, margin in zip(box, (2 * thin + 2, 2 * thin + 2, 0), strict=True)
    )
    mask, values, inside = piece[near], level[near], tissue[near]
    mask = largest_piece(opened(filled(mask), thin))
    if not least <= mask.sum() <= LARGEST_SHARE * tissue.sum():
        return None
    inner = mask & ~eroded(mask, 1)
    wider = dilated(mask, 1)
    outer = dilated(wider, 1) & ~wider & inside
    around = dilated(wider, thin + 1) & ~wider & inside
    # An area at the edge of the tissue has little around it to be compared with, and is rarely more than that edge.
    if outer.sum() < 0.4 * inner.sum():
        return None
    rest = float(np.median(values[around]))
    contrast = float(np.median(values[mask])) - rest
    step = float(np.mean(values[inner])) - float(np.mean(values[outer]))
    gone = float(np.mean(values[outer] < cut))
    if contrast <= 0 or gone < LEAST_STEP or step < 0.25 * contrast:
        return None
    excess = contrast
    if opposite is not None:
        excess = min(contrast, float(np.median(values[mask])) - float(np.median(opposite[near][mask])))
        if excess < 0.4 * contrast:
            return None
    whole = np.zeros(tissue.shape, dtype=bool)
    whole[near] = mask
    conspicuity = (ALONE_SHARE if opposite is None else 1.0) * min(step / ordinary, 3.0) * gone**2 * roundness(mask) ** 4 * float(mask.sum()) ** 0.5
    return Area(whole, polarity, contrast, conspicuity)
