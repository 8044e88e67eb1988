"""Published models behind the face that training and prediction know: images and texts in, one mask per text out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from zeusseg.models.backbone import WINDOW
from zeusseg.models.clicks import Clicks
from zeusseg.models.text import TextTokens
from zeusseg.models.zeus import ZeusOutput

# The pixel statistics of the pictures that CLIP's encoders (Radford et al. 2021) and ImageNet's were trained on.
CLIP_PIXELS = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
IMAGENET_PIXELS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class PeerModel(nn.Module, ABC):
    """A model of one picture (three channels) and texts. Its presence is that of its surest pixel: it has no other.

    `settings` (JSON) say all that is needed to build the same architecture again, without any file; `size` is the side
    of the squares that the network reads. `load` makes one from published weights, or with weights drawn anew.
    """

    has_presence = False
    reads_text = True
    pixel_mean: Tensor
    pixel_std: Tensor
    # What training and prediction ask of a model: its own parts are all in its checkpoint, and features are not stored.
    frozen: Mapping[str, str] = MappingProxyType({})
    stacks = False

    def __init__(self, settings: Mapping[str, Any], pixels: tuple[Sequence[float], Sequence[float]] = CLIP_PIXELS):
        super().__init__()
        self.settings = dict(settings)
        self.size = int(self.settings["size"])
        for name, values in zip(("mean", "std"), pixels, strict=True):
            self.register_buffer(f"pixel_{name}", torch.tensor(values).reshape(-1, 1, 1), persistent=False)

    @classmethod
    @abstractmethod
    def load(cls, weights: str | None, changes: Mapping[str, Any], *, frozen: bool | None = None) -> Self:
        """The model with the published `weights` (a folder, file or hub id), or with weights drawn anew (None).

        `changes` are what differs from the published configuration, by dotted key. `frozen`: whether its encoders stay
        as they are; None: as published, and never where they are drawn anew. Raises `UsageError` where weights are not
        there or do not fit, where a key is unknown, and where an extra is not installed.
        """

    @property
    def encoders(self) -> tuple[nn.Module, ...]:
        """The parts that stay as they are where `settings` say `frozen`."""
        return ()

    def freeze(self) -> None:
        """Freeze the encoders where the settings say so; to be called once they are there."""
        if self.settings.get("frozen"):
            for encoder in self.encoders:
                encoder.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """As any module's, but frozen encoders drop nothing out and keep the statistics of their norms."""
        super().train(mode)
        if self.settings.get("frozen"):
            for encoder in self.encoders:
                encoder.eval()
        return self

    @abstractmethod
    def encode_text(self, texts: Sequence[str]) -> TextTokens:
        """Distinct texts, once each: `tokens` (text, word, width), `mask` (text, word), `pooled` (text, width)."""

    @abstractmethod
    def segment(self, pixels: Tensor, words: TextTokens) -> Tensor:
        """Mask logits (b, t, rows, columns), at a resolution of its own, for `pixels` (b, 3, size, size), normalised,
        and `words`, whose fields begin with (b, t)."""

    def forward(
        self, images: Tensor, present: Tensor, texts: TextTokens, which: Tensor, clicks: Clicks | None = None
    ) -> ZeusOutput:
        """As `ZeusModel.forward`: `images` (b, m, 3, h, w), `present` (b, m), `which` (b, t) picks from `texts`.

        Of the modalities one is present in each sample, the picture: data sets of several kinds may be pooled.
        Pictures are padded to squares with their darkest value, never squeezed, and masks come back on their pixels.
        """
        words = TextTokens(texts.tokens[which], texts.mask[which], texts.pooled[which])
        height, width = images.shape[-2:]
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        picture = (images * present[:, :, None, None, None]).sum(dim=1)
        masks = self.segment(self._pixels(picture, side, top, left), words)
        masks = functional.interpolate(masks.float(), size=(side, side), mode="bilinear", align_corners=False)
        masks = masks[..., top : top + height, left : left + width]
        return ZeusOutput(masks, masks.amax(dim=(-2, -1)))

    def _pixels(self, image: Tensor, side: int, top: int, left: int) -> Tensor:
        """Intensities (b, 3, h, w) as the network's own pixels (b, 3, size, size)."""
        low, high = WINDOW
        shown = ((image - low) / (high - low)).clamp(0, 1)
        height, width = image.shape[-2:]
        edges = (left, side - width - left, top, side - height - top)
        # Not a fixed black: what training pads with is the picture's own darkest value.
        darkest = shown.amin(dim=(1, 2, 3), keepdim=True)
        shown = functional.pad(shown - darkest, edges) + darkest
        if side != self.size:
            shown = functional.interpolate(
                shown, size=(self.size, self.size), mode="bilinear", align_corners=False, antialias=side > self.size
            )
        return (shown - self.pixel_mean) / self.pixel_std
