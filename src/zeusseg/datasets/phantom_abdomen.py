"""An upper abdomen: body wall, spine, liver with vessels and nodules, spleen, kidneys, stomach, pancreas, bowel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Mask
from zeusseg.datasets.phantom_lesions import LABELS, Anatomy, Lesion, place_lesions
from zeusseg.datasets.phantom_physics import TISSUE_CODES
from zeusseg.datasets.phantom_shapes import Field, Point, Points, ellipsoid, pose, sheets, smooth_noise, tube


@dataclass(frozen=True)
class Trunk:
    """What differs from body to body; lengths in mm. The origin is the middle of the body at the first lumbar disc."""

    half_width: float
    half_depth: float
    fat: float
    liver: float
    spleen: float
    kidney: float
    kidney_lift: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Trunk:
        return cls(
            half_width=float(rng.uniform(140, 160)),
            half_depth=float(rng.uniform(94, 112)),
            fat=float(rng.uniform(8, 24)),
            liver=float(rng.uniform(0.92, 1.10)),
            spleen=float(rng.uniform(0.85, 1.2)),
            kidney=float(rng.uniform(0.9, 1.1)),
            kidney_lift=float(rng.uniform(-8, 10)),
        )

    @property
    def spine_y(self) -> float:
        return -0.36 * self.half_depth

    def skin(self, points: Points) -> Field:
        """Signed distance to the skin: an oval, squarer than an ellipse (exponent 2.4)."""
        across, along = np.abs(points.x) / self.half_width, np.abs(points.y) / self.half_depth
        level = (across**2.4 + along**2.4) ** (1 / 2.4)
        slope = np.hypot(across**1.4 / self.half_width, along**1.4 / self.half_depth)
        return ((level - 1) * level**1.4 / np.maximum(slope, 1e-6)).astype(np.float32)

    def wall(self, points: Points) -> Field:
        """Distance from the skin at which the abdominal wall's muscle begins: fat is thickest at flanks and back."""
        return self.fat * (1 - 0.25 * points.y / self.half_depth)

    def cavity(self, points: Points) -> Field:
        return self.skin(points) + self.wall(points) + 12

    def liver_surface(self, points: Points, cavity: Field) -> Field:
        """Signed distance to the liver: a big right lobe, a thin left one, and the cavity's wall as its mould."""
        room = self.half_width - self.fat - 12
        right = ellipsoid(
            points, (room - 62 * self.liver, 2, 14), (66 * self.liver, 76 * self.liver, 72 * self.liver), 8
        )
        left = ellipsoid(points, (12, 0.44 * self.half_depth, 30), (72 * self.liver, 32, 40), 12)
        lobes = np.minimum(right, left)
        hollow = ellipsoid(points, (0, self.spine_y + 6, 0), (42, 44, 1e6))
        # The right kidney lies in a hollow of the liver, which does not reach behind it.
        x, y, z = self.kidney_centre(1)
        behind = ellipsoid(points, (x + 6, y - 24, z), (44 * self.kidney, 46 * self.kidney, 62 * self.kidney))
        return np.maximum.reduce([lobes, cavity + 2.5, -hollow, -behind])

    def spleen_surface(self, points: Points, cavity: Field) -> Field:
        size = self.spleen
        reach = -(self.half_width - self.fat - 12 - 26 * size)
        body = ellipsoid(points, (reach, -0.30 * self.half_depth, 24), (27 * size, 46 * size, 40 * size), -18)
        return np.maximum(body, cavity + 2.5)

    def gallbladder(self, points: Points) -> Field:
        """Signed distance to the gallbladder, at the lower border of the liver."""
        return ellipsoid(points, (44, 0.40 * self.half_depth, -16), (11, 17, 19), 20)

    def kidney_centre(self, side: int) -> Point:
        """Of the right (+1) or left (-1) kidney; the liver holds the right one lower."""
        lift = self.kidney_lift + (-16 if side > 0 else -4)
        return (side * 0.42 * self.half_width, self.spine_y - 4, lift)


