"""Early fusion for encoders with three channels of their own: modalities take the places of red, green and blue."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

CHANNELS = 3


def groups_of(modalities: int) -> list[tuple[int, ...]]:
    """Which modality stands in which channel of which group; a short group is filled by repeating its own.

    >>> groups_of(4), groups_of(2)
    ([(0, 1, 2), (3, 3, 3)], [(0, 1, 0)])
    """
    starts = range(0, modalities, CHANNELS)
    members = [range(start, min(start + CHANNELS, modalities)) for start in starts]
    return [tuple(group[place % len(group)] for place in range(CHANNELS)) for group in members]


def stack_modalities(images: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Slices in a fixed order of modalities (Zeus's early fusion, as we define it).

    `images` (b, m, c, h, w), of which the middle channel (the slice itself) is taken, and `present` (b, m). Returns the
    stacks (b, group, 3, h, w) and which of them hold anything (b, group). An absent modality is as dark as the darkest
    pixel of those that are there; what it holds is never seen.
    """
    groups = torch.tensor(groups_of(images.shape[1]), device=images.device)
    slices = images[:, :, images.shape[2] // 2]
    there = present[:, :, None, None]
    darkest = slices.masked_fill(~there, float("inf")).amin(dim=(1, 2, 3), keepdim=True)
    shown = torch.where(there, slices, darkest)[:, groups.flatten()]
    return rearrange(shown, "b (g c) h w -> b g c h w", c=CHANNELS), present[:, groups].any(dim=-1)
