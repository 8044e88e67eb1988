"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real images; tests that need it are skipped where it is not named."""
    folder = os.environ.get("ZEUSSEG_TEST_DATA")
    if not folder:
        pytest.skip("ZEUSSEG_TEST_DATA does not name a folder of real images")
    return Path(folder)
