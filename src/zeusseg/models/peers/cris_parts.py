"""What CRIS (Wang et al., CVPR 2022, arXiv 2111.15174) adds to CLIP: dense pooling, neck, decoder, projector.

Modules are named as in the published checkpoint, so that its tensors load as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

# The longest wavelength of the fixed positions, over 2 π (Vaswani et al. 2017, section 3.5).
BASE = 10000.0


class DensePooling(nn.Module):
    """CLIP's attention pooling, applied to every position: maps (b, width, h, w) to (b, embed, h, w).

    CLIP asks once, with the mean of the map; here every position asks, and a projection of the map is added. `side` is
    that of the map that CLIP was trained on: its position embedding is stretched to the map's size.
    """

    def __init__(self, side: int, width: int, heads: int, embed: int):
        super().__init__()
        self.side, self.heads = side, heads
        # The first row belongs to CLIP's mean; it is kept because the checkpoint has it.
        self.positional_embedding = nn.Parameter(torch.randn(side**2 + 1, width) / width**0.5)
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width) for _ in range(3))
        self.c_proj = nn.Linear(width, embed)
        self.connect = nn.Sequential(nn.Conv2d(width, embed, 1, bias=False), nn.BatchNorm2d(embed))

    def forward(self, maps: Tensor) -> Tensor:
        height, width = maps.shape[-2:]
        positions = rearrange(self.positional_embedding[1:], "(h w) c -> 1 c h w", h=self.side)
        positions = functional.interpolate(positions, size=(height, width), mode="bicubic", align_corners=False)
        tokens = rearrange(maps + positions, "b c h w -> b (h w) c")
        query, key, value = (
            rearrange(project(tokens), "b n (head c) -> b head n c", head=self.heads)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        seen = rearrange(functional.scaled_dot_product_attention(query, key, value), "b head n c -> b n (head c)")
        pooled = rearrange(self.c_proj(seen), "b (h w) c -> b c h w", h=height)
        return functional.relu(pooled + self.connect(maps))


class SentenceNorm(nn.BatchNorm1d):
    """Batch normalisation of sentences (n, channel), by its running statistics where all of a batch are the same.

    Those have no variance: normalised by it, the words would vanish, and the running variance decay to nothing, so that
    in evaluation any difference is blown up. CRIS was trained on sentences that differ; a prompt may be one wording.
    """

    def forward(self, sentences: Tensor) -> Tensor:
        if self.training and torch.allclose(sentences, sentences[:1].expand_as(sentences), rtol=1e-3, atol=1e-5):
            return functional.batch_norm(
                sentences, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(sentences)


class FusionNeck(nn.Module):
    """The sentence and three maps to one map at stride 16 (the paper's "cross-modal neck").

    `forward` takes maps at strides 8, 16 and 32 with `channels` channels, all (n, c, h, w), and sentences (n, c) with
    the coarsest map's channels; it gives (n, middle, h, w) on the middle map's grid. `fine` and `coarse` are the
    channels that the finest and the coarsest map are brought to.
    """

    def __init__(self, channels: Sequence[int], fine: int, middle: int, coarse: int):
        super().__init__()
        at_8, at_16, at_32 = channels
        self.txt_proj = nn.Sequential(nn.Linear(at_32, coarse, bias=False), SentenceNorm(coarse), nn.ReLU())
        self.f1_v_proj = convolution(at_32, coarse, 1)
        self.norm_layer = nn.Sequential(nn.BatchNorm2d(coarse), nn.ReLU())
        self.f2_v_proj = convolution(at_16, middle, 3)
        self.f2_cat = convolution(coarse + middle, middle, 1)
        self.f3_v_proj = convolution(at_8, fine, 3)
        self.f3_cat = convolution(fine + middle, middle, 1)
        self.f4_proj5 = convolution(coarse, middle, 3)
        self.f4_proj4 = convolution(middle, middle, 3)
        self.f4_proj3 = convolution(middle, middle, 3)
        self.aggr = convolution(3 * middle, middle, 1)
        self.coordconv = nn.Sequential(WithCoordinates(middle), convolution(middle, middle, 3))

    def forward(self, maps: Sequence[Tensor], sentence: Tensor) -> Tensor:
        at_8, at_16, at_32 = maps
        coarse = self.norm_layer(self.f1_v_proj(at_32) * self.txt_proj(sentence)[:, :, None, None])
        middle = self.f2_cat(torch.cat([self.f2_v_proj(at_16), doubled(coarse)], dim=1))
        fine = self.f3_cat(torch.cat([functional.avg_pool2d(self.f3_v_proj(at_8), 2), middle], dim=1))
        every = [self.f4_proj3(fine), self.f4_proj4(middle), doubled(self.f4_proj5(coarse))]
        return self.coordconv(self.aggr(torch.cat(every, dim=1)))


class WithCoordinates(nn.Module):
    """A convolution that also sees each position's column and row, from -1 to 1, as two more channels."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = convolution(channels + 2, channels, 3)

    def forward(self, maps: Tensor) -> Tensor:
        height, width = maps.shape[-2:]
        columns = torch.linspace(-1, 1, width, device=maps.device, dtype=maps.dtype).expand(len(maps), 1, height, width)
        rows = torch.linspace(-1, 1, height, device=maps.device, dtype=maps.dtype)[:, None].expand_as(columns)
        return self.conv1(torch.cat([maps, columns, rows], dim=1))


class WordDecoder(nn.Module):
    """Pixels that look at each other and at the words (the paper's "vision-language decoder").

    `forward` takes and gives maps (n, width, h, w). It reads `words` (n, word, width) where `mask` (n, word) is true;
    what the mask hides changes nothing.
    """

    def __init__(self, layers: int, width: int, heads: int, feedforward: int, dropout: float):
        super().__init__()
        self.layers = nn.ModuleList(WordDecoderLayer(width, heads, feedforward, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, maps: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        height, width = maps.shape[-2:]
        places = map_positions(height, width, maps.shape[1], maps.device)
        order = sinusoids(words.shape[1], words.shape[2], maps.device)
        pixels = rearrange(maps, "n c h w -> n (h w) c")
        for layer in self.layers:
            pixels = layer(pixels, words, places, order, mask)
        return rearrange(self.norm(pixels), "n (h w) c -> n c h w", h=height)


class WordDecoderLayer(nn.Module):
    """Attention among pixels, attention to words, a feed-forward network; each has a norm before and one within."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.multihead_attn = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.ffn = nn.Sequential(
            nn.Linear(width, feedforward), nn.ReLU(), nn.Dropout(dropout), nn.LayerNorm(feedforward),
            nn.Linear(feedforward, width),
        )  # fmt: skip
        self.self_attn_norm, self.cross_attn_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(self, pixels: Tensor, words: Tensor, places: Tensor, order: Tensor, mask: Tensor) -> Tensor:
        value = self.norm1(pixels)
        query = value + places
        seen = self.self_attn(query, query, value, need_weights=False)[0]
        pixels = pixels + self.dropout(self.self_attn_norm(seen))
        query = self.norm2(pixels) + places
        read = self.multihead_attn(query, words + order, words, key_padding_mask=~mask, need_weights=False)[0]
        pixels = pixels + self.dropout(self.cross_attn_norm(read))
        return pixels + self.dropout(self.ffn(self.norm3(pixels)))


class Projector(nn.Module):
    """The similarity of a sentence to every pixel: the sentence makes the kernel that reads the map.

    It is what the paper's "text-to-pixel contrastive learning" trains. Maps (n, width, h, w) and sentences (n, embed)
    give (n, 4 h, 4 w).
    """

    KERNEL = 3

    def __init__(self, width: int, embed: int):
        super().__init__()
        self.vis = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear"), convolution(width, width, 3),
            nn.Upsample(scale_factor=2, mode="bilinear"), convolution(width, width // 2, 3),
            nn.Conv2d(width // 2, width // 2, 1),
        )  # fmt: skip
        self.txt = nn.Linear(embed, width // 2 * self.KERNEL**2 + 1)

    def forward(self, maps: Tensor, sentence: Tensor) -> Tensor:
        pixels = self.vis(maps)
        told = self.txt(sentence)
        kernels = rearrange(told[:, :-1], "n (c y x) -> n c y x", y=self.KERNEL, x=self.KERNEL)
        # A group per pair: each map meets the kernel of its own sentence alone.
        pixels = rearrange(pixels, "n c h w -> 1 (n c) h w")
        return functional.conv2d(pixels, kernels, told[:, -1], padding=self.KERNEL // 2, groups=len(kernels))[0]


def convolution(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """A convolution that keeps the grid, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def doubled(maps: Tensor) -> Tensor:
    return functional.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)


def sinusoids(count: int, width: int, device: torch.device) -> Tensor:
    """Fixed positions (count, width): sines in even and cosines in odd columns (Vaswani et al. 2017, section 3.5)."""
    rates = BASE ** (-torch.arange(0, width, 2, device=device) / width)
    angles = torch.arange(count, device=device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def map_positions(height: int, width: int, channels: int, device: torch.device) -> Tensor:
    """Fixed positions (height · width, channels), row by row: the first half tells the column, the second the row."""
    columns = sinusoids(width, channels // 2, device).expand(height, -1, -1)
    rows = sinusoids(height, channels // 2, device)[:, None].expand(-1, width, -1)
    return torch.cat([columns, rows], dim=-1).flatten(0, 1)
