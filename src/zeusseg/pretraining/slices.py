"""Cases cut into slices for pretraining, and the three channels that an encoder is shown of a slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from zeusseg.case import Case
from zeusseg.inference.slices import SliceStack, Slicing, stack_slices
from zeusseg.models.backbone import WINDOW

SLICING = Slicing(context=1)


@dataclass
class SlicedCase:
    """A case in memory: `modalities` name the first axis of `stack.images`; only planes with `tissue` teach.

    `labels` (plane, row, column) uint8 and `attributes` (name → a class per modality, -1 where it is not defined)
    are there for phantoms alone.
    """

    modalities: tuple[str, ...]
    stack: SliceStack
    tissue: tuple[int, ...]
    labels: Tensor | None = None
    attributes: Mapping[str, Tensor] = field(default_factory=dict)


def slice_case(case: Case, modalities: Sequence[str]) -> SlicedCase:
    """Cut a case as prediction does; the modalities that it lacks are left out."""
    there = tuple(name for name in modalities if name in case.images)
    stack = stack_slices(case, there, SLICING)
    return SlicedCase(there, stack, planes_with_tissue(stack))


def planes_with_tissue(stack: SliceStack) -> tuple[int, ...]:
    """The planes with contrast: air above the head teaches nothing that the others do not."""
    contrast = stack.images.float().flatten(2).std(dim=2).amax(dim=0)
    return tuple((contrast >= 0.2 * contrast.max()).nonzero()[:, 0].tolist())


def to_pixels(intensities: Tensor) -> Tensor:
    """Normalised intensities as a frozen encoder with mean and deviation 0.5 reads them: -1 (black) to 1 (white)."""
    low, high = WINDOW
    return ((intensities - low) / (high - low)).clamp(0, 1) * 2 - 1


def draw_channels(case: SlicedCase, plane: int, early: float, rng: np.random.Generator) -> tuple[Tensor, int]:
    """Three channels (3, row, column) of a slice, and the place of their modality (-1: of several).

    One modality, with both neighbours or repeated; or, at the rate `early`, two or three modalities of the slice in
    any order, an absent one as dark as the darkest pixel of those that are there (`models.stacking`).
    """
    images = case.stack.images
    modality = int(rng.integers(len(images)))
    if rng.random() < early:
        chosen = rng.permutation(len(images))[: rng.integers(2, 4)].tolist()
        shown = images[chosen, plane].float().mean(dim=-1)
        absent = shown.min().expand(3 - len(chosen), *shown.shape[1:])
        return torch.cat([shown, absent])[rng.permutation(3).tolist()], -1
    if rng.random() < 0.5:
        return case.stack.read(plane, SLICING)[modality], modality
    return images[modality, plane].float().mean(dim=-1).expand(3, -1, -1), modality
