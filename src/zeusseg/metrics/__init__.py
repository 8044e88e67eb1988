"""Arrays in, numbers out: overlap, surface distance, and the statistics over patients.

Empty masks: a miss (reference not empty, prediction empty) scores 0, or the image's diagonal where a distance is asked.
Where the reference is empty every measure is NaN; a mask predicted there is a false mask, which callers count.
"""

from __future__ import annotations

from collections.abc import Sequence

from zeusseg.case import Mask
from zeusseg.metrics.overlap import dice, iou
from zeusseg.metrics.statistics import Summary, bootstrap_interval, summarize
from zeusseg.metrics.surface import SurfaceDistances, hausdorff_95, normalized_surface_dice, surface_distances

__all__ = [
    "Summary",
    "SurfaceDistances",
    "bootstrap_interval",
    "compute_scores",
    "dice",
    "hausdorff_95",
    "iou",
    "normalized_surface_dice",
    "summarize",
    "surface_distances",
]


def compute_scores(prediction: Mask, reference: Mask, spacing: Sequence[float], tolerance: float) -> dict[str, float]:
    """`dice`, `iou`, `hd95` and `nsd` of two masks (x, y, z) of one shape.

    `spacing` and `tolerance` share a unit (mm, or voxels with a spacing of ones), which is also that of `hd95`.
    Raises `ValueError` where shapes or spacing do not fit.
    """
    distances = surface_distances(prediction, reference, spacing)
    return {
        "dice": dice(prediction, reference),
        "iou": iou(prediction, reference),
        "hd95": hausdorff_95(distances),
        "nsd": normalized_surface_dice(distances, tolerance),
    }
