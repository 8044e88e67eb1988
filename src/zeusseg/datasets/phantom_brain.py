"""A head: scalp, skull, folded cortex, white matter, deep nuclei, ventricles, cerebellum, brainstem, eyes, tumours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Mask
from zeusseg.datasets.phantom_lesions import LABELS, Anatomy, Lesion, paint_brain_lesions, place_lesions
from zeusseg.datasets.phantom_physics import TISSUE_CODES
from zeusseg.datasets.phantom_several import Level, plan_several
from zeusseg.datasets.phantom_shapes import Field, Point, Points, ellipsoid, pose, sheets, smooth_noise, tube

# Heights (mm above the thalami) at which a slice has room for several tumours.
WIDE_LEVELS_MM = (2.0, 34.0)


@dataclass(frozen=True)
class Head:
    """What differs from head to head; lengths in mm. The origin lies between the thalami."""

    half_width: float
    half_length: float
    half_height: float
    fluid: float
    sulcus: float
    cortex: float
    skull: float
    fat: float
    ventricle: float
    asymmetry: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Head:
        age = rng.uniform()  # widens ventricles, sulci and the fluid around the brain together
        return cls(
            half_width=float(rng.uniform(58, 65)),
            half_length=float(rng.uniform(72, 79)),
            half_height=float(rng.uniform(60, 68)),
            fluid=float(1.4 + 1.6 * age),
            sulcus=float(0.35 + 0.75 * age),
            cortex=float(rng.uniform(3.2, 3.9)),
            skull=float(rng.uniform(5.0, 7.5)),
            fat=float(rng.uniform(2.5, 5.0)),
            ventricle=float(0.95 + 0.55 * age * rng.uniform(0.4, 1.0)),
            asymmetry=float(rng.uniform(-0.12, 0.12)),
        )

    def egg(self, points: Points) -> Field:
        """Signed distance to the hull of the brain, an egg that is narrower in front."""
        taper = 1 + 0.0022 * (points.y + 15)
        radii = (self.half_width, self.half_length, self.half_height)
        return ellipsoid(Points(points.x * taper, points.y, points.z), (0, 0, 8), radii)

    def cerebrum(self, points: Points) -> Field:
        """Signed distance to the cerebrum: in front it rests on the domed roofs of the orbits, at the sides the
        temporal lobes reach down into their fossae."""
        side = points.mirrored()
        domes = np.exp(-(((side.x - 30) / 17) ** 2) - ((side.y - 46) / 24) ** 2)
        floor = (-13 + 7 * domes - points.z).astype(np.float32)
        temporal = ellipsoid(side, (0.58 * self.half_width, -2, -20), (0.42 * self.half_width, 38, 25), -8)
        return np.maximum(self.egg(points), np.minimum(floor, temporal))

    def cerebellum(self, points: Points) -> Field:
        return ellipsoid(points, (0, -0.58 * self.half_length, -34), (0.76 * self.half_width, 32, 25))

    def ventricles(self, points: Points) -> Field:
        """Signed distance to the lateral, third and fourth ventricles."""
        # Ventricles are taller than wide: a tube in a space squeezed from above.
        side = Points(np.abs(points.x), points.y, 12 + 0.62 * (points.z - 12))
        size = self.ventricle * (1 + self.asymmetry * np.tanh(points.x / 4))
        horns = (
            tube(
                side,
                [(15, 31, 6), (9, 16, 11), (10, -14, 17), (22, -33, 11), (25, -50, 5)],
                [3.2, 5.0, 5.2, 6.2, 3.0],
            )
            - (size - 1) * 5
        )
        third = ellipsoid(points, (0, -5, -2), (2.4 * self.ventricle, 13, 9))
        fourth = ellipsoid(points, (0, -0.42 * self.half_length, -30), (8 * self.ventricle, 5.0, 10))
        return np.minimum(np.minimum(horns.astype(np.float32), third), fourth)


def build_brain(
    rng: np.random.Generator, lesion_rng: np.random.Generator, axes: Sequence[Field], count: int, several: bool = False
) -> Anatomy:
    """Draw one head on sub-voxels along `axes` (mm, the middle of the grid at 0) with `count` tumours.

    `several`: these are small or large, on one level, and differ as `phantom_several.plan_several` says.
    """
    head = Head.draw(rng)
    # The slab of slices sits a little above the middle of the head: from the midbrain to the crown.
    points = pose(rng, (axes[0], axes[1], axes[2] + 14), 7.0, (3.0, 2.0, 6.0), 1.6)
    if several:
        lesions = plan_several(lesion_rng, count, _level(lesion_rng, head, points))
    else:
        lesions = _plan_tumours(lesion_rng, head, axes, count)
    inner = points
    for lesion in lesions:
        inner = lesion.pushed(inner)
    fissures = _fissures(rng, head, inner, axes)
    brainstem = _brainstem(inner)
    cerebrum, cerebellum = head.cerebrum(points), head.cerebellum(points)
    hull = np.minimum(np.minimum(cerebrum, cerebellum), brainstem - 3)
    below_tentorium = (cerebellum < 0) & (cerebrum > 0.5)

    tissue = _outside(rng, head, points, hull, axes)
    code = TISSUE_CODES
    # Distance to the nearest fluid, outside or in a sulcus: cortex is what lies within its thickness of it.
    pia = np.minimum.reduce([-head.egg(points) - head.fluid, -cerebrum - 0.5, fissures])
    tissue[hull < 0] = code["csf"]
    tissue[(cerebrum < 0) & (pia > 0)] = code["grey matter"]
    tissue[(cerebrum < 0) & (pia > head.cortex)] = code["white matter"]
    _paint_nuclei(tissue, inner, (cerebrum < 0) & (pia > 1))
    _paint_below(rng, tissue, axes, below_tentorium, cerebellum, brainstem)
    ventricles = (head.ventricles(inner) < 0) & (hull < -2)
    tissue[ventricles] = code["csf"]
    label = np.where(ventricles, LABELS["ventricles"], 0).astype(np.uint8)
    sinus = (np.hypot(points.x * 1.3, 0.0) < 3.5) & (np.abs(hull + 1.5) < 3) & (points.y < 40) & (points.z > -8)
    tissue[sinus & (np.abs(points.y) + points.z > 40)] = code["blood"]

    # Tumours stay in their hemisphere's brain: out of ventricles, falx, outer fluid, brainstem and cerebellum.
    between = np.abs(inner.x) > 1.0 + 0.4 * head.sulcus
    room = (cerebrum < -0.8 * head.fluid) & ~ventricles & (brainstem > 1) & ~below_tentorium & between
    owner = paint_brain_lesions(lesion_rng, lesions, points, axes, tissue, label, room)
    return Anatomy(tissue, label, owner, lesions)


def brain_place(centre: Point) -> str:
    """The lobe of a place in the brain (mm from the origin), as radiologists divide it by eye."""
    x, y, z = centre
    if abs(x) < 22 and -45 < y < 30 and z < 25:
        return "deep"
    if y < -45:
        return "occipital lobe"
    if z < 8 and y < 25:
        return "temporal lobe"
    return "frontal lobe" if y > -8 else "parietal lobe"


def _plan_tumours(rng: np.random.Generator, head: Head, axes: Sequence[Field], count: int) -> tuple[Lesion, ...]:
    low, high = float(axes[2][0]) + 24, float(axes[2][-1]) + 4

    def candidate(rng: np.random.Generator) -> Point:
        x = rng.choice((-1.0, 1.0)) * rng.uniform(0.3, 0.75) * head.half_width
        z = rng.uniform(max(low, 0), min(high, 48)) if high > max(low, 0) else (low + high) / 2
        return (float(x), float(rng.uniform(-0.65, 0.65) * head.half_length), float(z))

    def room_mm(centre: Point) -> float:
        at = Points.at(centre)
        # A tumour may lean on the cortex and on the ventricle that it pushes aside, hence the allowances.
        return min(float(-head.cerebrum(at)) - 1, float(head.ventricles(at)) + 5, abs(centre[0]) + 2)

    return place_lesions(rng, count, "brain", candidate, room_mm)


def _level(rng: np.random.Generator, head: Head, points: Points) -> Level:
    """A slice between the middle of the head and the roofs of the ventricles, where the brain is wide on both sides."""
    heights = points.z[points.z.shape[0] // 2, points.z.shape[1] // 2]
    low, high = WIDE_LEVELS_MM
    fitting = np.flatnonzero((heights >= low) & (heights <= high))
    k = int(rng.choice(fitting)) if fitting.size else int(np.abs(heights - (low + high) / 2).argmin())
    plane = Points(points.x[:, :, k : k + 1], points.y[:, :, k : k + 1], points.z[:, :, k : k + 1])
    x, y, z, depth, away = (
        field[:, :, 0] for field in (plane.x, plane.y, plane.z, -head.cerebrum(plane), head.ventricles(plane))
    )
    return Level(x, y, z, depth, away)


def _fissures(rng: np.random.Generator, head: Head, points: Points, axes: Sequence[Field]) -> Field:
    """Signed distance (mm) to the fluid in sulci, the fissure between the hemispheres and the Sylvian fissures."""
    # Some sulci gape, others are closed: their width varies along the surface.
    gape = head.sulcus * (0.7 + 0.6 * smooth_noise(rng, axes, 25.0))
    folds = sheets(smooth_noise(rng, axes, (7.0, 7.0, 14.0)), axes) - gape
    # Sulci end some 25 mm below the surface; beyond, the distance to them grows and white matter takes over.
    folds += 0.7 * np.maximum(-head.egg(points) - 21, 0)
    side = points.mirrored()
    between = np.abs(points.x) - 0.9 - 0.4 * head.sulcus
    # The corpus callosum and the midbrain bridge the hemispheres.
    between += 3 * np.maximum(-ellipsoid(points, (0, -4, 2), (1e6, 42, 29)), 0)
    insula = ellipsoid(side, (0.62 * head.half_width, 2, 2), (1.2 + head.sulcus, 19, 12), -6)
    cleft = ellipsoid(side, (0.83 * head.half_width, 12, 0), (17, 1.4 + head.sulcus, 15), 12)
    around = np.abs(_brainstem(points) - 2) - 1.6 + 0.8 * gape + 2 * np.maximum(points.z + 5, 0)
    cistern = ellipsoid(points, (0, 9, -20), (13, 9, 8))
    return np.minimum.reduce([folds, between, insula, cleft, around, cistern]).astype(np.float32)


def _brainstem(points: Points) -> Field:
    """Midbrain with its two peduncles, pons, medulla."""
    stem = tube(points, [(0, -15, -4), (0, -18, -24), (0, -24, -48)], [11, 14, 10])
    peduncle = ellipsoid(points.mirrored(), (9, -7, -14), (7, 9, 12), -25)
    return np.minimum(stem, peduncle)


def _paint_nuclei(tissue: NDArray[np.uint8], points: Points, where: Mask) -> None:
    side = points.mirrored()
    shapes = (
        ellipsoid(side, (17, 17, 8), (4.5, 11, 10), 20),  # caudate
        ellipsoid(side, (27, 3, 2), (5.5, 16, 10), -12),  # putamen
        ellipsoid(side, (19, -1, -1), (4.5, 8, 6), -20),  # pallidum
        ellipsoid(side, (11, -16, 4), (8.5, 13, 9), 15),  # thalamus
    )
    tissue[where & (np.minimum.reduce(shapes) < 0)] = TISSUE_CODES["deep grey matter"]


def _paint_below(
    rng: np.random.Generator,
    tissue: NDArray[np.uint8],
    axes: Sequence[Field],
    where: Mask,
    cerebellum: Field,
    brainstem: Field,
) -> None:
    """Brainstem, and a cerebellum whose leaves run across: short waves from front to back, long ones sideways."""
    leaves = sheets(smooth_noise(rng, axes, (30.0, 8.0, 16.0)), axes)
    depth = -cerebellum
    tissue[where] = TISSUE_CODES["csf"]
    tissue[where & (depth > 1.5)] = TISSUE_CODES["grey matter"]
    tissue[where & (depth > 1.5) & ((depth > 11) | ((depth > 5) & (leaves > 1.6)))] = TISSUE_CODES["white matter"]
    tissue[brainstem < 0] = TISSUE_CODES["white matter"]


def _outside(
    rng: np.random.Generator, head: Head, points: Points, hull: Field, axes: Sequence[Field]
) -> NDArray[np.uint8]:
    """Everything around the brain: air, skin, fat, muscle, the two tables of the skull and its marrow, the orbits."""
    code = TISSUE_CODES
    wall = head.skull + 1.5 * smooth_noise(rng, axes, 45.0).clip(-1, 1)
    shell = head.skull + head.fat + 2.0
    # Below its widest part the head goes straight down: face and neck muscles fill what the brain leaves.
    upright = Points(points.x * (1 + 0.0022 * (points.y + 15)), points.y, np.maximum(points.z, 8))
    skin = ellipsoid(upright, (0, 0, 8), (head.half_width + shell, head.half_length + shell, head.half_height + shell))
    skin = np.minimum(skin, hull - shell)
    tissue = np.full(skin.shape, code["air"], dtype=np.uint8)
    tissue[skin < 0] = code["skin"]
    tissue[skin < -2.2] = code["fat"]
    deep = (skin < -2.2 - head.fat) & (hull > wall)
    tissue[deep] = code["muscle"]
    # Between the fossae lies the sphenoid bone; marrow and air cells fill it.
    tissue[deep & (np.abs(points.x) < 26) & (points.y < 40)] = code["marrow"]
    bone = (hull >= 0) & (hull < wall) & (skin < -3)
    tissue[bone] = code["cortical bone"]
    tissue[bone & (hull > 2.0) & (hull < wall - 2.0)] = code["marrow"]
    orbit = ellipsoid(points.mirrored(), (31, 0.82 * head.half_length, -24), (17, 26, 16), 12)
    free = (hull > 3) & (skin < -3)
    tissue[(orbit < 0) & free] = code["fat"]
    globe = ellipsoid(points.mirrored(), (32, head.half_length - 4, -25), (12, 12, 12))
    tissue[(globe < 1.5) & free] = code["muscle"]
    tissue[(globe < 0) & free] = code["vitreous"]
    air_cells = ellipsoid(points, (0, 0.86 * head.half_length, -27), (11, 20, 13))
    tissue[(air_cells < 0) & (hull > 4) & (skin < -6)] = code["air"]
    return tissue
