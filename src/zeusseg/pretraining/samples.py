"""The two endless streams of a pretraining: phantoms with what is true of them, and images with hidden patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zeusseg.pretraining.config import PretrainConfig
from zeusseg.pretraining.phantoms import ATTRIBUTES, LESIONS, UNDEFINED
from zeusseg.pretraining.slices import SlicedCase, draw_channels, to_pixels
from zeusseg.pretraining.views import apply_view, change_appearance, draw_view

PATCH = 16
# A lesion of fewer pixels in the view can hardly be seen: whether there is one is then not asked.
LEAST_LESION = 12
SWAPPED = torch.tensor([1, 0, 2])


@dataclass
class PhantomBatch:
    """`pixels` (b, 3, h, w), `labels` (b, h, w) and `attributes` (b, attribute), classes or -1 where undefined."""

    pixels: Tensor
    labels: Tensor
    attributes: Tensor

    def to(self, device: torch.device) -> PhantomBatch:
        return PhantomBatch(self.pixels.to(device), self.labels.to(device), self.attributes.to(device))


@dataclass
class ImageBatch:
    """`pixels` (b, 3, h, w) and `hidden` (b, patch), as many of them in every image, row by row."""

    pixels: Tensor
    hidden: Tensor

    def to(self, device: torch.device) -> ImageBatch:
        return ImageBatch(self.pixels.to(device), self.hidden.to(device))


class Streams:
    """Batch number i of each stream follows from the seed and i alone, so that a resumed run sees what it would have.

    `images` may be the phantoms again; their labels are not looked at there.
    """

    def __init__(self, phantoms: Sequence[SlicedCase], images: Sequence[SlicedCase], config: PretrainConfig):
        self.phantoms, self.images, self.config = phantoms, images, config

    def phantom_batch(self, step: int) -> PhantomBatch:
        size = self.config.phantoms.batch_size
        samples = [self._phantom(step * size + i) for i in range(size)]
        pixels, labels, attributes = (torch.stack(parts) for parts in zip(*samples, strict=True))
        return PhantomBatch(pixels, labels, attributes)

    def image_batch(self, step: int) -> ImageBatch:
        size = self.config.images.batch_size
        samples = [self._image(step * size + i) for i in range(size)]
        pixels, hidden = (torch.stack(parts) for parts in zip(*samples, strict=True))
        return ImageBatch(pixels, hidden)

    def _phantom(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        rng = np.random.default_rng([self.config.seed, 1, index])
        case = self.phantoms[int(rng.integers(len(self.phantoms)))]
        assert case.labels is not None
        plane = self._phantom_plane(case, case.labels, rng)
        channels, modality = draw_channels(case, plane, self.config.early, rng)
        view, mirrored = draw_view((channels.shape[-2], channels.shape[-1]), rng)
        pixels = change_appearance(to_pixels(apply_view(channels, view, self.config.image_size)), modality < 0, rng)
        labels = apply_view(case.labels[plane][None].float(), view, self.config.image_size, "nearest")[0].long()
        inverted = bool(rng.random() < self.config.phantoms.inverted)
        attributes = slice_attributes(case, modality, labels, mirrored=mirrored, inverted=inverted)
        return -pixels if inverted else pixels, labels, attributes

    def _phantom_plane(self, case: SlicedCase, labels: Tensor, rng: np.random.Generator) -> int:
        with_lesion = torch.isin(labels, torch.tensor(LESIONS, dtype=labels.dtype)).flatten(1).any(dim=1)
        planes: tuple[int, ...] = tuple(with_lesion.nonzero()[:, 0].tolist())
        if not planes or rng.random() >= self.config.phantoms.lesions:
            planes = case.tissue
        return planes[int(rng.integers(len(planes)))]

    def _image(self, index: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([self.config.seed, 2, index])
        case = self.images[int(rng.integers(len(self.images)))]
        plane = case.tissue[int(rng.integers(len(case.tissue)))]
        channels, modality = draw_channels(case, plane, self.config.early, rng)
        view, _ = draw_view((channels.shape[-2], channels.shape[-1]), rng)
        pixels = change_appearance(to_pixels(apply_view(channels, view, self.config.image_size)), modality < 0, rng)
        patches = (self.config.image_size // PATCH) ** 2
        hidden = torch.zeros(patches, dtype=torch.bool)
        hidden[rng.permutation(patches)[: round(self.config.images.hidden * patches)]] = True
        return pixels, hidden


def slice_attributes(case: SlicedCase, modality: int, labels: Tensor, *, mirrored: bool, inverted: bool) -> Tensor:
    """The class of every attribute (attribute,) of a view, -1 where it is not defined.

    `modality` is the place of the one that is shown (-1: several). A lesion's attributes are asked where the view
    shows one. Mirroring swaps left and right; inversion swaps bright and dark, and makes the image one of no
    modality, without enhancement to be seen.
    """
    classes = dict.fromkeys(ATTRIBUTES, UNDEFINED)
    pixels = int(torch.isin(labels, torch.tensor(LESIONS)).sum())
    if pixels == 0 or pixels >= LEAST_LESION:
        classes["lesion"] = int(pixels > 0)
    if modality >= 0 and not inverted:
        classes["modality"] = ATTRIBUTES["modality"].index(case.modalities[modality])
    if pixels >= LEAST_LESION:
        classes["side"] = _swapped(int(case.attributes["side"][0]), mirrored)
        if modality >= 0:
            classes["polarity"] = _swapped(int(case.attributes["polarity"][modality]), inverted)
            classes["enhancement"] = UNDEFINED if inverted else int(case.attributes["enhancement"][modality])
    return torch.tensor(list(classes.values()))


def _swapped(code: int, swap: bool) -> int:
    return int(SWAPPED[code]) if swap and code != UNDEFINED else code
