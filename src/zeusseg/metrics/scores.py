"""Every measure of two masks in one call: counts, surfaces and lesions are each worked out once."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from zeusseg.case import Mask
from zeusseg.metrics.box import pair_masks
from zeusseg.metrics.lesions import LesionScores, lesion_scores
from zeusseg.metrics.overlap import Overlap, overlap
from zeusseg.metrics.surface import (
    SurfaceDistances,
    SurfaceKind,
    average_symmetric_surface_distance,
    hausdorff_95,
    normalized_surface_dice,
    pair_distances,
)

_OVERLAP: dict[str, Callable[[Overlap], float]] = {
    "dice": lambda found: found.dice,
    "iou": lambda found: found.iou,
    "precision": lambda found: found.precision,
    "recall": lambda found: found.recall,
    "volume_difference": lambda found: found.volume_difference,
}
_SURFACE: dict[str, Callable[[SurfaceDistances], float]] = {
    "hd95": hausdorff_95,
    "assd": average_symmetric_surface_distance,
}
_LESIONS: dict[str, Callable[[LesionScores], float]] = {
    "lesion_f1": lambda found: found.f1,
    "lesion_dice": lambda found: found.dice,
}


@dataclass(frozen=True)
class Definitions:
    """Where measures have several definitions, which one is meant.

    `surface`: border voxels, or surface elements by area. `tolerances` of the normalised surface Dice, in the unit of
    the spacing. `empty`: what two empty masks score. `nan` leaves them out of every mean (and counts a mask predicted
    there as a false mask); `one` scores them as perfect and such a mask as a miss, as many published studies do.
    """

    surface: SurfaceKind = "border"
    tolerances: tuple[float, ...] = (2.0,)
    empty: Literal["nan", "one"] = "nan"

    def __post_init__(self) -> None:
        if self.surface not in get_args(SurfaceKind):
            raise ValueError(f"unknown surface {self.surface!r}: expected one of {', '.join(get_args(SurfaceKind))}")
        if self.empty not in ("nan", "one"):
            raise ValueError(f"two empty masks cannot score {self.empty!r}: expected nan or one")
        if not self.tolerances or not all(0 <= tolerance < math.inf for tolerance in self.tolerances):
            raise ValueError(f"tolerances {self.tolerances} do not fit: expected distances of at least 0")

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of all measures, in the order of tables."""
        nsd = tuple(nsd_name(tolerance) for tolerance in self.tolerances)
        return ("dice", "iou", "precision", "recall", "hd95", "assd", *nsd, "volume_difference", *_LESIONS)


def nsd_name(tolerance: float) -> str:
    """
    >>> nsd_name(2.0), nsd_name(0.5)
    ('nsd_2', 'nsd_0.5')
    """
    return f"nsd_{tolerance:g}"


def compute_scores(
    prediction: Mask,
    reference: Mask,
    spacing: Sequence[float],
    definitions: Definitions | None = None,
    measures: Collection[str] | None = None,
) -> dict[str, float]:
    """Measure two masks (x, y, z) or (x, y) of one shape: those of `Definitions.measures`, or the named ones only.

    `spacing` (voxel edges) and the tolerances share a unit, which is also that of `hd95` and `assd`; the unit of
    `volume_difference` is its cube. A miss (only the prediction is empty) scores 0, and the image's diagonal for a
    distance; see `Definitions.empty` for empty references. Raises `ValueError` where shapes or spacing do not fit, a
    tolerance is negative, or a measure is unknown.
    """
    definitions = definitions or Definitions()
    wanted = definitions.measures if measures is None else tuple(measures)
    unknown = sorted(set(wanted) - set(definitions.measures))
    if unknown:
        raise ValueError(f"unknown measure {unknown[0]!r}: expected some of {', '.join(definitions.measures)}")
    # Cut once: reading the whole image is a large part of the work for a small mask.
    pair = pair_masks(prediction, reference, spacing)
    counts = overlap(pair.prediction, pair.reference)
    found = {name: of(counts) for name, of in _OVERLAP.items()}
    found["volume_difference"] *= math.prod(spacing)
    surface = {nsd_name(t): _nsd(t) for t in definitions.tolerances} | _SURFACE
    if set(wanted) & set(surface):
        distances = pair_distances(pair, definitions.surface)
        found |= {name: of(distances) for name, of in surface.items()}
    if set(wanted) & set(_LESIONS):
        lesions = lesion_scores(pair.prediction, pair.reference)
        found |= {name: of(lesions) for name, of in _LESIONS.items()}
    if definitions.empty == "one" and not counts.true:
        found = _of_an_empty_reference(found, counts.predicted * math.prod(spacing), pair.diagonal)
    return {name: found[name] for name in wanted}


def _nsd(tolerance: float) -> Callable[[SurfaceDistances], float]:
    return lambda distances: normalized_surface_dice(distances, tolerance)


def _of_an_empty_reference(found: dict[str, float], predicted: float, diagonal: float) -> dict[str, float]:
    """The convention `one`: a rightly empty mask is perfect, any other is a miss."""
    scored = dict.fromkeys(found, 0.0 if predicted else 1.0)
    scored |= {name: diagonal if predicted else 0.0 for name in _SURFACE if name in found}
    return scored | {"volume_difference": predicted}
