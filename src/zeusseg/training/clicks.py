"""Clicks and boxes as people would give them, drawn from reference masks: to train with, never to predict."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zeusseg.case import Mask
from zeusseg.models.clicks import INSIDE, OUTSIDE, PADDING, Clicks

MISSED, FALSE = 1, 2


def correction_clicks(masks: Tensor, reference: Tensor) -> Clicks:
    """One click per target where its mask is most wrong: inside of what it misses, or outside in what it made up.

    `masks` (batch, target, height, width) logits, `reference` the same shape, 0 or 1. A click lies in the largest
    connected region (8 neighbours) of either kind of error, at the pixel deepest inside it, where a person would aim
    (the first one in reading order). Targets without error get padding. On the device of `masks`; nothing is drawn.
    """
    drawn, true = (masks.detach() > 0).cpu().numpy(), (reference > 0).cpu().numpy()
    batch, targets = drawn.shape[:2]
    points = torch.zeros(batch, targets, 1, 2)
    labels = torch.full((batch, targets, 1), PADDING)
    for b, t in np.ndindex(batch, targets):
        errors = np.where(true[b, t] & ~drawn[b, t], MISSED, np.where(drawn[b, t] & ~true[b, t], FALSE, 0))
        if errors.any():
            region = _largest(errors.astype(np.uint8))
            row, column = _deepest(region)
            points[b, t, 0] = torch.tensor([row, column])
            labels[b, t, 0] = INSIDE if errors[row, column] == MISSED else OUTSIDE
    return Clicks(points, labels, Clicks.none(batch, targets).boxes).to(masks.device)


def drawn_boxes(reference: Tensor, generator: torch.Generator, jitter: float = 0.1) -> Tensor:
    """A box (batch, target, 4) around each mask of `reference` (batch, target, height, width), as a person draws it.

    (top, left, bottom, right) of the first and last pixel inside, as `Clicks.boxes`; NaN where a mask is empty. Each
    edge is moved by up to `jitter` (below 0.5) of its distance to the opposite one, evenly drawn, but not beyond the
    image. `generator` is one of the CPU.
    """
    # Drawn for all targets, also those without a box, so that a seed gives one box whatever other masks hold.
    moves = (2 * torch.rand(*reference.shape[:2], 4, generator=generator) - 1).to(reference.device) * jitter
    (top, bottom), (left, right) = (_ends(reference.bool().any(dim=axis)) for axis in (-1, -2))
    sides = torch.stack([bottom - top, right - left] * 2, dim=-1)
    boxes = torch.stack([top, left, bottom, right], dim=-1) + moves * sides
    last = torch.tensor(reference.shape[-2:], device=reference.device).repeat(2) - 1
    return torch.minimum(boxes.clamp(min=0), last)


def _ends(filled: Tensor) -> tuple[Tensor, Tensor]:
    """First and last true place of each line (..., place), as floats; NaN where there is none."""
    places = torch.arange(filled.shape[-1], device=filled.device, dtype=torch.float32)
    first = torch.where(filled, places, torch.inf).amin(dim=-1)
    last = torch.where(filled, places, -torch.inf).amax(dim=-1)
    there = filled.any(dim=-1)
    return torch.where(there, first, torch.nan), torch.where(there, last, torch.nan)


def _largest(errors: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Mask:
    """The largest region of one kind of error (row, column)."""
    import cc3d

    # In a plane, 26 neighbours are 8.
    regions = cc3d.connected_components(errors[..., None], connectivity=26)[..., 0]
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    return np.asarray(regions == sizes.argmax())


def _deepest(region: Mask) -> tuple[int, int]:
    """Row and column of the pixel farthest from the region's border; beyond the image is outside."""
    from scipy import ndimage

    rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
    box = region[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    depth = ndimage.distance_transform_edt(np.pad(box, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(rows[0] + row), int(columns[0] + column)
