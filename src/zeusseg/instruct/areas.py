"""Areas that are brighter or darker than the tissue around them, found by cutting the image at several levels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from zeusseg.case import Mask
from zeusseg.instruct.finding import Polarity
from zeusseg.instruct.foreground import Image
from zeusseg.instruct.shapes import Box, dilated, eroded, filled, largest_piece, opened, roundness
from zeusseg.instruct.signals import Signal

# Shares of the tissue's brightness at which the image is cut; each step is about half as much again.
CUTS = (0.08, 0.12, 0.18, 0.27, 0.4, 0.6, 0.9)
PIECES_PER_CUT = 4
LEAST_SHARE, LARGEST_SHARE = 0.0008, 0.3
# These figures and those of `signals` were set on other phantoms than those that the documentation is scored on.
RELATIVE_CONSPICUITY = 0.25
WHOLE_SHARE = 0.35
# What the other side does not contradict weighs more than what merely stands out on its own.
ALONE_SHARE = 0.6
# A step of more than so many ordinary contrasts makes an area no more of a finding: size must count, too.
STEP_CAP = 1.2


@dataclass(frozen=True, eq=False)
class Area:
    """One outlying area: its blocks (x, y, z), how it differs from its surroundings, and how much it stands out."""

    mask: Mask
    polarity: Polarity
    contrast: float
    conspicuity: float

    def placed(self, box: Box, shape: tuple[int, ...]) -> Area:
        """The same area on the whole grid of which it was found in a box."""
        mask = np.zeros(shape, dtype=bool)
        mask[box] = self.mask
        return replace(self, mask=mask)


@dataclass(frozen=True, eq=False)
class Search:
    """What one search for areas looks at; all arrays are (x, y, z).

    `deviation` is relative to the tissue's brightness and `noise` its standard deviation; `mirrored` is the same about
    the mid-sagittal plane: what both sides have is anatomy and left out (None: everything is looked at). `thin` is
    the radius, in blocks, below which a structure is a fold, a vessel or a sulcus.
    """

    deviation: Image
    mirrored: Image | None
    tissue: Mask
    signal: Signal
    noise: float
    thin: int

    def level(self, polarity: Polarity) -> Image:
        """How far each block lies on the side of a polarity."""
        from scipy.ndimage import grey_opening

        if polarity == "bright":
            return self.deviation
        # Dark folds join a dark area at its border. Bright ones cannot be taken away like this: a rim is as thin.
        return grey_opening(-self.deviation, size=(2 * self.thin - 1, 2 * self.thin - 1, 1))

    def opposite(self, polarity: Polarity) -> Image | None:
        """The same of the mirrored place and what is near it, without its thin structures."""
        from scipy.ndimage import grey_opening, maximum_filter

        if self.mirrored is None:
            return None
        # Thin structures never lie quite opposite each other; thick ones are widened to allow for a crooked pose.
        square = (2 * self.thin + 1, 2 * self.thin + 1, 1)
        mirrored = self.mirrored if polarity == "bright" else -self.mirrored
        return maximum_filter(grey_opening(mirrored, size=square), size=square)


def find_areas(search: Search, polarity: Polarity) -> list[Area]:
    """Find the compact areas of one polarity that are set off from their surroundings.

    Areas of different cuts may overlap; `choose` decides between them.
    """
    from scipy import ndimage

    level, opposite = search.level(polarity), search.opposite(polarity)
    ordinary, utmost = search.signal.contrasts(polarity)
    least, least_stated = _least_blocks(search.tissue), search.signal.least_conspicuity
    areas: list[Area] = []
    for cut in CUTS:
        if cut < max(2.0 * search.noise, 0.5 * ordinary):
            continue
        beyond = search.tissue & (level > cut)
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
            near = _widened(boxes[piece - 1], 2 * search.thin + 2)
            area = _judge(search, polarity, pieces[near] == piece, near, level, opposite, cut)
            if area is not None and ordinary <= area.contrast <= utmost and area.conspicuity >= least_stated:
                areas.append(area)
    return areas


def choose(areas: list[Area], most: int) -> list[Area]:
    """The most conspicuous areas that do not overlap, as far as they come near the first one.

    Where an area is the core of a wider one (necrosis within oedema) that stands out hardly less, the wider is meant.
    """
    chosen: list[Area] = []
    for area in sorted(areas, key=lambda area: -area.conspicuity):
        if chosen and area.conspicuity < RELATIVE_CONSPICUITY * chosen[0].conspicuity:
            break
        if len(chosen) < most and not _overlaps(area, chosen):
            wider = [other for other in areas if _is_core(area, other)]
            whole = max(wider, key=lambda other: other.conspicuity, default=area)
            chosen.append(area if _overlaps(whole, chosen) else whole)
    return chosen


def _judge(
    search: Search, polarity: Polarity, piece: Mask, near: Box, level: Image, opposite: Image | None, cut: float
) -> Area | None:
    """Round a piece off and weigh it; None where it is too small, too large, or not set off from what is around.

    `piece` is the part of the cut image within the box `near`; `level` and `opposite` are whole.
    """
    values, inside = level[near], search.tissue[near]
    mask = largest_piece(opened(filled(piece), search.thin))
    if not _least_blocks(search.tissue) <= mask.sum() <= LARGEST_SHARE * search.tissue.sum():
        return None
    inner = mask & ~eroded(mask, 1)
    wider = dilated(mask, 1)
    outer = dilated(wider, 1) & ~wider & inside
    around = dilated(wider, search.thin + 1) & ~wider & inside
    # An area at the edge of the tissue has little around it to be compared with, and is rarely more than that edge.
    if outer.sum() < 0.4 * inner.sum():
        return None
    middle = float(np.median(values[mask]))
    contrast = middle - float(np.median(values[around]))
    step = float(np.mean(values[inner])) - float(np.mean(values[outer]))
    gone = float(np.mean(values[outer] < cut))
    if contrast <= 0 or gone < 0.5 or step < 0.25 * contrast:
        return None
    if opposite is not None and middle - float(np.median(opposite[near][mask])) < 0.4 * contrast:
        return None
    ordinary, _ = search.signal.contrasts(polarity)
    weight = ALONE_SHARE if opposite is None else 1.0
    compactness = gone**2 * roundness(mask) ** 4
    conspicuity = weight * min(step / ordinary, STEP_CAP) * compactness * float(mask.sum()) ** 0.5
    whole = np.zeros(search.tissue.shape, dtype=bool)
    whole[near] = mask
    return Area(whole, polarity, contrast, conspicuity)


def _least_blocks(tissue: Mask) -> float:
    return max(8.0, LEAST_SHARE * float(tissue.sum()))


def _widened(box: tuple[slice, ...], margin: int) -> Box:
    x, y, z = box
    return (slice(max(0, x.start - margin), x.stop + margin), slice(max(0, y.start - margin), y.stop + margin), z)


def _overlaps(area: Area, others: list[Area]) -> bool:
    return any(bool((area.mask & other.mask).any()) for other in others)


def _is_core(area: Area, wider: Area) -> bool:
    """Whether an area lies in a wider one of the same polarity that is conspicuous enough to be meant instead."""
    blocks, wider_blocks = int(area.mask.sum()), int(wider.mask.sum())
    return (
        area.polarity == wider.polarity
        and 1.3 * blocks < wider_blocks < 12 * blocks
        and wider.conspicuity >= WHOLE_SHARE * area.conspicuity
        and int((area.mask & wider.mask).sum()) > 0.8 * blocks
    )
