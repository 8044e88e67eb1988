"""The pieces of a target in one case, and what tells them apart: side, size, and signal in each modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Case, Mask, Target
from zeusseg.instruct.attributes import Attributes, Side, Size
from zeusseg.instruct.finding import Polarity
from zeusseg.instruct.signals import T1_CONTRAST, signal_of
from zeusseg.instruct.tissue import robust_deviation
from zeusseg.instruct.view import MOST_OF_A_BODY, look_at

MOST_PIECES = 8
LEAST_VOXELS = 12
# Of the largest piece: a lesion a quarter as wide still counts.
LEAST_SHARE = 0.02
# Nearer to the midline, in shares of the body's width, the side is a matter of opinion.
MIDLINE_SHARE = 0.08
# Small and large are told apart where the diameters do, and nowhere near the border between them.
LEAST_RATIO, UNSURE_SIZE = 1.5, 0.1
# The ring around a piece, in voxels in plane; what touches the piece is a mixture of both.
RING_FROM, RING_TO = 1, 5
LEAST_RING_VOXELS = 20
LOW_PERCENTILE, HIGH_PERCENTILE = 10, 90
# Contrasts in units of the ring's spread. The spread is at least so large a share of the image's range.
LEAST_CONTRAST = 2.0
ENHANCING_CONTRAST, NOT_ENHANCING_CONTRAST = 2.5, 1.5
LEAST_SPREAD = 0.02
# Where a piece has both brighter and darker parts, the stronger contrast must be so many times the other.
CLEARER = 1.5


@dataclass(frozen=True)
class Instance:
    """One connected piece of a target. What cannot be told is None, and of `signal` an absent modality.

    `side` is the patient's; `size` is against the target's other pieces; `signal` is by modality against the tissue
    around. In T1 after contrast `bright` means that it enhances, if only in part, and `dark` that it does not.
    """

    number: int
    voxels: int
    side: Side | None
    size: Size | None
    signal: Mapping[str, Polarity]

    def fits(self, wanted: Attributes) -> bool | None:
        """Whether this piece is meant; None where that cannot be told."""
        told: list[bool | None] = []
        if wanted.side is not None:
            told.append(None if self.side is None else self.side == wanted.side)
        if wanted.size is not None:
            told.append(None if self.size is None else self.size == wanted.size)
        if wanted.signal is not None:
            modality, polarity = wanted.signal
            told.append(self.signal[modality] == polarity if modality in self.signal else None)
        return False if False in told else None if None in told else True


@dataclass(frozen=True, eq=False)
class Instances:
    """The pieces of a target: `numbers` (x, y, z) says which voxel belongs to which, 0 where none does."""

    numbers: NDArray[np.uint8]
    each: tuple[Instance, ...]

    def matching(self, wanted: Attributes) -> tuple[int, ...] | None:
        """The numbers of the pieces that have all these attributes; None where that cannot be told of some piece."""
        fits = {piece.number: piece.fits(wanted) for piece in self.each}
        return None if None in fits.values() else tuple(number for number, is_meant in fits.items() if is_meant)


def find_instances(case: Case, target: Target) -> Instances:
    """The pieces of a target in a labelled case. Raises `BadInputError` where the case has no labels."""
    return instances_of(case.mask(target), case)


def instances_of(mask: Mask, case: Case) -> Instances:
    """The pieces (26 neighbours) of a mask (x, y, z) on a case's grid, the largest first, numbered from 1.

    Left out are pieces of fewer than 12 voxels or 2 % of the largest, and all but the eight largest.
    """
    numbers = _pieces(mask)
    voxels = np.bincount(numbers.ravel())[1:].tolist()
    if not voxels:
        return Instances(numbers, ())
    body, sides = _sides(case, mask, numbers, len(voxels))
    sizes = _sizes(voxels, flat=case.shape[2] == 1)
    signals = _signals(case, mask, numbers, len(voxels), body)
    each = [
        Instance(place + 1, voxels[place], sides[place], sizes[place], signals[place]) for place in range(len(voxels))
    ]
    return Instances(numbers, tuple(each))


def _pieces(mask: Mask) -> NDArray[np.uint8]:
    import cc3d

    numbers = np.zeros(mask.shape, dtype=np.uint8)
    if not mask.any():
        return numbers
    labels = cc3d.connected_components(mask, connectivity=26)
    sizes = np.bincount(labels.ravel())[1:]
    least = max(LEAST_VOXELS, LEAST_SHARE * int(sizes.max()))
    kept = [int(place) for place in np.argsort(-sizes, kind="stable") if sizes[place] >= least][:MOST_PIECES]
    for number, place in enumerate(kept, start=1):
        numbers[labels == place + 1] = number
    return numbers


def _sides(case: Case, mask: Mask, numbers: NDArray[np.uint8], count: int) -> tuple[Mask, list[Side | None]]:
    """The body (x, y, z) as the reference image shows it, and the side of it that each piece lies on."""
    view = look_at(case.reference, next(iter(case.images)), case.spacing_known)
    grid, plane, body = view.grid, view.plane, view.body(case.shape)
    if plane is None or mask.sum() > MOST_OF_A_BODY * body.sum():
        return body, [None] * count
    width = int(view.foreground.mask.any(axis=(1, 2)).sum()) * grid.edges[0]
    sides: list[Side | None] = []
    for number in range(1, count + 1):
        x, y = (
            ((float(place.mean()) + 0.5) / grid.factors[axis] - 0.5) * grid.edges[axis]
            for axis, place in enumerate(np.nonzero(numbers == number)[:2])
        )
        distance = float(plane.distance(x, y))
        sides.append(None if abs(distance) < MIDLINE_SHARE * width else "right" if distance > 0 else "left")
    return body, sides


def _sizes(voxels: Sequence[int], *, flat: bool) -> list[Size | None]:
    diameters = np.power(voxels, 1 / 2 if flat else 1 / 3)
    if len(voxels) < 2 or diameters.max() < LEAST_RATIO * diameters.min():
        return [None] * len(voxels)
    shares = diameters / np.sqrt(diameters.max() * diameters.min())
    return [None if abs(share - 1) <= UNSURE_SIZE else "small" if share < 1 else "large" for share in shares]


def _signals(case: Case, mask: Mask, numbers: NDArray[np.uint8], count: int, body: Mask) -> list[dict[str, Polarity]]:
    in_plane = [axis for axis in range(3) if axis != case.slice_axis]
    images: dict[str, tuple[NDArray[np.generic], float]] = {}
    for modality, volume in case.images.items():
        array = volume.array.mean(axis=3) if volume.array.ndim == 4 else volume.array
        low, high = np.percentile(array[body] if body.any() else array, (1, 99))
        images[modality] = (array, LEAST_SPREAD * float(high - low))
    found = []
    for number in range(1, count + 1):
        box = tuple(
            slice(max(0, int(along.min()) - RING_TO), int(along.max()) + 1 + RING_TO)
            for along in np.nonzero(numbers == number)
        )
        piece = numbers[box] == number
        near = _widened(mask[box], in_plane, RING_FROM)
        ring = _widened(piece, in_plane, RING_TO) & ~near & body[box]
        signal: dict[str, Polarity] = {}
        for modality, (array, least_spread) in images.items():
            polarity = _polarity(array[box][piece], array[box][ring], least_spread, modality)
            if polarity is not None:
                signal[modality] = polarity
        found.append(signal)
    return found


def _widened(mask: Mask, axes: Sequence[int], voxels: int) -> Mask:
    """The mask widened along two axes, to a square around each voxel."""
    from scipy.ndimage import maximum_filter1d

    for axis in axes:
        mask = maximum_filter1d(mask, 2 * voxels + 1, axis=axis, mode="constant")
    return mask


def _polarity(
    inside: NDArray[np.generic], around: NDArray[np.generic], least_spread: float, modality: str
) -> Polarity | None:
    if len(around) < LEAST_RING_VOXELS:
        return None
    beside = around.astype(np.float64)
    level = float(np.median(beside))
    spread = max(robust_deviation(beside), least_spread)
    if spread <= 0:
        return None
    low, high = np.percentile(inside.astype(np.float64), (LOW_PERCENTILE, HIGH_PERCENTILE))
    brighter, darker = (high - level) / spread, (level - low) / spread
    if signal_of(modality) == T1_CONTRAST:
        # Necrosis and oedema stay dark in what enhances, so only the bright parts tell.
        if NOT_ENHANCING_CONTRAST < brighter < ENHANCING_CONTRAST:
            return None
        return "bright" if brighter >= ENHANCING_CONTRAST else "dark"
    if max(brighter, darker) < LEAST_CONTRAST or max(brighter, darker) < CLEARER * min(brighter, darker):
        return None
    return "bright" if brighter > darker else "dark"
