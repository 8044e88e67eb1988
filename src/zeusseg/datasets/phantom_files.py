"""Phantoms as a data set on disk, in layout `folder`: images, labels, targets file, splits, and what is true."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zeusseg.case import Target
from zeusseg.datasets.phantom_lesions import REGION_LABELS
from zeusseg.files import write_text

if TYPE_CHECKING:
    from zeusseg.datasets.phantom import Phantom
    from zeusseg.datasets.targets import TargetsFile


@cache
def _shipped() -> TargetsFile:
    from zeusseg.datasets.targets import read_targets_file

    return read_targets_file(Path(__file__).with_name("phantom_targets.yaml"))


def phantom_targets(regions: Iterable[str]) -> tuple[Target, ...]:
    """The targets that patients of these regions can hold, in a fixed order."""
    values = {value for region in regions for value in REGION_LABELS[region]}
    return tuple(target for target in _shipped().as_targets() if values & set(target.values))


def write_targets(path: Path, regions: Iterable[str]) -> None:
    """Write the targets file of a phantom data set."""
    import yaml

    kept = {target.name for target in phantom_targets(regions)}
    content = _shipped().model_dump(exclude_defaults=True)
    content["targets"] = {name: entry for name, entry in content["targets"].items() if name in kept}
    write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110))


def write_case(folder: Path, phantom: Phantom) -> None:
    """Write `folder`/MODALITY.nii.gz (int16) and labels.nii.gz (uint8), each in its own file orientation."""
    from zeusseg.io import write_volume

    case = phantom.case
    for name, volume in case.images.items():
        write_volume(folder / f"{name}.nii.gz", volume.array, volume, np.int16)
    if case.labels is not None:
        write_volume(folder / "labels.nii.gz", case.labels.array, case.labels, np.uint8)


def write_splits(path: Path, case_ids: Sequence[str], fractions: Mapping[str, float]) -> None:
    """Give consecutive cases to the splits by fraction; what rounding leaves goes to the first split."""
    counts = {name: round(fraction * len(case_ids)) for name, fraction in fractions.items()}
    first = next(iter(counts))
    counts[first] += len(case_ids) - sum(counts.values())
    splits, start = {}, 0
    for name, count in counts.items():
        splits[name] = list(case_ids[start : start + count])
        start += count
    write_text(path, json.dumps(splits, indent=1) + "\n")
