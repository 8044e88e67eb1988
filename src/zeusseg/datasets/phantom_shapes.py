"""Geometry for phantoms: sub-voxel grids, signed distances in millimetres (negative inside), smooth random fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Point = tuple[float, float, float]

# Tissue is drawn on a grid this much finer in plane, then averaged: that gives partial volume at every border.
FINENESS = 2


@dataclass(frozen=True, eq=False)
class Points:
    """Positions in millimetres, three arrays that broadcast: x to the right, y to the front, z to the head."""

    x: Field
    y: Field
    z: Field

    @classmethod
    def at(cls, point: Point) -> Points:
        """One position, for asking how far a point is from a shape."""
        return cls(*(np.array(value, dtype=np.float32) for value in point))

    def mirrored(self) -> Points:
        """Both sides folded onto the right one, for organs that come in pairs."""
        return Points(np.abs(self.x), self.y, self.z)

    def moved(self, offset: Point) -> Points:
        """The same places seen from another origin."""
        return Points(self.x - offset[0], self.y - offset[1], self.z - offset[2])


def fine_axes(shape: Sequence[int], spacing_mm: Sequence[float]) -> tuple[Field, Field, Field]:
    """Sub-voxel centres along x, y, z in millimetres, the middle of the grid at 0. x and y are `FINENESS` finer."""
    axes = []
    for size, edge, parts in zip(shape, spacing_mm, (FINENESS, FINENESS, 1), strict=True):
        count = size * parts
        axes.append(((np.arange(count) - (count - 1) / 2) * edge / parts).astype(np.float32))
    return axes[0], axes[1], axes[2]


def smooth_noise(
    rng: np.random.Generator, axes: Sequence[Field], wavelength_mm: float | Sequence[float]
) -> NDArray[np.float32]:
    """A random field (x, y, z) of about unit variance that varies over `wavelength_mm` (one number, or one per axis).

    Cubic B-splines over a random lattice; separable, so three small matrix products make a whole volume.
    """
    wavelengths = (wavelength_mm,) * 3 if isinstance(wavelength_mm, int | float) else tuple(wavelength_mm)
    weights = []
    for axis, wavelength in zip(axes, wavelengths, strict=True):
        position = (axis - axis[0]) / wavelength + rng.uniform()
        base = np.floor(position).astype(int)
        t = position - base
        parts = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
        matrix = np.zeros((len(axis), int(base.max()) + 4), dtype=np.float32)
        for offset in range(4):
            matrix[np.arange(len(axis)), base + offset] = parts[offset]
        # Averaging neighbours takes variance away; what is left on average is given back.
        weights.append(matrix / np.sqrt((matrix**2).sum(axis=1).mean()))
    lattice = rng.standard_normal([matrix.shape[1] for matrix in weights]).astype(np.float32)
    for matrix in weights:
        lattice = np.tensordot(lattice, matrix, axes=(0, 1))  # contracts the first axis, appends the new one
    return lattice


def sheets(field: Field, axes: Sequence[Field]) -> Field:
    """Distance (mm) to the surfaces where a random field is zero: meandering sheets, such as sulci are."""
    steps = [float(axis[1] - axis[0]) if len(axis) > 1 else 1.0 for axis in axes]
    slope = np.full(field.shape, 1e-6, dtype=np.float32)
    for axis, step in enumerate(steps):
        if field.shape[axis] > 1:
            slope += (np.gradient(field, step, axis=axis) ** 2).astype(np.float32)
    return (np.abs(field) / np.sqrt(slope)).astype(np.float32)


def _parts(points: Points) -> Iterator[tuple[slice, Field, Field, Field]]:
    """The points in pieces small enough for a processor's cache: that makes shapes several times faster."""
    shape = np.broadcast_shapes(points.x.shape, points.y.shape, points.z.shape)
    x, y, z = (np.broadcast_to(place, shape).reshape(-1) for place in (points.x, points.y, points.z))
    for start in range(0, x.size, 16384):
        part = slice(start, start + 16384)
        yield part, x[part], y[part], z[part]


def _empty(points: Points) -> Field:
    return np.empty(np.broadcast_shapes(points.x.shape, points.y.shape, points.z.shape), dtype=np.float32)


def ellipsoid(points: Points, centre: Point, radii: Point, turn_degrees: float = 0.0) -> Field:
    """Signed distance (mm, first order) to an ellipsoid, turned about the z axis (counter-clockwise from above).

    A radius of 1e6 makes it a cylinder. Distances are meant for the neighbourhood of the surface.
    """
    distance = _empty(points)
    flat = distance.reshape(-1)
    cosine, sine = (float(f(np.radians(turn_degrees))) for f in (np.cos, np.sin))
    a, b, c = (1 / radius for radius in radii)
    for part, x, y, z in _parts(points):
        x, y, z = x - centre[0], y - centre[1], z - centre[2]
        if turn_degrees:
            x, y = x * cosine + y * sine, y * cosine - x * sine
        x, y, z = x * a, y * b, z * c
        square = x * x + y * y + z * z
        x, y, z = x * a, y * b, z * c
        # f / |grad f| with f = |p/r| - 1 is (level - 1) level / |p/r^2|; at the very centre the slope vanishes.
        slope = np.maximum(x * x + y * y + z * z, 1e-9)
        level = np.sqrt(square)
        flat[part] = np.where(level < 1e-3, -min(radii), (square - level) / np.sqrt(slope))
    return distance


def tube(points: Points, path: Sequence[Point], radii: Sequence[float]) -> Field:
    """Signed distance (mm) to a tube along straight pieces of `path`, with one radius for each of its points."""
    distance = _empty(points)
    flat = distance.reshape(-1)
    pieces = list(zip(path, np.diff(np.array(path), axis=0).tolist(), radii, np.diff(radii).tolist(), strict=False))
    for part, x, y, z in _parts(points):
        nearest = np.full(x.shape, np.inf, dtype=np.float32)
        for start, (dx, dy, dz), first, growth in pieces:
            rx, ry, rz = x - start[0], y - start[1], z - start[2]
            along = np.clip((rx * dx + ry * dy + rz * dz) / (dx * dx + dy * dy + dz * dz), 0, 1)
            rx, ry, rz = rx - along * dx, ry - along * dy, rz - along * dz
            gap = np.sqrt(rx * rx + ry * ry + rz * rz)
            np.minimum(nearest, gap - (first + along * growth), out=nearest)
        flat[part] = nearest
    return distance


def pose(
    rng: np.random.Generator, axes: Sequence[Field], turn_degrees: float, shift_mm: Point, wobble_mm: float
) -> Points:
    """Where each sub-voxel lies in the body: the body is turned, tilted, shifted and gently deformed at random."""
    x, y, z = (axis + rng.uniform(-shift, shift) for axis, shift in zip(axes, shift_mm, strict=True))
    x, y, z = x[:, None, None], y[None, :, None], z[None, None, :]
    turns = np.radians(rng.uniform(-turn_degrees, turn_degrees, 3) * (1.0, 0.5, 0.5))
    (cosine, tilt, nod), (sine, tilt_sine, nod_sine) = np.cos(turns), np.sin(turns)
    x, y = x * cosine + y * sine, y * cosine - x * sine
    x, z = x * tilt + z * tilt_sine, z * tilt - x * tilt_sine
    y, z = y * nod + z * nod_sine, z * nod - y * nod_sine
    bend = [wobble_mm * smooth_noise(rng, axes, 60.0) for _ in range(3)]
    return Points(*((place + shift).astype(np.float32) for place, shift in zip((x, y, z), bend, strict=True)))
