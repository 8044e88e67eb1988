"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zeusseg.datasets import Dataset, load_dataset
from zeusseg.datasets.phantom import write_phantoms
from zeusseg.training.config import TrainConfig
from zeusseg.training.run import train


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real images; tests that need it are skipped where it is not named."""
    folder = os.environ.get("ZEUSSEG_TEST_DATA")
    if not folder:
        pytest.skip("ZEUSSEG_TEST_DATA does not name a folder of real images")
    return Path(folder)


TINY = TrainConfig.model_validate(
    {
        "writer": "name",
        "model": {"width": 32, "vision_channels": [8, 16, 16]},
        "slices": {"crop": [48, 48]},
        "lexicon": {"steps": 2},
        "fit": {"steps": 6, "steps_per_round": 2, "batch_size": 2, "mirror": False},
    }
)


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Six small brains, some of them without a modality; splits train (4) and test (2)."""
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(
        folder, 6, seed=3, modalities=("t1", "flair"), splits={"train": 0.67, "test": 0.33}, shape=(48, 40, 6),
        spacing_mm=(4.0, 4.0, 12.0),
    )
    return load_dataset(folder)


@pytest.fixture(scope="session")
def run(phantoms: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six steps on the phantoms: its masks are meaningless, its files are real."""
    folder = tmp_path_factory.mktemp("run") / "run"
    return train(TINY, phantoms, folder, progress=False).folder


@pytest.fixture
def tiny() -> TrainConfig:
    return TINY
