"""A hand-made head whose lesion is known by construction, and a folder data set of such heads."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from zeusseg.case import Case, Volume
from zeusseg.datasets import load_dataset
from zeusseg.datasets.dataset import Dataset
from zeusseg.io import write_volume

SHAPE = (64, 80, 12)
SPACING_MM = (2.5, 2.5, 5.0)


def ball(centre: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    """A ball (x, y, z) around a voxel."""
    x, y, z = np.indices(SHAPE)
    squares = [((axis - c) * edge) ** 2 for axis, c, edge in zip((x, y, z), centre, SPACING_MM, strict=True)]
    return sum(squares) <= radius_mm**2


def head(
    centre: tuple[float, float, float] | None = (45, 50, 6),
    radius_mm: float = 15.0,
    contrast: float = 0.8,
    seed: int = 0,
) -> np.ndarray:
    """A skull-stripped brain of brightness 100 (noise 2), 62 mm to either side of x = 31.5, on black; a ball in it."""
    x, y, _ = np.indices(SHAPE)
    rng = np.random.default_rng(seed)
    inside = ((x - 31.5) * 2.5 / 62) ** 2 + ((y - 39.5) * 2.5 / 80) ** 2 <= 1
    image = np.where(inside, 100.0, 0.0)
    if centre is not None:
        image[ball(centre, radius_mm)] *= 1 + contrast
    return np.where(inside, image + rng.normal(0, 2, SHAPE), 0.0).astype(np.float32)


def volume_of(array: np.ndarray) -> Volume:
    return Volume.from_file(array, np.diag([*SPACING_MM, 1.0]))


@pytest.fixture
def make_head() -> Callable[..., Volume]:
    return lambda *args, **kwargs: volume_of(head(*args, **kwargs))


@pytest.fixture
def make_case(make_head: Callable[..., Volume]) -> Callable[..., Case]:
    """A case of one modality, `flair`, with a bright ball on the patient's right."""

    def make(case_id: str = "a", patient: str | None = None, **head_arguments: object) -> Case:
        return Case(case_id, patient or case_id, {"flair": make_head(**head_arguments)})

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Dataset:
    """Three patients on disk in layout `folder`: lesions on the right, on the left, and none."""
    root = tmp_path / "data"
    for name, centre in {"anna": (45, 50, 6), "bert": (18, 30, 6), "cora": None}.items():
        volume = volume_of(head(centre))
        mask = np.zeros(SHAPE, dtype=bool) if centre is None else ball(centre, 15.0)
        write_volume(root / name / "flair.nii.gz", volume.array, volume, np.float32)
        write_volume(root / name / "labels.nii.gz", mask.astype(np.uint8), volume, np.uint8)
    (root / "targets.yaml").write_text(
        "targets:\n  lesion: {values: [1], synonyms: [tumour], definition: An area that should not be there.}\n"
        "  edge: {values: [2]}\nmodalities: {flair: [flair]}\nlabel: [labels]\n"
    )
    return load_dataset(root)