def build_abdomen(
    rng: np.random.Generator, lesion_rng: np.random.Generator, axes: Sequence[Field], count: int
) -> Anatomy:
    """Draw one abdomen on sub-voxels along `axes` (mm, the middle of the grid at 0) with `count` liver nodules."""
    trunk = Trunk.draw(rng)
    points = pose(rng, (axes[0], axes[1], axes[2] + 4), 4.0, (4.0, 3.0, 8.0), 4.0)
    lesions = _plan_nodules(lesion_rng, trunk, axes, count)
    code = TISSUE_CODES
    tissue = _body_wall(rng, trunk, points, axes)
    label = np.zeros(tissue.shape, dtype=np.uint8)
    cavity = trunk.cavity(points)
    _paint_bowel(rng, trunk, tissue, points, axes, cavity)
    _paint_stomach(rng, trunk, tissue, points, cavity)

    liver = _largest(trunk.liver_surface(points, cavity) < 0)
    tissue[liver], label[liver] = code["liver"], LABELS["liver"]
    _paint_vessels_in(rng, trunk, tissue, points, liver)
    owner = np.zeros(tissue.shape, dtype=np.uint8)
    for number, lesion in enumerate(lesions, start=1):
        ragged = lesion.ragged_mm * smooth_noise(lesion_rng, axes, 14.0)
        nodule = (lesion.depth(points, lesion.radius_mm) + ragged < 0) & liver
        tissue[nodule], label[nodule], owner[nodule] = code["liver lesion"], LABELS["liver lesion"], number
    gallbladder = trunk.gallbladder(points)
    tissue[gallbladder < 2], tissue[gallbladder < 0] = code["bowel wall"], code["fluid"]
    label[gallbladder < 2] = 0
    spleen = (trunk.spleen_surface(points, cavity) < 0) & ~liver
    tissue[spleen], label[spleen] = code["spleen"], LABELS["spleen"]
    for side, name in ((1, "right kidney"), (-1, "left kidney")):
        _paint_kidney(rng, trunk, tissue, label, points, axes, cavity, side, name)
    _paint_middle(trunk, tissue, label, points)
    _paint_spine(trunk, tissue, label, points)
    owner[label != LABELS["liver lesion"]] = 0
    return Anatomy(tissue, label, owner, lesions)


def liver_place(centre: Point) -> str:
    return "right lobe of the liver" if centre[0] > 25 else "left lobe of the liver"


def _largest(mask: Mask) -> Mask:
    """The largest connected piece of a mask."""
    from scipy.ndimage import label

    pieces, count = label(mask)
    sizes = np.bincount(pieces.ravel(), minlength=2)[1:]
    return pieces == 1 + int(sizes.argmax()) if count > 1 else mask


def _plan_nodules(rng: np.random.Generator, trunk: Trunk, axes: Sequence[Field], count: int) -> tuple[Lesion, ...]:
    low, high = float(axes[2][0]) + 14, float(axes[2][-1]) - 6

    def candidate(rng: np.random.Generator) -> Point:
        z = rng.uniform(low, high) if high > low else (low + high) / 2
        x, y = rng.uniform(10, 0.8 * trunk.half_width), rng.uniform(-0.4, 0.6) * trunk.half_depth
        return (float(x), float(y), float(z))

    def room_mm(centre: Point) -> float:
        at = Points.at(centre)
        kidney = ellipsoid(at, trunk.kidney_centre(1), _kidney_radii(trunk))
        return min(
            float(-trunk.liver_surface(at, trunk.cavity(at))), float(kidney) - 7, float(trunk.gallbladder(at)) - 3
        )

    return place_lesions(rng, count, "abdomen", candidate, room_mm)


def _body_wall(rng: np.random.Generator, trunk: Trunk, points: Points, axes: Sequence[Field]) -> NDArray[np.uint8]:
    """Air, skin, subcutaneous fat, the muscle wall with ribs in it, the muscles of the back, and fat inside."""
    code = TISSUE_CODES
    skin = trunk.skin(points) + 1.5 * smooth_noise(rng, axes, 70.0)
    wall = skin + trunk.wall(points)
    tissue = np.full(skin.shape, code["air"], dtype=np.uint8)
    tissue[skin < 0] = code["skin"]
    tissue[skin < -2.5] = code["fat"]
    tissue[wall < 0] = code["muscle"]
    tissue[wall < -12] = code["fat"]
    # Ribs run obliquely downward to the front: one phase in angle and height gives their oval cuts.
    angle = np.arctan2(points.x, -points.y)
    phase = np.cos(2 * np.pi * (points.z + 46 * np.abs(angle)) / 27)
    across = np.abs(wall + 6.5)
    ribs = (across < 4.5) & (phase > 0.45 + 0.12 * across) & (np.abs(angle) > 0.5) & (np.abs(angle) < 2.3)
    ribs &= points.z > -40 + 30 * np.abs(angle)
    tissue[ribs] = code["cortical bone"]
    tissue[ribs & (across < 2.2) & (phase > 0.72)] = code["marrow"]
    side, y = points.mirrored(), trunk.spine_y
    back = ellipsoid(side, (30, y - 32, 0), (28, 19, 1e6))
    loin = ellipsoid(side, (0.42 * trunk.half_width, y - 38, -40), (24, 12, 46), -15)
    psoas = ellipsoid(side, (36, y - 2, -62), (17, 15, 70))
    muscle = (np.minimum.reduce([back, loin, psoas]) < 0) & (wall < -1)
    tissue[muscle & (np.abs(points.x) > 3)] = code["muscle"]
    return tissue


