"""Small files with known contents."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write an array as the NIfTI file of that name, by nibabel alone."""

    def write(array, name="image.nii.gz", affine=None):
        nib.save(nib.Nifti1Image(np.asarray(array), np.eye(4) if affine is None else affine), tmp_path / name)
        return tmp_path / name

    return write
