"""Lesions: how many, what kind, where, and how they are painted into tissue and labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Mask
from zeusseg.datasets.phantom_physics import TISSUE_CODES
from zeusseg.datasets.phantom_shapes import Field, Point, Points, ellipsoid, smooth_noise

LABELS: dict[str, int] = {
    "oedema": 1,
    "enhancing tumour": 2,
    "necrosis": 3,
    "ventricles": 4,
    "liver": 5,
    "spleen": 6,
    "right kidney": 7,
    "left kidney": 8,
    "liver lesion": 9,
}
REGION_LABELS: dict[str, tuple[int, ...]] = {"brain": (1, 2, 3, 4), "abdomen": (5, 6, 7, 8, 9)}
KINDS = ("ring", "solid", "infiltrating")


@dataclass(frozen=True)
class Lesion:
    """One planned lesion in body coordinates (mm).

    `core_mm` is the radius of the enhancing part (0 where nothing enhances), `necrosis_mm` that of the dead centre.
    `stretch` and `turn_degrees` make it an ellipsoid; `ragged_mm` is how far its outer border strays.
    """

    kind: str
    centre: Point
    radius_mm: float
    core_mm: float
    necrosis_mm: float
    stretch: Point
    turn_degrees: float
    ragged_mm: float

    def depth(self, points: Points, radius_mm: float) -> Field:
        """Signed distance (mm) to this lesion's surface of the given mean radius."""
        radii = (radius_mm * self.stretch[0], radius_mm * self.stretch[1], radius_mm * self.stretch[2])
        return ellipsoid(points, self.centre, radii, self.turn_degrees)

    def pushed(self, points: Points) -> Points:
        """Mass effect: tissue near the lesion is displaced outward, most at its border and never folded over."""
        x, y, z = points.x - self.centre[0], points.y - self.centre[1], points.z - self.centre[2]
        square = x**2 + y**2 + z**2
        pull = 1 - 0.45 * np.exp(-square / (1.6 * self.radius_mm) ** 2)
        return Points(self.centre[0] + x * pull, self.centre[1] + y * pull, self.centre[2] + z * pull)


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Tissue codes, label values and lesion numbers per sub-voxel (2x, 2y, z), and the lesions that were planned."""

    tissue: NDArray[np.uint8]
    label: NDArray[np.uint8]
    owner: NDArray[np.uint8]
    lesions: tuple[Lesion, ...]


def draw_lesion(rng: np.random.Generator, region: str, small: bool) -> Lesion:
    """A lesion of random kind and size (15 to 45 mm across), not placed yet."""
    stretch = 1 + rng.uniform(-0.12, 0.12, 3)
    shape = (float(stretch[0]), float(stretch[1]), float(stretch[2]))
    turn = float(rng.uniform(0, 180))
    if region == "abdomen":
        radius = float(rng.uniform(9, 13) if small else rng.uniform(11, 21))
        return Lesion("nodule", (0.0, 0.0, 0.0), radius, 0.0, 0.0, shape, turn, float(rng.uniform(0.3, 1.0)))
    kind = str(rng.choice(KINDS, p=(0.25, 0.5, 0.25) if small else (0.7, 0.15, 0.15)))
    if kind == "infiltrating":
        radius, core, necrosis = float(rng.uniform(9, 12) if small else rng.uniform(12, 18.5)), 0.0, 0.0
    else:
        necrosis = float(rng.uniform(5.5, 6.5) if small else rng.uniform(6.5, 9.5)) if kind == "ring" else 0.0
        core = necrosis + float(rng.uniform(4.6, 6.0)) if necrosis else float(rng.uniform(8.0, 11.0))
        radius = min(core + float(rng.uniform(3.5, 8.0)), 18.5)
    return Lesion(kind, (0.0, 0.0, 0.0), radius, core, necrosis, shape, turn, float(rng.uniform(0.8, 2.4)))


def lesion_count(rng: np.random.Generator) -> int:
    """None in about 30 % of patients, otherwise mostly one."""
    return int(rng.choice(4, p=(0.3, 0.42, 0.18, 0.1)))


def place_lesions(
    rng: np.random.Generator,
    count: int,
    region: str,
    candidate: Callable[[np.random.Generator], Point],
    room_mm: Callable[[Point], float],
) -> tuple[Lesion, ...]:
    """Put lesions where `room_mm` (distance to what they must not touch) allows, apart from each other.

    Where a lesion finds no room in 60 tries it takes the roomiest place met: `count` is always kept.
    """
    placed: list[Lesion] = []
    for _ in range(count):
        plan = draw_lesion(rng, region, small=count > 1)
        best, best_room = (0.0, 0.0, 0.0), -np.inf
        for _ in range(60):
            centre = candidate(rng)
            apart = [float(np.linalg.norm(np.subtract(centre, other.centre))) - other.radius_mm for other in placed]
            room = min([room_mm(centre), *(gap - 4 for gap in apart)]) - plan.radius_mm
            if room > best_room:
                best, best_room = centre, room
            if room >= 0:
                break
        placed.append(
            Lesion(
                plan.kind,
                best,
                plan.radius_mm,
                plan.core_mm,
                plan.necrosis_mm,
                plan.stretch,
                plan.turn_degrees,
                plan.ragged_mm,
            )
        )
    return tuple(placed)


def paint_brain_lesions(
    rng: np.random.Generator,
    lesions: Sequence[Lesion],
    points: Points,
    axes: Sequence[Field],
    tissue: NDArray[np.uint8],
    label: NDArray[np.uint8],
    room: Mask,
) -> NDArray[np.uint8]:
    """Paint oedema and solid cores over everything in `room`, sulci too: swelling effaces them.

    `tissue` and `label` (sub-voxels) are changed in place. Returns the number of each sub-voxel's lesion, 0 for none.
    """
    owner = np.zeros(tissue.shape, dtype=np.uint8)
    for number, lesion in enumerate(lesions, start=1):
        ragged = lesion.ragged_mm * smooth_noise(rng, axes, 8.0).clip(-1.6, 1.6)
        outer = lesion.depth(points, lesion.radius_mm) + ragged
        halo = (outer < 0) & room & (owner == 0)
        parts = [("oedema", halo)]
        if lesion.core_mm:
            core = (lesion.depth(points, lesion.core_mm) + 0.3 * ragged < 0) & room & (owner == 0)
            parts.append(("enhancing tumour", core))
            if lesion.necrosis_mm:
                parts.append(("necrosis", core & (lesion.depth(points, lesion.necrosis_mm) + 0.3 * ragged < 0)))
        for name, where in parts:
            tissue[where], label[where] = TISSUE_CODES[name], LABELS[name]
        for _, where in parts:
            owner[where] = number
    return owner
