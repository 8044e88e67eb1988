"""Tiny data sets, one builder per layout."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

IMAGE = np.arange(4 * 5 * 3, dtype=np.int16).reshape(4, 5, 3)
LABELS = np.zeros((4, 5, 3), np.uint8)
LABELS[1:3, 1:3, 1] = 1
LABELS[0, 0, 0] = 2

Files = Mapping[str, Any]
Make = Callable[[Files], Path]


def save_nifti(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)


@pytest.fixture
def image() -> np.ndarray:
    """(4, 5, 3), the values 0 to 59."""
    return IMAGE


@pytest.fixture
def labels() -> np.ndarray:
    """(4, 5, 3): four voxels of 1, one of 2."""
    return LABELS


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write files under a folder: arrays and (array, affine) as NIfTI or picture, text as is, the rest as JSON."""

    def write(files: Files) -> Path:
        from PIL import Image

        root = tmp_path / "data"
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, (str, bytes)):
                path.write_bytes(content.encode() if isinstance(content, str) else content)
            elif isinstance(content, np.ndarray) and path.suffix == ".png":
                Image.fromarray(content).save(path)
            elif isinstance(content, np.ndarray):
                save_nifti(path, content)
            elif isinstance(content, tuple):
                save_nifti(path, *content)
            else:
                path.write_text(json.dumps(content))
        return root

    return write
