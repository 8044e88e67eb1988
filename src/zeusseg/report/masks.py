"""Predicted masks as they lie on disk: one file per target, as `predict` writes them, or one label map per case.

Label maps are what other programs write (nnU-Net's output folder): CASE.nii.gz or CASE.png beside each other, with the
label values of the data set.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zeusseg import io
from zeusseg.case import Array, Mask, Target, Volume
from zeusseg.errors import BadInputError
from zeusseg.files import target_file_name

if TYPE_CHECKING:
    from zeusseg.datasets.dataset import Dataset

SUFFIXES = (".nii.gz", ".nii", ".png")


def has_mask(predictions: Path, case_id: str, target: Target) -> bool:
    """Whether a file that ought to tell this target of this case was written, readable or not."""
    return label_map(predictions, case_id) is not None or _file(predictions / case_id, target) is not None


def label_map(predictions: Path, case_id: str) -> Path | None:
    """The label map of a case, where the folder holds such maps."""
    return _find(predictions / case_id)


def _file(folder: Path, target: Target) -> Path | None:
    return _find(folder / target_file_name(target.name))


def _find(stem: Path) -> Path | None:
    return next((path for s in SUFFIXES if (path := stem.with_name(stem.name + s)).is_file()), None)


class PredictedMasks:
    """The masks of one case on the grid of `like`; a label map is read once for all targets."""

    def __init__(self, predictions: Path, case_id: str, like: Volume, dataset: Dataset):
        self.predictions, self.case_id, self.like, self.dataset = predictions, case_id, like, dataset
        self._labels: Array | None = None

    def read(self, target: Target) -> Mask:
        """The mask (x, y, z) of one target. Raises `BadInputError` saying why there is none."""
        folder = self.predictions / self.case_id
        path = _file(folder, target)
        if path is not None:
            return io.read_mask(path, self.like)
        labels = label_map(self.predictions, self.case_id)
        if labels is not None:
            return np.isin(self._read_labels(labels), target.values)
        if folder.is_dir():
            raise BadInputError(f"there is no mask of {target.name!r} in {folder}")
        raise BadInputError(
            f"there is no prediction of this case (neither a folder {folder} nor a label map {folder}.nii.gz)"
        )

    def probability(self, target: Target) -> NDArray[np.float32] | None:
        """The probability (x, y, z) of each voxel, 0 to 1, where it was written too.

        Raises `BadInputError` where it cannot be read or lies on another grid.
        """
        path = _find(self.predictions / self.case_id / f"{target_file_name(target.name)}{io.PROBABILITY}")
        return None if path is None else io.read_probability(path, self.like)

    def _read_labels(self, path: Path) -> Array:
        if self._labels is None:
            self._labels = self.dataset.label_values(io.read_label_map(path, self.like), path)
        return self._labels
