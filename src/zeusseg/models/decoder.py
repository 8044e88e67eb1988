"""The mask decoder: pixels climb from coarse to fine, and at every scale the instruction is read again.

A target's query starts from its instruction, attends to the pixels and to the instruction's words at the coarse
scales, and is dotted with the pixel features at every scale: the masks of all scales add up, coarse ones guiding fine
ones (as the text does at every decoder stage of VoxTell, and the query at the last one of SAT). Clicks, where there
are any, stand beside the words, and speak to the pixels of the coarse scales themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from zeusseg.errors import UsageError
from zeusseg.models.clicks import ClickMap, Clicks, ClickTokens
from zeusseg.models.text import sinusoid
from zeusseg.models.vision import ResidualBlock, normalised_convolution

# Logits of masks reach about this far; divided by it they are of the size of the other inputs.
LOGIT_SCALE = 5.0
# Large, since lesions lie near the middle of an image and a step of a weight is small.
COORDINATE_SCALE = 4.0


@dataclass
class DecodedMasks:
    """Logits `masks` (batch, target, height, width), `presence` (batch, target); `queries` (batch, target, width)."""

    masks: Tensor
    presence: Tensor
    queries: Tensor


def evidence_of(masks: Tensor) -> Tensor:
    """What masks (b, t, h, w) show to the presence head (b, t, 2): the surest pixel, and the share of the slice that is
    covered; logits and logarithm scaled to the size of the other inputs."""
    surest = masks.flatten(2).amax(dim=2) / LOGIT_SCALE
    share = masks.flatten(2).sigmoid().mean(dim=2).clamp(min=1e-6).log() / LOGIT_SCALE
    return torch.stack([surest, share], dim=-1)


class PixelDecoder(nn.Module):
    """Encoder features to decoded features of the same scales plus one of twice the finest; both finest first.

    The scales may have any sizes that cover the same field, also the same one several times.
    """

    def __init__(self, channels: tuple[int, ...], norm: str, full_resolution_channels: int = 16):
        super().__init__()
        self.channels = (full_resolution_channels, *channels)
        self.up = nn.ModuleList(
            nn.Conv2d(coarse, fine, 1) for fine, coarse in pairwise(channels)
        )
        # The finest scale takes most of the time: there the features are only merged, not refined.
        self.merge = nn.ModuleList(
            nn.Sequential(normalised_convolution(2 * fine, fine, norm), *([ResidualBlock(fine, norm)] if i else []))
            for i, fine in enumerate(channels[:-1])
        )
        # Sub-pixel convolution (Shi et al. 2016): twice the resolution without a convolution at that resolution.
        self.to_full = nn.Sequential(nn.Conv2d(channels[0], 4 * full_resolution_channels, 1), nn.PixelShuffle(2))

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        x = features[-1]
        decoded = [x]
        for lateral, up, merge in zip(features[-2::-1], reversed(self.up), reversed(self.merge), strict=True):
            raised = functional.interpolate(up(x), size=lateral.shape[-2:], mode="bilinear", align_corners=False)
            x = merge(torch.cat([lateral, raised], dim=1))
            decoded.append(x)
        decoded.append(self.to_full(x))
        return decoded[::-1]


class CrossAttention(nn.Module):
    """Queries (batch, query, width) read memory (batch, item, width); `mask` (batch, item): true where one may look."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, queries: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        q = rearrange(self.query(self.norm(queries)), "b q (h d) -> b h q d", h=self.heads)
        k, v = rearrange(self.key_value(memory), "b n (two h d) -> two b h n d", two=2, h=self.heads)
        allowed = None if mask is None else mask[:, None, None, :]
        read = functional.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        return queries + self.out(rearrange(read, "b h q d -> b q (h d)"))