def _paint_bowel(
    rng: np.random.Generator,
    trunk: Trunk,
    tissue: NDArray[np.uint8],
    points: Points,
    axes: Sequence[Field],
    cavity: Field,
) -> None:
    """Loops of small bowel in front, and a colon with gas on both flanks, below liver and stomach."""
    code = TISSUE_CODES
    loops = sheets(smooth_noise(rng, axes, (17, 17, 24)), axes)
    filling = smooth_noise(rng, axes, (21, 21, 30))
    region = (points.y > trunk.spine_y + 44) & (points.z < 22) & (cavity < -7)
    lumen = region & (loops > 4.8)
    tissue[region & (loops > 1.2)] = code["bowel wall"]
    tissue[lumen] = code["bowel content"]
    tissue[lumen & (filling > 0.7)] = code["fluid"]
    out = trunk.half_width - trunk.fat - 12 - 30
    for side in (1, -1):
        path = [(side * out, -6.0, 6.0 - 10 * side), (side * (out + 3), -12.0, -30.0), (side * out, -10.0, -80.0)]
        wall = tube(points, path, [17, 20, 18]) + 1.5 * filling
        tissue[(wall < 0) & (cavity < 0)] = code["bowel wall"]
        inside = (wall < -3.5) & (cavity < 0)
        tissue[inside] = code["bowel content"]
        tissue[inside & (points.y > -6)] = code["gas"]


def _paint_stomach(
    rng: np.random.Generator, trunk: Trunk, tissue: NDArray[np.uint8], points: Points, cavity: Field
) -> None:
    fill = float(rng.uniform(0.85, 1.15))
    path = [(-62.0, 0.05 * trunk.half_depth, 44.0), (-56.0, 26.0, 14.0), (-16.0, 40.0, -8.0)]
    wall = tube(points, path, [36 * fill, 30 * fill, 17 * fill])
    wall = np.maximum(wall, cavity + 5)
    tissue[wall < 0] = TISSUE_CODES["bowel wall"]
    tissue[wall < -5] = TISSUE_CODES["fluid"]
    # On the back, gas rises to the front.
    tissue[(wall < -5) & (points.y > 34 * fill)] = TISSUE_CODES["gas"]


def _paint_vessels_in(
    rng: np.random.Generator, trunk: Trunk, tissue: NDArray[np.uint8], points: Points, liver: Mask
) -> None:
    """Portal branches from the hilum and hepatic veins to the top: they count as liver."""
    inside, blood = Points(points.x[liver], points.y[liver], points.z[liver]), np.zeros(int(liver.sum()), dtype=bool)
    hilum, top = (34.0, trunk.spine_y + 52, 4.0), (22.0, trunk.spine_y + 34, 62.0)
    for root, count, wide in ((hilum, 6, 6.5), (top, 4, 6.0)):
        for _ in range(count):
            middle = tuple(np.add(root, rng.uniform((8, -16, -14), (36, 26, 14))))
            end = tuple(np.add(middle, rng.uniform((8, -30, -26), (34, 30, 22))))
            blood |= tube(inside, [root, middle, end], [wide, 0.75 * wide, 2.8]) < 0
    tissue[liver] = np.where(blood, TISSUE_CODES["blood"], tissue[liver])


def _kidney_radii(trunk: Trunk) -> Point:
    return (26 * trunk.kidney, 31 * trunk.kidney, 55 * trunk.kidney)


