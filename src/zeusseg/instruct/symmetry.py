"""The body's mid-sagittal plane, found in the image itself, and the image mirrored about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Mask
from zeusseg.instruct.foreground import Image

ANGLES_DEGREES = tuple(range(-16, 17, 2))


@dataclass(frozen=True)
class SagittalPlane:
    """The upright plane through `point` whose normal, towards the patient's right, is `normal` (x, y).

    Both are in the units of the work grid's edges, with the centre of block (0, 0) at the origin.
    """

    point: tuple[float, float]
    normal: tuple[float, float]

    def distance(self, x: NDArray[np.float64] | float, y: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Signed distance to the plane, positive on the patient's right; x and y broadcast."""
        return np.asarray((x - self.point[0]) * self.normal[0] + (y - self.point[1]) * self.normal[1])


def find_plane(mask: Mask, image: Image, edges: tuple[float, float, float]) -> SagittalPlane:
    """Find the upright plane about which body and image mirror themselves best.

    `mask` is the body (x, y, z) and `image` its grey values. The search turns and shifts the projection along z of
    both, so a lesion on one side hardly moves the plane.
    """
    from scipy.ndimage import affine_transform, gaussian_filter, zoom

    thickness = mask.mean(axis=2)
    inside = image[mask]
    low, high = np.percentile(inside, (5, 95))
    grey = np.where(mask, np.clip((image - low) / max(float(high - low), 1e-6), 0, 1) + 1, 0).mean(axis=2)
    # Square pixels, coarse enough for a search in milliseconds; the outline weighs as much as what is inside.
    edge = max(edges[0] * mask.shape[0], edges[1] * mask.shape[1]) / 48
    factors = (edges[0] / edge, edges[1] / edge)
    flat = gaussian_filter(zoom(thickness + 0.5 * grey, factors, order=1, grid_mode=True, mode="nearest"), 1.0)
    grid = np.indices(flat.shape)
    centre = np.array([(grid[axis] * flat).sum() / flat.sum() for axis in range(2)])
    size = int(1.5 * max(flat.shape)) | 1
    middle = np.array([size // 2, size // 2], dtype=float)
    best = (-np.inf, 0.0, 0.0)
    for degrees in ANGLES_DEGREES:
        angle = np.deg2rad(degrees)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        turned = affine_transform(flat, turn, centre - turn @ middle, output_shape=(size, size), order=1)
        # Correlation of every row with its own mirror image, at all shifts at once.
        spectrum = np.fft.rfft(turned, n=2 * size, axis=0)
        alike = np.fft.irfft((spectrum**2).sum(axis=1), n=2 * size)
        shift = int(alike.argmax())
        score = float(alike[shift])
        if score > best[0]:
            best = (score, angle, _peak(alike, shift) / 2 - middle[0])
    _, angle, offset = best
    normal = (float(np.cos(angle)), float(np.sin(angle)))
    x, y = centre[0] + offset * normal[0], centre[1] + offset * normal[1]
    # From the square pixels' centres to those of the blocks.
    return SagittalPlane((float((x + 0.5) * edge - edges[0] / 2), float((y + 0.5) * edge - edges[1] / 2)), normal)


def mirror(image: Image, plane: SagittalPlane, edges: tuple[float, float, float]) -> Image:
    """The image (x, y, z) as it would be seen mirrored about the plane; beyond its rim the nearest value."""
    from scipy.ndimage import affine_transform

    normal = np.array([*plane.normal, 0.0])
    point = np.array([*plane.point, 0.0])
    reflect = np.eye(3) - 2 * np.outer(normal, normal)
    scale = np.array(edges)
    matrix = reflect * scale[None, :] / scale[:, None]
    shift = 2 * normal * (normal @ point) / scale
    return affine_transform(image, matrix, shift, order=1, mode="nearest")


def likeness(image: Image, mirrored: Image, mask: Mask) -> float:
    """Correlation of an image with its mirror image inside a mask: 1 for perfect symmetry, about 0 for none."""
    a, b = image[mask], mirrored[mask]
    a, b = a - a.mean(), b - b.mean()
    power = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / power if power > 0 else 1.0


def _peak(values: NDArray[np.float64], at: int) -> float:
    """Where the parabola through a maximum and its two neighbours has its top."""
    left, top, right = values[at - 1], values[at], values[(at + 1) % len(values)]
    bend = left - 2 * top + right
    return at + (0.5 * (left - right) / bend if bend < 0 else 0.0)
