"""Volumes as planes that people look at, and the way back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Array


def cut(array: Array, axis: int) -> Array:
    """A volume (x, y, z[, 3]) as planes (plane, row, column[, 3]) across `axis`, each as a radiologist sees it.

    Axial planes have the front up, coronal and sagittal ones the head; the patient's right (front) is on the left.
    """
    moved = np.moveaxis(array, axis, 0)
    return np.flip(np.swapaxes(moved, 1, 2), axis=(1, 2))


def uncut(planes: Array, axis: int) -> Array:
    """Undo `cut`."""
    return np.moveaxis(np.swapaxes(np.flip(planes, axis=(1, 2)), 1, 2), 0, axis)


def stretched(plane: Array) -> NDArray[np.uint8]:
    """A plane (row, column) as grey, its lowest value black and its highest white."""
    values = plane.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    return ((values - low) / max(high - low, 1e-9) * 255).astype(np.uint8)


def orientation_of(axis: int, *, picture: bool) -> str:
    """How planes across `axis` lie on the screen, in a sentence."""
    if picture:
        return "It is a picture as it was taken, not a slice of a volume."
    return (
        "The slices are sagittal, from the patient's left to the right; the front is on the left of the picture, the "
        "head is up.",
        "The slices are coronal, from the back to the front; the patient's right is on the left of the picture, the "
        "head is up.",
        "The slices are axial, from the feet to the head; the patient's right is on the left of the picture, the "
        "front is up.",
    )[axis]
