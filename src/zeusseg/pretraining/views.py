"""Random views of a slice: a resized, turned and mirrored crop, in another contrast and with noise."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

# Sides of a crop, as shares of the slice's shorter side; turns in radians; how far height and width may differ.
CROPS = (0.5, 1.0)
TURN = 0.3
STRETCH = 1.15


def draw_view(size: tuple[int, int], rng: np.random.Generator) -> tuple[Tensor, bool]:
    """An affine map (2, 3) from a square view to a slice of `size` (`affine_grid`'s units), and whether it mirrors
    left and right."""
    rows, columns = size
    share = math.exp(rng.uniform(math.log(CROPS[0]), math.log(CROPS[1])))
    stretch = math.exp(rng.uniform(-1, 1) * math.log(STRETCH) / 2)
    turn = rng.uniform(-TURN, TURN) if rng.random() < 0.5 else 0.0
    mirrored, upended = rng.random() < 0.5, rng.random() < 0.5
    side = share * min(rows, columns)
    scale = np.diag([side * stretch / columns, side / stretch / rows])
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    flips = np.diag([-1.0 if mirrored else 1.0, -1.0 if upended else 1.0])
    room = np.maximum(0.0, 1.0 - np.diag(scale))
    shift = rng.uniform(-room, room)
    return torch.tensor(np.column_stack([scale @ rotation @ flips, shift]), dtype=torch.float32), mirrored


def apply_view(planes: Tensor, view: Tensor, side: int, mode: str = "bilinear") -> Tensor:
    """Planes (channel, row, column) float seen through `view`: (channel, side, side); edges repeat beyond the slice."""
    grid = functional.affine_grid(view[None], [1, len(planes), side, side], align_corners=False)
    return functional.grid_sample(planes[None], grid, mode=mode, padding_mode="border", align_corners=False)[0]


def change_appearance(pixels: Tensor, each_channel: bool, rng: np.random.Generator) -> Tensor:
    """Pixels (3, row, column) in [-1, 1] with another gamma, contrast, brightness and noise, still in [-1, 1].

    The channels change alike, unless they are modalities of their own (`each_channel`).
    """
    draws = 3 if each_channel else 1

    def draw(low: float, high: float) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (draws, 1, 1)).astype(np.float32))

    values = (pixels + 1) / 2
    if rng.random() < 0.5:
        values = values ** draw(math.log(0.7), math.log(1.5)).exp()
    values = (values - 0.5) * draw(0.8, 1.2) + 0.5 + draw(-0.1, 0.1)
    if rng.random() < 0.3:
        noise = rng.standard_normal(values.shape, dtype=np.float32)
        values = values + rng.uniform(0.01, 0.06) * torch.from_numpy(noise)
    return values.clamp(0, 1) * 2 - 1
