"""A small data set of ultrasound-like pictures in medvlsm's layout, written by tests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

SHAPE = (40, 32)  # rows, columns


# The smallest picture that shows which way round it is read.
PICTURE = np.arange(12, dtype=np.uint8).reshape(3, 4)


def mask(*pixels: tuple[int, int]) -> np.ndarray:
    """A mask of `PICTURE` with these pixels (row, column) inside."""
    marked = np.zeros(PICTURE.shape, np.uint8)
    for pixel in pixels:
        marked[pixel] = 255
    return marked


def write_pictures(folder: Path, train: int = 12, val: int = 6, *, twins: int = 0) -> Path:
    """Speckled pictures with a bright disc on the left or on the right; every third has none, and an empty mask.

    The last `twins` of val are pictures of train, copied pixel by pixel.
    """
    rng = np.random.default_rng(0)
    for name in ("images", "masks", "anns"):
        (folder / name).mkdir(parents=True)
    drawn: list[tuple[np.ndarray, np.ndarray]] = []
    for number in range(train + val):
        # Coarse tissue of its own under the speckle: pictures must not look alike to a search for leaks.
        tissue = np.kron(rng.integers(0, 180, (5, 4)), np.ones((8, 8)))
        picture = (tissue + rng.integers(0, 30, SHAPE)).astype(np.uint8)
        mask = np.zeros(SHAPE, dtype=bool)
        if number % 3 != 2:
            rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
            centre = (int(rng.integers(12, 28)), 9 if number % 2 else 23)
            mask = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= 30
            picture[mask] = 240
        if number >= train + val - twins:
            picture, mask = drawn[number - train - val + twins]
        drawn.append((picture, mask))
        _save(folder, _name(number), picture, mask)
    splits = {"train": range(train), "val": range(train, train + val)}
    for split, numbers in splits.items():
        entries = [{"img_name": f"{_name(n)}.png", "mask_name": f"{_name(n)}.png"} for n in numbers]
        (folder / "anns" / f"{split}.json").write_text(json.dumps(entries))
    return folder


def _name(number: int) -> str:
    return f"{number}_{'normal' if number % 3 == 2 else 'benign'}"


def _save(folder: Path, name: str, picture: np.ndarray, mask: np.ndarray) -> None:
    Image.fromarray(picture).save(folder / "images" / f"{name}.png")
    Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "masks" / f"{name}.png")