class InstructionLayer(nn.Module):
    """One reading: the query looks at the pixels of a scale, then at its own instruction, then thinks."""

    def __init__(self, width: int, pixel_channels: int, heads: int):
        super().__init__()
        self.pixels = nn.Linear(pixel_channels, width)
        self.look = CrossAttention(width, heads)
        self.read = CrossAttention(width, heads)
        self.think = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def placed(self, pixels: Tensor) -> Tensor:
        """Pixels (b, c, h, w) as a query sees them, with their positions: (b, h * w, width)."""
        memory = self.pixels(rearrange(pixels, "b c h w -> b (h w) c"))
        return memory + pixel_positions(pixels, memory.shape[-1])

    def forward(self, queries: Tensor, memory: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        """`queries` (b, t, width), `memory` of `placed` pixels, `tokens` (b, t, word, width), `mask` (b, t, word)."""
        queries = self.look(queries, memory)
        b, t = queries.shape[:2]
        read = self.read(rearrange(queries, "b t d -> (b t) 1 d"), tokens.flatten(0, 1), mask.flatten(0, 1))
        queries = rearrange(read, "(b t) 1 d -> b t d", b=b, t=t)
        return queries + self.think(queries)


def pixel_positions(pixels: Tensor, width: int) -> Tensor:
    """Sinusoidal positions (h * w, width) of a feature map: half the width for rows, half for columns."""
    height, columns = pixels.shape[-2:]
    rows = sinusoid(height, width // 2)[:, None, :].expand(-1, columns, -1)
    across = sinusoid(columns, width // 2)[None].expand(height, -1, -1)
    return rearrange(torch.cat([rows, across], dim=-1), "h w d -> (h w) d").to(pixels)


def with_coordinates(pixels: Tensor) -> Tensor:
    """Pixels (b, c, h, w) with two more channels: row and column, from -COORDINATE_SCALE to COORDINATE_SCALE."""
    rows, columns = (torch.linspace(-COORDINATE_SCALE, COORDINATE_SCALE, n).to(pixels) for n in pixels.shape[-2:])
    places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
    return torch.cat([pixels, places.expand(len(pixels), -1, -1, -1)], dim=1)


class InstructionDecoder(nn.Module):
    """Decoded pixel features and instructions to one mask and one presence logit per target."""

    def __init__(
        self, channels: tuple[int, ...], width: int = 128, heads: int = 4, attended_scales: int = 3,
        coordinates: bool = False,
    ):
        """`coordinates`: a query also sees where in the image a pixel is, so that it can prefer a side."""
        super().__init__()
        self.coordinates = coordinates
        extra = 2 if coordinates else 0
        self.start = nn.Linear(width, width)
        self.layers = nn.ModuleList(InstructionLayer(width, c, heads) for c in channels[::-1][:attended_scales])
        self.filters = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, c + extra + 1))
            for c in channels[::-1]
        )
        self.norm = nn.LayerNorm(width)
        self.presence = nn.Sequential(nn.Linear(width + 2, width), nn.GELU(), nn.Linear(width, 1))
        self.clicks = ClickTokens(width)
        self.click_maps = nn.ModuleList(ClickMap(width, heads) for _ in self.layers)

    def forward(
        self,
        pixels: list[Tensor],
        tokens: Tensor,
        mask: Tensor,
        pooled: Tensor,
        clicks: Clicks | None = None,
        size: tuple[int, int] | None = None,
    ) -> DecodedMasks:
        """`pixels`: finest first, (b, c, h, w); `tokens` (b, t, word, d), `mask` (b, t, word), `pooled` (b, t, d).

        `clicks` need the image's `size` in pixels (`UsageError` without); masks have the size of the finest pixels.
        """
        if clicks is not None and size is None:
            raise UsageError("clicks are given without the size of the image that their pixels belong to")
        queries = self.start(pooled)
        masks: Tensor | None = None
        scales = pixels[::-1]
        for i, scale in enumerate(scales):
            click_logits: Tensor | None = None
            if i < len(self.layers):
                memory = self.layers[i].placed(scale)  # type: ignore[operator]
                words, readable = tokens, mask
                if clicks is not None and size is not None:
                    marks, given = self.clicks(clicks, size, scale.shape[-2:])
                    said = self.click_maps[i](memory, marks.to(memory), given)
                    click_logits = rearrange(said, "b t (h w) -> b t h w", h=scale.shape[-2])
                    # What the query reads now serves it when it looks next, so places are those of the next scale.
                    marks, given = self.clicks(clicks, size, scales[min(i + 1, len(scales) - 1)].shape[-2:])
                    words, readable = torch.cat([tokens, marks.to(tokens)], dim=2), torch.cat([mask, given], dim=2)
                queries = self.layers[i](queries, memory, words, readable)
            # The last number of the filter is a bias; dividing by the root of the width keeps logits small at first.
            weights = self.filters[i](queries)
            seen = with_coordinates(scale) if self.coordinates else scale
            logits = torch.einsum("b t c, b c h w -> b t h w", weights[..., :-1], seen) / scale.shape[1] ** 0.5
            logits = logits + weights[..., -1, None, None]
            if click_logits is not None:
                logits = logits + click_logits
            if masks is not None:
                logits = logits + functional.interpolate(
                    masks, size=scale.shape[-2:], mode="bilinear", align_corners=False
                )
            masks = logits
        assert masks is not None
        presence = self.presence(torch.cat([self.norm(queries), evidence_of(masks).to(queries)], dim=-1))
        return DecodedMasks(masks, presence.squeeze(-1), queries)