def _paint_kidney(
    rng: np.random.Generator,
    trunk: Trunk,
    tissue: NDArray[np.uint8],
    label: NDArray[np.uint8],
    points: Points,
    axes: Sequence[Field],
    cavity: Field,
    side: int,
    name: str,
) -> None:
    """A kidney in its fat, open toward the middle: cortex, pyramids, and a sinus of fat that is not part of it."""
    code = TISSUE_CODES
    centre, radii = trunk.kidney_centre(side), _kidney_radii(trunk)
    turn = side * float(rng.uniform(15, 35))
    surface = ellipsoid(points, centre, radii, turn)
    hilum = (centre[0] - side * 15, centre[1] + 7, centre[2])
    sinus = ellipsoid(points, hilum, (17, 9, 25), -turn)
    bed = (surface < 7) & (cavity < -1) & (surface >= 0)
    tissue[bed & (tissue != code["muscle"])], label[bed] = code["fat"], 0
    inside = (surface < 0) & (sinus > 0)
    tissue[(surface < 0) & (sinus <= 0)], label[surface < 0] = code["fat"], 0
    pyramids = (surface < -7.5) & (sinus > 1) & (smooth_noise(rng, axes, 16.0) > -0.35)
    tissue[inside], label[inside] = code["renal cortex"], LABELS[name]
    tissue[inside & pyramids] = code["renal medulla"]
    pelvis = ellipsoid(points, hilum, (9, 4.5, 10), -turn)
    tissue[pelvis < 0] = code["fluid"]


def _paint_middle(trunk: Trunk, tissue: NDArray[np.uint8], label: NDArray[np.uint8], points: Points) -> None:
    """Pancreas, aorta, caval vein, mesenteric vessels, in the fat before the spine."""
    y, code = trunk.spine_y, TISSUE_CODES
    pancreas = tube(points, [(40, y + 46, -22), (26, y + 52, -6), (-14, y + 58, 4), (-58, y + 40, 14)], [12, 11, 9, 8])
    vessels = (
        ellipsoid(points, (-9, y + 30, 0), (10, 10, 1e6)),
        ellipsoid(points, (21, y + 26, 0), (12.5, 9.5, 1e6)),
        tube(points, [(-6, y + 47, -80), (-6, y + 46, 0), (-8, y + 38, 18)], [5, 5, 5]),
        tube(points, [(6, y + 48, -80), (8, y + 46, 0), (34, y + 52, 4)], [6, 6, 6.5]),
    )
    free = ~np.isin(label, [LABELS["right kidney"], LABELS["left kidney"], LABELS["liver lesion"]])
    gland = (pancreas < 0) & free & (label != LABELS["liver"])
    tissue[gland], label[gland] = code["pancreas"], 0
    blood = (np.minimum.reduce(vessels) < 0) & free
    tissue[blood], label[blood] = code["blood"], 0


def _paint_spine(trunk: Trunk, tissue: NDArray[np.uint8], label: NDArray[np.uint8], points: Points) -> None:
    """Vertebral bodies and discs, arches with spinous and transverse processes, and the canal with its cord."""
    y, code = trunk.spine_y, TISSUE_CODES
    body = ellipsoid(points, (0, y, 0), (23, 17, 1e6))
    side = points.mirrored()
    level = np.abs((points.z / 36) % 1 - 0.5) * 36  # 18 mm at the discs' middle, 0 at the bodies'
    arch = np.minimum.reduce(
        [
            ellipsoid(points, (0, y - 25, 0), (15, 14, 1e6)),
            ellipsoid(points, (0, y - 46, 0), (4.2, 20, 1e6)) + np.maximum(level - 11, 0),
            ellipsoid(side, (22, y - 24, 0), (20, 5, 1e6), -8) + np.maximum(level - 6, 0),
        ]
    )
    bone = np.minimum(body, arch)
    tissue[bone < 0], label[bone < 0] = code["cortical bone"], 0
    tissue[bone < -2.2] = code["marrow"]
    tissue[(body < -1) & (level > 13.5)] = code["disc"]
    canal = ellipsoid(points, (0, y - 25, 0), (10.5, 9, 1e6))
    tissue[canal < 0] = code["csf"]
    tissue[ellipsoid(points, (0, y - 25, 0), (5, 4, 1e6)) < 0] = code["white matter"]
