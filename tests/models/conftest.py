"""Tiny encoders of every kind, each in a folder of its own; tests copy what they change."""

from pathlib import Path

import pytest
import torch

from helpers.encoders import VISION_KINDS, tiny_vision
from helpers.text_encoders import TEXT_KINDS, tiny_text


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("encoders")
    return {kind: tiny_vision(kind, root / kind) for kind in VISION_KINDS}


@pytest.fixture(scope="session")
def text_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("texts")
    return {kind: tiny_text(kind, root / kind) for kind in TEXT_KINDS}


@pytest.fixture
def seeded() -> None:
    torch.manual_seed(0)
