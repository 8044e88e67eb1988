"""The model: images and instructions in, one mask and one presence logit per instruction out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zeusseg.models.decoder import DecodedMasks, InstructionDecoder, PixelDecoder
from zeusseg.models.fusion import FUSIONS
from zeusseg.models.text import TEXT_ENCODERS, TextTokens
from zeusseg.models.vision import VISION_ENCODERS


@dataclass
class ZeusOutput:
    """`masks` (batch, target, height, width) and `presence` (batch, target), both logits."""

    masks: Tensor
    presence: Tensor


def pick(kind: str, choices: Mapping[str, type], name: str) -> type:
    """The part of that name; an unknown one is refused with the names there are."""
    if name not in choices:
        raise ValueError(f"unknown {kind} {name!r}: expected one of {', '.join(sorted(choices))}")
    return choices[name]


class ZeusModel(nn.Module):
    """A light mask decoder that follows instructions over any subset of modalities (Zeus, arXiv 2504.07336).

    `modalities` is how many modalities the model knows; `channels` how many channels each brings (a slice and its
    neighbours, or red, green and blue).
    """

    def __init__(
        self,
        modalities: int,
        channels: int,
        fusion: str = "early",
        vision: str = "compact",
        text: str = "subword",
        width: int = 128,
        vision_channels: Sequence[int] = (24, 48, 96, 160, 224),
        norm: str = "batch",
    ):
        super().__init__()
        encoder = pick("vision encoder", VISION_ENCODERS, vision)
        self.text = pick("text encoder", TEXT_ENCODERS, text)(width)
        self.fusion = pick("fusion", FUSIONS, fusion)(
            lambda inputs: encoder(inputs, tuple(vision_channels), norm), modalities, channels, width
        )
        self.pixels = PixelDecoder(tuple(vision_channels), norm)
        self.decoder = InstructionDecoder(self.pixels.channels, width)

    def encode_text(self, texts: Sequence[str]) -> TextTokens:
        return self.text(texts)

    def forward(self, images: Tensor, present: Tensor, texts: TextTokens, which: Tensor) -> ZeusOutput:
        """Segment.

        `images` (batch, modality, channel, height, width), sides multiples of the encoder's last stride; `present`
        (batch, modality) bool, at least one true per sample; `texts` the distinct instructions; `which` (batch,
        target) picks an instruction for each target of each sample.
        """
        tokens, mask, pooled = texts.tokens[which], texts.mask[which], texts.pooled[which]

        def decode(features: list[Tensor]) -> DecodedMasks:
            return self.decoder(self.pixels(features), tokens, mask, pooled)

        decoded = self.fusion(images, present, decode)
        return ZeusOutput(decoded.masks, decoded.presence)

    @property
    def stride(self) -> int:
        """Image sides must be multiples of this."""
        return int(2 ** (len(self.pixels.channels) - 1))


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """Trainable and all parameters."""
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return sum(n for n, trains in sizes if trains), sum(n for n, _ in sizes)


def distinct(texts: Sequence[Sequence[str]]) -> tuple[list[str], Tensor]:
    """Distinct texts and, for each (sample, target), which of them it is: each is embedded once.

    >>> distinct([["a", "b"], ["a", "a"]])[1].tolist()
    [[0, 1], [0, 0]]
    """
    order = {text: i for i, text in enumerate(dict.fromkeys(t for sample in texts for t in sample))}
    return list(order), torch.tensor([[order[t] for t in sample] for sample in texts])
