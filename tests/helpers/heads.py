"""A drawn head with areas of known place, size and signal."""

import numpy as np

from zeusseg.case import Case, Volume

SHAPE, SPACING = (60, 70, 8), (3.0, 3.0, 6.0)
CENTRE = (29.5, 34.5, 3.5)


def ball(x: float, y: float, z: float = CENTRE[2], radius_mm: float = 15.0) -> np.ndarray:
    grid = np.indices(SHAPE)
    squares = sum(((g - c) * s) ** 2 for g, c, s in zip(grid, (x, y, z), SPACING, strict=True))
    return squares <= radius_mm**2


def head(**painted) -> Case:
    """An elliptic cylinder of tissue in air; by modality, pairs of mask and grey value on tissue of 100."""
    x, y, _ = np.indices(SHAPE)
    body = ((x - CENTRE[0]) / 24) ** 2 + ((y - CENTRE[1]) / 30) ** 2 <= 1
    images = {}
    for number, (name, areas) in enumerate(painted.items()):
        array = np.where(body, 100.0, 0.0) + np.random.default_rng(number).normal(0, 3, SHAPE)
        for mask, value in areas:
            array[mask] += value - 100
        images[name] = Volume.from_file(array.astype(np.float32), np.diag([*SPACING, 1.0]))
    return Case("c", "p", images)
