"""Between a frozen encoder and what is trained: its feature maps become a pyramid of the decoder's own channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from zeusseg.models.backbone import Backbone
from zeusseg.models.vision import normalised_convolution

FINEST_STRIDE = 4
MOST_SCALES = 4
IN_TRAINING = "backbone_in_training"


@dataclass
class Features:
    """What a frozen encoder made of a batch, in place of the images.

    `maps`: one (batch, slot, channel, height, width) per feature map, in bfloat16 or float32; a slot is a modality, or
    for early fusion a group of modalities. `size`: (height, width) of the images, before they were padded for the
    encoder.
    """

    maps: list[Tensor]
    size: tuple[int, int]

    def to(self, device: torch.device) -> Features:
        return Features([feature.to(device) for feature in self.maps], self.size)

    def __getitem__(self, pairs: tuple[Tensor, Tensor]) -> list[Tensor]:
        """The maps of some (sample, slot) pairs, each (pair, channel, height, width), in float32."""
        return [feature[pairs].float() for feature in self.maps]


class Rescale(nn.Module):
    """One map to another scale: sub-pixel convolution (Shi et al. 2016) upwards, a strided one downwards.

    A patch's token still holds the detail inside its patch, the more the earlier its block: unfolding it loses none.
    Channels are normalised pixel by pixel, which does not depend on how much of an image is shown.
    """

    def __init__(self, inputs: int, outputs: int, norm: str, up: int, down: int):
        super().__init__()
        self.norm = nn.LayerNorm(inputs)
        # A matrix product: as a convolution of one pixel, it takes several times as long on a CPU.
        self.project = nn.Linear(inputs, outputs * up**2)
        self.unfold = nn.PixelShuffle(up)
        self.smooth = normalised_convolution(outputs, outputs, norm, stride=down)

    def forward(self, x: Tensor) -> Tensor:
        projected = self.project(self.norm(rearrange(x, "b c h w -> b h w c")))
        return self.smooth(self.unfold(rearrange(projected, "b h w c -> b c h w").contiguous()))


class FeaturePyramid(nn.Module):
    """Feature maps of an encoder to maps of `channels` at about strides 4, 8, 16 and 32, finest first.

    An encoder with a map per stride gives each to its own scale. A plain vision transformer has one stride only: its
    early blocks, which still know details, go to the fine scales and its last ones to the coarse scales (as the simple
    pyramid of ViTDet, Li et al. 2022, but from several blocks as UNETR takes them). Of `channels` there are one to
    four.
    """

    def __init__(self, backbone: Backbone, channels: Sequence[int], norm: str):
        super().__init__()
        self.channels = tuple(channels)
        steps = [_step(backbone, scale, len(channels)) for scale in range(len(channels))]
        self.sources = [source for source, _, _ in steps]
        self.strides = tuple(backbone.strides[source] * down // up for source, up, down in steps)
        self.scales = nn.ModuleList(
            Rescale(backbone.channels[source], outputs, norm, up, down)
            for (source, up, down), outputs in zip(steps, channels, strict=True)
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        return [scale(maps[source]) for scale, source in zip(self.scales, self.sources, strict=True)]


class SingleMap(nn.Module):
    """The one map that SAM's mask decoder reads: the last at a stride of at most 16, as it is."""

    def __init__(self, backbone: Backbone):
        super().__init__()
        fine = [place for place, stride in enumerate(backbone.strides) if stride <= 16]
        self.source = fine[-1] if fine else 0
        self.channels, self.strides = (backbone.channels[self.source],), (backbone.strides[self.source],)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        return [maps[self.source]]


class PretrainedEncoder(nn.Module):
    """A frozen backbone and the neck that is trained on it; a `VisionEncoder`.

    A backbone that is wholly frozen is no part of the module's state: checkpoints, averages of weights and optimizers
    have nothing to do with it. One that is trained in part (LoRA, last blocks) is.
    """

    def __init__(self, backbone: Backbone, neck: FeaturePyramid | SingleMap):
        super().__init__()
        self.neck = neck
        self.channels, self.strides = neck.channels, neck.strides
        self._frozen = [backbone]
        if backbone.trains:
            self.add_module(IN_TRAINING, backbone)

    @property
    def backbone(self) -> Backbone:
        return self._frozen[0]

    def look(self, image: Tensor) -> list[Tensor]:
        """The backbone's own maps of images (b, 1 or 3, h, w)."""
        return self.backbone.to(image.device)(image)

    def forward(self, image: Tensor) -> list[Tensor]:
        return self.neck(self.look(image))


def _step(backbone: Backbone, scale: int, scales: int) -> tuple[int, int, int]:
    """For one scale: which map it is made of, how often that is enlarged, and how often made smaller."""
    wanted = FINEST_STRIDE * 2**scale
    strides = backbone.strides
    if len(set(strides)) == 1:
        # One stride: maps are shared out evenly, the first to the finest scale and the last to the coarsest.
        source = round((len(strides) - 1) * (scale / (scales - 1) if scales > 1 else 1))
    else:
        source = min(range(len(strides)), key=lambda place: (abs(strides[place] - wanted), place))
    # Patches of 14 pixels count as 16: all that scales have to be is powers of two apart.
    near = 2 ** round(math.log2(strides[source]))
    return source, max(1, near // wanted), max(1, wanted // near)
