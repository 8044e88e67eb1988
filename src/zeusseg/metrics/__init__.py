"""Arrays in, numbers out: overlap, surface distance, lesions, calibration, and the statistics over patients.

Empty masks: a miss (reference not empty, prediction empty) scores 0, or the image's diagonal where a distance is asked.
Where the reference is empty every measure is NaN; a mask predicted there is a false mask, which callers count.
"""

from zeusseg.metrics.calibration import brier_score, expected_calibration_error
from zeusseg.metrics.comparison import PairedComparison, compare_paired, holm
from zeusseg.metrics.lesions import LesionScores, lesion_scores
from zeusseg.metrics.overlap import Overlap, dice, iou, overlap
from zeusseg.metrics.scores import Definitions, compute_scores
from zeusseg.metrics.statistics import Summary, bootstrap_interval, summarize
from zeusseg.metrics.surface import (
    SurfaceDistances,
    average_symmetric_surface_distance,
    hausdorff_95,
    normalized_surface_dice,
    surface_distances,
)

__all__ = [
    "Definitions",
    "LesionScores",
    "Overlap",
    "PairedComparison",
    "Summary",
    "SurfaceDistances",
    "average_symmetric_surface_distance",
    "bootstrap_interval",
    "brier_score",
    "compare_paired",
    "compute_scores",
    "dice",
    "expected_calibration_error",
    "hausdorff_95",
    "holm",
    "iou",
    "lesion_scores",
    "normalized_surface_dice",
    "overlap",
    "summarize",
    "surface_distances",
]
