"""Where modalities meet: before the encoder, between encoder and decoder, or after the decoder.

Zeus (arXiv 2504.07336) names the three schemes without defining them fully; these are our definitions. All of them
take any subset of the modalities: `present` says which ones a sample has, and what an absent one holds is never seen.
All are made of an encoder's constructor, the number of modalities, the channels of each, and the queries' width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from zeusseg.models.decoder import DecodedMasks
from zeusseg.models.vision import VisionEncoder

Decode = Callable[[list[Tensor]], DecodedMasks]
MakeEncoder = Callable[[int], VisionEncoder]


class EarlyFusion(nn.Module):
    """Modalities are stacked as channels, zeros for absent ones; a constant channel each says whether it is there."""

    def __init__(self, make_encoder: MakeEncoder, modalities: int, channels: int, width: int):
        super().__init__()
        self.encoder = make_encoder(modalities * channels + modalities)

    def forward(self, images: Tensor, present: Tensor, decode: Decode) -> DecodedMasks:
        """`images` (b, m, c, h, w), `present` (b, m)."""
        flags = present[:, :, None, None].to(images)
        stacked = rearrange(images * flags[..., None], "b m c h w -> b (m c) h w")
        # A subset carries less signal than the whole; scaling keeps the first layer's input at one level.
        stacked = stacked * (present.shape[1] / present.sum(dim=1).clamp(min=1))[:, None, None, None].sqrt()
        return decode(self.encoder(torch.cat([stacked, flags.expand(-1, -1, *images.shape[-2:])], dim=1)))


class ModalityAdapters(nn.Module):
    """One shared encoder reads every modality; an adapter per modality and scale then tells them apart."""

    def __init__(self, make_encoder: MakeEncoder, modalities: int, channels: int):
        super().__init__()
        self.encoder = make_encoder(channels)
        self.adapters = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(c, c, 1) for c in self.encoder.channels) for _ in range(modalities)
        )

    def forward(self, images: Tensor, present: Tensor) -> tuple[list[Tensor], Tensor]:
        """Features of the present (sample, modality) pairs, one (pair, c, h, w) per scale, and the pairs (pair, 2)."""
        pairs = present.nonzero()
        pairs = pairs[pairs[:, 1].argsort(stable=True)]
        features = self.encoder(images[pairs[:, 0], pairs[:, 1]])
        sizes = torch.bincount(pairs[:, 1], minlength=present.shape[1]).tolist()
        adapted = []
        for scale, feature in enumerate(features):
            parts = torch.split(feature, sizes)
            adapted.append(torch.cat([self.adapters[m][scale](part) for m, part in enumerate(parts)]))  # type: ignore[index]
        return adapted, pairs


class HybridFusion(nn.Module):
    """Features of each modality meet between encoder and decoder: a mean, weighted pixel by pixel."""

    def __init__(self, make_encoder: MakeEncoder, modalities: int, channels: int, width: int):
        super().__init__()
        self.read = ModalityAdapters(make_encoder, modalities, channels)
        # No bias: it would shift all modalities alike, which a softmax does not see.
        self.weigh = nn.ModuleList(nn.Conv2d(c, 1, 1, bias=False) for c in self.read.encoder.channels)

    def forward(self, images: Tensor, present: Tensor, decode: Decode) -> DecodedMasks:
        features, pairs = self.read(images, present)
        fused = []
        for feature, weigh in zip(features, self.weigh, strict=True):
            # A softmax over the modalities that a sample has: exponentials (in 32 bits), summed per sample.
            weights = weigh(feature).float().clamp(-10, 10).exp()
            totals = weights.new_zeros(len(images), *feature.shape[1:]).index_add(0, pairs[:, 0], feature * weights)
            norms = weights.new_zeros(len(images), 1, *feature.shape[2:]).index_add(0, pairs[:, 0], weights)
            fused.append(totals / norms)
        return decode(fused)


class LateFusion(nn.Module):
    """Every modality gives its own masks; they meet after the decoder, weighted by how sure each query is."""

    def __init__(self, make_encoder: MakeEncoder, modalities: int, channels: int, width: int):
        super().__init__()
        self.read = ModalityAdapters(make_encoder, modalities, channels)
        self.confidence = nn.Linear(width, 1, bias=False)

    def forward(self, images: Tensor, present: Tensor, decode: Decode) -> DecodedMasks:
        features, pairs = self.read(images, present)
        samples, modalities = present.shape
        # Instructions belong to samples, so a modality is decoded for all samples at once; absent ones get no weight.
        dense = [scatter(feature, pairs, samples, modalities) for feature in features]
        decoded = [decode([feature[:, m] for feature in dense]) for m in range(modalities)]
        masks = torch.stack([d.masks for d in decoded], dim=1)
        presence = torch.stack([d.presence for d in decoded], dim=1)
        queries = torch.stack([d.queries for d in decoded], dim=1)
        absent = ~repeat(present, "b m -> b m t", t=presence.shape[2])
        weights = self.confidence(queries).squeeze(-1).masked_fill(absent, float("-inf")).softmax(dim=1)
        return DecodedMasks(
            torch.einsum("b m t, b m t h w -> b t h w", weights, masks),
            torch.einsum("b m t, b m t -> b t", weights, presence),
            torch.einsum("b m t, b m t d -> b t d", weights, queries),
        )


def scatter(feature: Tensor, pairs: Tensor, samples: int, modalities: int) -> Tensor:
    """Features of pairs (pair, c, h, w) to (sample, modality, c, h, w), zeros where a modality is absent."""
    dense = feature.new_zeros(samples, modalities, *feature.shape[1:])
    return dense.index_put((pairs[:, 0], pairs[:, 1]), feature)


FUSIONS = {"early": EarlyFusion, "hybrid": HybridFusion, "late": LateFusion}
