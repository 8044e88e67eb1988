"""A tiny data set on disk whose scores can be worked out by hand, and predictions for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from zeusseg.datasets import load_dataset

TARGETS = """
targets:
  lesion: {values: [1, 2], synonyms: [tumour], definition: a bright spot}
  core: {values: [2]}
modalities: {t2: [t2], t1: [t1]}
label: [labels]
patient_pattern: (p\\d)_
"""


def save(path: Path, array: np.ndarray, spacing=(1.0, 2.0, 3.0)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([*spacing, 1.0])), path)


@pytest.fixture
def save_nifti() -> Callable[..., None]:
    return save


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """Four cases of three patients, 8 x 8 x 4 voxels of 1 x 2 x 3 mm.

    Lesion: 4 voxels in p1_a, p1_b and p2_a, none in p3_a. Core: 2 of these 4 voxels in p1_a alone.
    """
    root = tmp_path / "tiny"
    random = np.random.default_rng(0)
    for case in ("p1_a", "p1_b", "p2_a", "p3_a"):
        labels = np.zeros((8, 8, 4), np.uint8)
        if case != "p3_a":
            labels[2:6, 3, 1] = 1
        if case == "p1_a":
            labels[2:4, 3, 1] = 2
        save(root / case / "labels.nii.gz", labels)
        for modality in ("t1", "t2"):
            save(
                root / case / f"{modality}.nii.gz", random.integers(1, 90, labels.shape).astype(np.int16) + 100 * labels
            )
    (root / "targets.yaml").write_text(TARGETS)
    return root


@pytest.fixture
def dataset(data_folder):
    return load_dataset(data_folder)


@pytest.fixture
def predict(tmp_path: Path) -> Callable[..., Path]:
    """Writes masks that cover given places along x of the line where the lesions lie; returns the folder of all."""
    folder = tmp_path / "predictions"

    def write(
        case: str, target: str, along_x: slice | None, presence: float = 0.5, instruction: str = "", checks=None
    ) -> Path:
        mask = np.zeros((8, 8, 4), np.uint8)
        if along_x is not None:
            mask[along_x, 3, 1] = 1
        save(folder / case / f"{target}.nii.gz", mask)
        path = folder / case / "prediction.json"
        content = json.loads(path.read_text()) if path.exists() else {"case": case, "targets": {}}
        content["modalities_used"] = ["t2"]
        content["targets"][target] = {
            "presence": presence,
            "empty_reason": None if along_x else "the target does not seem to be there",
            "instruction": instruction,
            "findings": {"t2": "a bright spot"},
            "checks": checks,
        }
        path.write_text(json.dumps(content))
        return folder

    return write


@pytest.fixture
def predictions(predict) -> Path:
    """Lesion: right in p1_a, half in p1_b, missed in p2_a, 3 voxels of false mask in p3_a. Core: not predicted."""
    checks = [
        {"place": "t2", "statement": "a spot", "about": about, "said": "left", "measured": seen, "verdict": verdict}
        for about, seen, verdict in (("side", "right", "differs"), ("signal", "left", "agrees"))
    ]
    predict("p1_a", "lesion", slice(2, 6), 0.9, "Segment the <b>lesion</b>: a bright spot & more.", checks)
    predict("p1_b", "lesion", slice(2, 4), 0.8)
    predict("p2_a", "lesion", None, 0.1)
    return predict("p3_a", "lesion", slice(0, 3), 0.7)
