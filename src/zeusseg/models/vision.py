"""Vision encoders: an image in, features at several scales out. A pretrained one is one more dictionary entry."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Protocol

import torch
from einops import rearrange
from torch import Tensor, nn


class VisionEncoder(Protocol):
    """What the rest of the model needs to know of an encoder.

    `forward` maps (batch, in_channels, height, width) to one feature map per scale, finest first; scale i has
    `channels[i]` channels and is `strides[i]` times smaller than the image, whose sides are multiples of the last
    stride.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def __call__(self, image: Tensor) -> list[Tensor]: ...


# `batch` statistics hold for whatever part of an image is shown, which prediction on whole slices needs after training
# on crops. `group` statistics are each image's own: steadier in small, mixed batches, but then training must show whole
# slices too.
NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(8, channels),
}


def normalised_convolution(inputs: int, outputs: int, norm: str, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), NORMS[norm](outputs), nn.LeakyReLU(0.01, inplace=True)
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al. 2016)."""

    def __init__(self, channels: int, norm: str):
        super().__init__()
        self.first = normalised_convolution(channels, channels, norm)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), NORMS[norm](channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.leaky_relu(x + self.second(self.first(x)), 0.01)


class CompactEncoder(nn.Module):
    """A small residual network, trained from scratch, that works at half resolution from the first layer on.

    Each 2x2 block of pixels becomes channels before the first convolution, so no pixel is lost and the full
    resolution, where most time would go, is never convolved.
    """

    def __init__(self, in_channels: int, channels: tuple[int, ...], norm: str):
        super().__init__()
        self.channels = channels
        self.strides = tuple(2 ** (i + 1) for i in range(len(channels)))
        self.stem = normalised_convolution(4 * in_channels, channels[0], norm)
        self.stages = nn.ModuleList([nn.Sequential(ResidualBlock(channels[0], norm))])
        for previous, current in pairwise(channels):
            down = normalised_convolution(previous, current, norm, stride=2)
            self.stages.append(nn.Sequential(down, ResidualBlock(current, norm)))

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.stem(rearrange(image, "b c (h two) (w too) -> b (c two too) h w", two=2, too=2))
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


VISION_ENCODERS = {"compact": CompactEncoder}
