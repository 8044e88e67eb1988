"""Where modalities meet: before the encoder, between encoder and decoder, or after the decoder.

Zeus (arXiv 2504.07336) names the three schemes without defining them fully; these are our definitions. All of them
take any subset of the modalities: `present` says which ones a sample has, and what an absent one holds is never seen.
All are made of an encoder's constructor, the number of modalities, the channels of each, and the queries' width, and
are called with images (b, m, c, h, w), or with what a frozen encoder made of them before, `present` (b, m), the rest of
the model (`decode`) and the instructions' words.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from zeusseg.models.decoder import CrossAttention, DecodedMasks
from zeusseg.models.neck import Features, PretrainedEncoder
from zeusseg.models.stacking import groups_of, stack_modalities
from zeusseg.models.text import TextTokens
from zeusseg.models.vision import VisionEncoder

Decode = Callable[[list[Tensor]], DecodedMasks]
MakeEncoder = Callable[[int], VisionEncoder]
HEADS = 4


class EarlyFusion(nn.Module):
    """Modalities are stacked as channels, zeros for absent ones; a constant channel each says whether it is there."""

    def __init__(self, make_encoder: MakeEncoder, modalities: int, channels: int, width: int):
        super().__init__()
        self.encoder, self.slots = make_encoder(modalities * channels + modalities), 1

    def forward(self, images: Tensor, present: Tensor, decode: Decode, words: TextTokens) -> DecodedMasks:
        flags = present[:, :, None, None].to(images)
        stacked = rearrange(images * flags[..., None], "b m c h w -> b (m c) h w")
        # A subset carries less signal than the whole; scaling keeps the first layer's input at one level.
        stacked = stacked * (present.shape[1] / present.sum(dim=1).clamp(min=1))[:, None, None, None].sqrt()
        return decode(self.encoder(torch.cat([stacked, flags.expand(-1, -1, *images.shape[-2:])], dim=1)))


class StackedFusion(nn.Module):
    """Early fusion before a pretrained encoder: three modalities are its three channels, in a fixed order.

    More modalities make more groups of three, whose features are averaged. What the encoder cannot tell, an absent
    modality from a dark one, is told to its features by one learnt vector per modality and scale.
    """

    def __init__(self, make_encoder: MakeEncoder, modalities: int, channels: int, width: int):
        super().__init__()
        encoder = make_encoder(channels)
        assert isinstance(encoder, PretrainedEncoder)
        self.encoder, self.slots = encoder, len(groups_of(modalities))
        self.flags = nn.ModuleList(nn.Linear(modalities, c, bias=False) for c in encoder.channels)

    def forward(self, images: Tensor | Features, present: Tensor, decode: Decode, words: TextTokens) -> DecodedMasks:
        if isinstance(images, Features):
            there = present[:, torch.tensor(groups_of(present.shape[1]), device=present.device)].any(dim=-1)
            pairs = there.nonzero()
            maps = images[pairs[:, 0], pairs[:, 1]]
        else:
            stacks, there = stack_modalities(images, present)
            pairs = there.nonzero()
            maps = self.encoder.look(stacks[pairs[:, 0], pairs[:, 1]])
        share = 1 / there.sum(dim=1)[pairs[:, 0], None, None, None]
        averaged = [
            feature.new_zeros(len(present), *feature.shape[1:]).index_add(0, pairs[:, 0], feature * share)
            for feature in maps
        ]
        features = self.encoder.neck(averaged)
        told = [flags(present.to(features[0])) for flags in self.flags]
        return decode([feature + flag[:, :, None, None] for feature, flag in zip(features, told, strict=True)])


class ModalityAdapters(nn.Module):
    """One shared encoder reads every modality; an adapter per modality and scale then tells them apart."""

    def __init__(self, make_encoder: MakeEncoder, modalities: int, channels: int):
        super().__init__()
        self.encoder = make_encoder(channels)
        self.adapters = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(c, c, 1) for c in self.encoder.channels) for _ in range(modalities)
        )
        if isinstance(self.encoder, PretrainedEncoder):
            # What was learnt before reaches the decoder as it is, until training finds better.
            for adapter in self.adapters.modules():
                if isinstance(adapter, nn.Conv2d):
                    nn.init.dirac_(adapter.weight)
                    nn.init.zeros_(adapter.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor | Features, present: Tensor) -> tuple[list[Tensor], Tensor]:
        """Features of the present (sample, modality) pairs, one (pair, c, h, w) per scale, and the pairs (pair, 2)."""
        pairs = present.nonzero()
        pairs = pairs[pairs[:, 1].argsort(stable=True)]
        shown = images[pairs[:, 0], pairs[:, 1]]
        if isinstance(shown, Tensor):
            features = self.encoder(shown)
        else:
            assert isinstance(self.encoder, PretrainedEncoder)
            features = self.encoder.neck(shown)
        sizes = torch.bincount(pairs[:, 1], minlength=present.shape[1]).tolist()
        adapted = []
        for scale, feature in enumerate(features):
            parts = torch.split(feature, sizes)
            adapted.append(torch.cat([self.adapters[m][scale](part) for m, part in enumerate(parts)]))  # type: ignore[index]
        return adapted, pairs


class PerModalityFusion(nn.Module):
    """What hybrid and late fusion share: every modality is read by itself, and has a slot of `Features`."""

    def __init__(self, make_encoder: MakeEncoder, modalities: int, channels: int):
        super().__init__()
        self.read, self.slots = ModalityAdapters(make_encoder, modalities, channels), modalities

    @property
    def encoder(self) -> VisionEncoder:
        return self.read.encoder


class HybridFusion(PerModalityFusion):
    """Features of each modality meet between encoder and decoder: a mean, weighted pixel by pixel."""

    def __init__(self, make_encoder: MakeEncoder, modalities: int, channels: int, width: int):
        super().__init__(make_encoder, modalities, channels)
        # No bias: it would shift all modalities alike, which a softmax does not see.
        self.weigh = nn.ModuleList(nn.Conv2d(c, 1, 1, bias=False) for c in self.read.encoder.channels)

    def forward(self, images: Tensor | Features, present: Tensor, decode: Decode, words: TextTokens) -> DecodedMasks:
        features, pairs = self.read(images, present)
        fused = []
        for feature, weigh in zip(features, self.weigh, strict=True):
            # A softmax over the modalities that a sample has: exponentials (in 32 bits), summed per sample.
            weights = weigh(feature).float().clamp(-10, 10).exp()
            totals = weights.new_zeros(len(present), *feature.shape[1:]).index_add(0, pairs[:, 0], feature * weights)
            norms = weights.new_zeros(len(present), 1, *feature.shape[2:]).index_add(0, pairs[:, 0], weights)
            fused.append(totals / norms)
        return decode(fused)


class LateFusion(PerModalityFusion):
    """Every modality gives its own masks; they meet after the decoder.

    A modality weighs by how sure its own query is, and by what the instruction says of it: a question of its own is
    asked of the instruction's words, so that "T1: nothing stands out" can take weight from T1 and give it to FLAIR.
    """

    def __init__(self, make_encoder: MakeEncoder, modalities: int, channels: int, width: int):
        super().__init__(make_encoder, modalities, channels)
        self.confidence = nn.Linear(width, 1, bias=False)
        self.questions = nn.Parameter(torch.randn(modalities, width) * 0.02)
        self.read_words = CrossAttention(width, HEADS)
        self.said = nn.Linear(width, 1, bias=False)

    def forward(self, images: Tensor | Features, present: Tensor, decode: Decode, words: TextTokens) -> DecodedMasks:
        """`words`: tokens (b, t, word, width) and mask (b, t, word) of each sample's instructions."""
        features, pairs = self.read(images, present)
        samples, modalities = present.shape
        # Instructions belong to samples, so a modality is decoded for all samples at once; absent ones get no weight.
        dense = [scatter(feature, pairs, samples, modalities) for feature in features]
        decoded = [decode([feature[:, m] for feature in dense]) for m in range(modalities)]
        masks = torch.stack([d.masks for d in decoded], dim=1)
        presence = torch.stack([d.presence for d in decoded], dim=1)
        queries = torch.stack([d.queries for d in decoded], dim=1)
        absent = ~repeat(present, "b m -> b m t", t=presence.shape[2])
        sure = self.confidence(queries).squeeze(-1) + self._said_of_each(words)
        weights = sure.masked_fill(absent, float("-inf")).softmax(dim=1)
        return DecodedMasks(
            torch.einsum("b m t, b m t h w -> b t h w", weights, masks),
            torch.einsum("b m t, b m t -> b t", weights, presence),
            torch.einsum("b m t, b m t d -> b t d", weights, queries),
        )

    def _said_of_each(self, words: TextTokens) -> Tensor:
        """How much each instruction speaks for each modality: (b, m, t)."""
        samples, targets = words.mask.shape[:2]
        questions = repeat(self.questions, "m d -> n m d", n=samples * targets)
        answers = self.read_words(questions, words.tokens.flatten(0, 1), words.mask.flatten(0, 1))
        return rearrange(self.said(answers), "(b t) m 1 -> b m t", b=samples)


def scatter(feature: Tensor, pairs: Tensor, samples: int, modalities: int) -> Tensor:
    """Features of pairs (pair, c, h, w) to (sample, modality, c, h, w), zeros where a modality is absent."""
    dense = feature.new_zeros(samples, modalities, *feature.shape[1:])
    return dense.index_put((pairs[:, 0], pairs[:, 1]), feature)


FUSIONS = {"early": EarlyFusion, "hybrid": HybridFusion, "late": LateFusion}
