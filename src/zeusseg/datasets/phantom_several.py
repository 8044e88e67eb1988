"""Several lesions of one brain on about the same level, which side, size and enhancement tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from zeusseg.case import Mask
from zeusseg.datasets.phantom_lesions import Lesion
from zeusseg.datasets.phantom_shapes import Field
from zeusseg.errors import UsageError

COUNTS = (2, 3, 4)
SMALL_RADIUS_MM, LARGE_RADIUS_MM = (6.0, 7.5), (13.0, 17.0)
# Nearer to the midline than this, the side of a lesion would be a matter of opinion.
OFF_MIDLINE_MM = 16.0
# Between the borders of two lesions, beside what raggedness takes of it.
GAP_MM = 5.0
TRIES, TRIES_OF_A_PLAN = 60, 3


@dataclass(frozen=True, eq=False)
class Level:
    """One slice of a head on its sub-voxels, each array (2x, 2y): body coordinates (mm) of their centres, and how far
    (mm) they lie inside the brain's surface and outside the ventricles."""

    x: Field
    y: Field
    z: Field
    depth: Field
    from_ventricles: Field


def plan_several(rng: np.random.Generator, count: int, level: Level) -> tuple[Lesion, ...]:
    """So many lesions, centred on a level and apart from each other, the large ones first.

    Side, size (small or large) and enhancement of each are drawn independently, all values as likely; where all
    lesions would be alike, or where there is no room for them, all are drawn again. Left and right are treated alike,
    and so is what enhances and what does not, so this leaves the three independent of each other in every lesion.
    Raises `UsageError` where no plan fits.
    """
    for _ in range(TRIES):
        drafts = _draw(rng, count)
        for _ in range(TRIES_OF_A_PLAN):
            placed = _place(rng, drafts, level)
            if placed is not None:
                return placed
    raise UsageError(f"no room for {count} lesions in a slice of this phantom: choose a grid that shows its brain")


def _draw(rng: np.random.Generator, count: int) -> list[tuple[Lesion, int]]:
    """Lesions without a place, the large ones first, each with its side: -1 for the patient's left, 1 for the right."""
    while True:
        large, enhancing, right = rng.integers(2, size=(3, count))
        if len(set(zip(large, enhancing, right, strict=True))) > 1:
            break
    drafts = [
        (_lesion(rng, bool(is_large), bool(enhances)), 2 * int(on_right) - 1)
        for is_large, enhances, on_right in zip(large, enhancing, right, strict=True)
    ]
    return sorted(drafts, key=lambda draft: -draft[0].radius_mm)


def _lesion(rng: np.random.Generator, large: bool, enhancing: bool) -> Lesion:
    radius = float(rng.uniform(*(LARGE_RADIUS_MM if large else SMALL_RADIUS_MM)))
    kind, core, necrosis = "infiltrating", 0.0, 0.0
    if enhancing:
        # A rim of two voxels leaves a small lesion no room for a dead centre.
        kind = str(rng.choice(("ring", "solid"))) if large else "solid"
        core = radius - float(rng.uniform(3.0, 5.0) if large else rng.uniform(1.2, 2.2))
        necrosis = core - float(rng.uniform(4.6, 5.8)) if kind == "ring" else 0.0
    stretch = 1 + rng.uniform(-0.12, 0.12, 3)
    ragged = float(rng.uniform(0.8, 2.0) if large else rng.uniform(0.4, 0.9))
    return Lesion(
        kind, (0.0, 0.0, 0.0), radius, core, necrosis, (float(stretch[0]), float(stretch[1]), float(stretch[2])),
        float(rng.uniform(0, 180)), ragged,
    )  # fmt: skip


def _place(rng: np.random.Generator, drafts: Sequence[tuple[Lesion, int]], level: Level) -> tuple[Lesion, ...] | None:
    placed: list[Lesion] = []
    for lesion, side in drafts:
        where = np.argwhere(_free(lesion, side, placed, level))
        if not len(where):
            return None
        i, j = where[int(rng.integers(len(where)))]
        height = float(level.z[i, j]) + float(rng.uniform(-1.5, 1.5))
        placed.append(replace(lesion, centre=(float(level.x[i, j]), float(level.y[i, j]), height)))
    return tuple(placed)


def _free(lesion: Lesion, side: int, placed: Sequence[Lesion], level: Level) -> Mask:
    """Where the centre of a lesion may lie: on its side, within the brain, and apart from those that have a place."""
    radius = lesion.radius_mm
    free = (level.depth - 1 >= radius) & (side * level.x >= max(OFF_MIDLINE_MM, radius))
    # A ventricle gives way, by as much as `Lesion.pushed` moves it.
    free &= level.from_ventricles >= 0.75 * radius
    for other in placed:
        between = np.hypot(level.x - other.centre[0], level.y - other.centre[1])
        free &= between >= _reach_mm(lesion) + _reach_mm(other) + GAP_MM
    return np.asarray(free, dtype=np.bool_)


def _reach_mm(lesion: Lesion) -> float:
    return lesion.radius_mm * max(lesion.stretch) + lesion.ragged_mm
