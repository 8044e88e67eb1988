"""A data set on disk: its cases by id, read one at a time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from zeusseg.case import Array, Case, Target, Volume
from zeusseg.datasets.grids import adopt, resample
from zeusseg.datasets.listing import LabelReader
from zeusseg.datasets.naming import CaseFiles
from zeusseg.datasets.targets import TargetsFile
from zeusseg.errors import BadInputError, UsageError
from zeusseg.io import read_binary_labels, read_channels, read_labels
from zeusseg.io.masks import grid_text


@dataclass(frozen=True, eq=False)
class Dataset:
    """What `load_dataset` found; a `CaseSource`. Nothing but names is read until a case is.

    `modalities` are those that some case has, in reference order; `words` is the complete targets file behind the
    names; `problems` are faults that were seen without opening images. `about` is what the owners publish beside the
    images of each case (`{"view": "2CH", "sex": "F"}`; `class` is their diagnosis), read without its labels.
    """

    root: Path
    name: str
    layout: str
    words: TargetsFile
    targets: tuple[Target, ...]
    modalities: tuple[str, ...]
    case_ids: tuple[str, ...]
    patients: dict[str, str]
    files: dict[str, CaseFiles]
    spacing_known: bool
    splits: dict[str, tuple[str, ...]] | None = None
    problems: tuple[str, ...] = ()
    labels_are_masks: bool = False
    label_reader: LabelReader | None = None
    about: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def read(self, case_id: str, *, labels: bool = True) -> Case:
        """Read one case, its images in reference order on the grid of the first.

        With `labels=False` the label file is not opened. Raises `BadInputError` where a file is bad, an image does
        not overlap the reference, or a label value belongs to no target; `UsageError` for an unknown id.
        """
        files = self._files(case_id)
        if files.problem:
            raise BadInputError(files.problem)
        images: dict[str, Volume] = {}
        notices: list[str] = []
        for modality, volume in self._volumes(files).items():
            images[modality] = _on_grid(volume, images, f"{case_id}: {modality}", notices)
        reference_labels = None
        if labels and files.label:
            stored = self._stored_labels(case_id, files, files.label)
            reference_labels = _on_grid(stored, images, f"{case_id}: labels", notices, labels=True)
        return Case(case_id, self.patients[case_id], images, reference_labels, self.spacing_known, tuple(notices))

    def read_labels(self, case_id: str) -> Volume:
        """The labels of a case on the grid of their own file; its images need not be readable.

        Raises `BadInputError` as `read` does, and where the case has no labels.
        """
        files = self._files(case_id)
        if files.problem:
            raise BadInputError(files.problem)
        if files.label is None:
            raise BadInputError(f"case {case_id!r} has no labels")
        return self._stored_labels(case_id, files, files.label)

    def missing(self, case_id: str) -> tuple[str, ...]:
        """The modalities of this data set that a case lacks."""
        present = self._files(case_id).images
        return tuple(modality for modality in self.modalities if modality not in present)

    def digest(self) -> str:
        """SHA-256 over the names and sizes of all files used: tells a changed folder without reading it."""
        digest = hashlib.sha256()
        for case_id in self.case_ids:
            files = self.files[case_id]
            labels = (files.label, *files.more_labels) if files.label else ()
            for path in sorted({*(file.path for file in files.images.values()), *labels}):
                size = path.stat().st_size if path.is_file() else -1
                digest.update(f"{Path(os.path.relpath(path, self.root)).as_posix()}\t{size}\n".encode())
        return digest.hexdigest()

    def _files(self, case_id: str) -> CaseFiles:
        if case_id not in self.files:
            raise UsageError(f"there is no case {case_id!r} in {self.root}, which holds {len(self.case_ids)} cases")
        return self.files[case_id]

    def _volumes(self, files: CaseFiles) -> dict[str, Volume]:
        """The images by modality, in reference order; a file that holds several is opened once."""
        read: dict[str, Volume] = {}
        for path in dict.fromkeys(file.path for file in files.images.values()):
            here = {modality: file.channel for modality, file in files.images.items() if file.path == path}
            read.update(zip(here, read_channels(path, list(here.values())), strict=True))
        return {modality: read[modality] for modality in files.images}

    def _stored_labels(self, case_id: str, files: CaseFiles, label: Path) -> Volume:
        if self.label_reader is not None:
            stored = self.label_reader(case_id, label, next(iter(files.images.values())).path)
        elif files.more_labels or files.mask_values:
            stored = _combined([label, *files.more_labels], files.mask_values)
        else:
            stored = read_binary_labels(label) if self.labels_are_masks else read_labels(label)
        return Volume(self.label_values(stored.array, label), stored.affine, stored.file_grid)

    def label_values(self, array: Array, path: Path) -> Array:
        """Labels as they are meant: 0 and 1 where any value but 0 is inside.

        Raises `BadInputError` for a value that no target names; `path` is where the labels came from.
        """
        if self.labels_are_masks:
            array = np.not_equal(array, 0).astype(np.uint8)
        named = sorted({0, *self.words.ignore, *(value for target in self.targets for value in target.values)})
        low, high = int(array.min()), int(array.max())
        # Whole runs of values, as overlapping targets have hundreds, are compared at their ends.
        runs = [run for run in _runs(named) if run[0] <= high and run[1] >= low]
        if any(first <= low and high <= last for first, last in runs):
            return array
        if sum(_count_between(array, first, last) for first, last in runs) == array.size:
            return array
        unknown = sorted({int(value) for value in np.unique(array)} - set(named))
        raise BadInputError(
            f"{path}: label value {', '.join(map(str, unknown))} belongs to no target (known: {named}); "
            "name it under `targets`, or let it through under `ignore`, in a targets file"
        )


def _combined(paths: list[Path], bits: tuple[int, ...]) -> Volume:
    """Several masks of one case as one label map: the sum of the bits whose masks meet; their union without bits."""
    masks = [read_binary_labels(path) for path in paths]
    array = np.zeros(masks[0].shape, np.min_scalar_type(sum(bits)))
    for path, mask, bit in zip(paths, masks, bits or [1] * len(paths), strict=True):
        if not mask.same_grid(masks[0]):
            raise BadInputError(
                f"{path}: the mask is on {grid_text(mask)}, {paths[0].name} on {grid_text(masks[0])}: "
                "masks of one case must have the same size"
            )
        array[mask.array != 0] |= bit
    return Volume(array, masks[0].affine, masks[0].file_grid)


def _runs(values: list[int]) -> list[tuple[int, int]]:
    """The first and last of each run of consecutive values; `values` ascend."""
    firsts = [value for place, value in enumerate(values) if place == 0 or values[place - 1] != value - 1]
    lasts = [value for place, value in enumerate(values, start=1) if place == len(values) or values[place] != value + 1]
    return list(zip(firsts, lasts, strict=True))


def _count_between(array: Array, first: int, last: int) -> int:
    """How many voxels have these values or one between them."""
    if last - first < 3:
        # One comparison per value is several times faster on a whole volume than np.unique or np.isin.
        return sum(int(np.count_nonzero(np.equal(array, value))) for value in range(first, last + 1))
    return int(np.count_nonzero(np.greater_equal(array, first) & np.less_equal(array, last)))


def _on_grid(
    volume: Volume, images: dict[str, Volume], what: str, notices: list[str], *, labels: bool = False
) -> Volume:
    """`volume` on the grid of the first of `images` (itself, where it is the first); a resampling is noted."""
    if not images:
        return volume
    first, reference = next(iter(images.items()))
    if volume.same_grid(reference):
        return adopt(volume, reference)
    both = f"{grid_text(volume)}, {first} on {grid_text(reference)}"
    if "picture" in (volume.file_grid.kind, reference.file_grid.kind):
        raise BadInputError(f"{what} is on {both}: pictures of one case must have the same size")
    moved = resample(volume, reference, labels=labels)
    if moved is None:
        raise BadInputError(f"{what} is on {both}: they do not overlap, so nothing can be resampled")
    notices.append(f"{what} was resampled from {grid_text(volume)} to the grid of {first}")
    return moved
