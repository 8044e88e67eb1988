"""Text-to-pixel alignment: pixels of what an instruction means lie near it, others far (CRIS, Wang et al. 2022, 3.3).

It speaks to the text before the decoder has read the image, so that the instruction itself has to tell its pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# CRIS compares at a quarter of the image's resolution.
STRIDE = 4


class TextPixelAlignment(nn.Module):
    """Pooled instructions and pixel features to one logit per pixel: scaled cosine similarity."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.text = nn.Linear(width, width)
        self.pixels = nn.Conv2d(channels, width, 1)
        self.scale = nn.Parameter(torch.tensor(2.0))
        # Most pixels belong to nothing that is asked for.
        self.bias = nn.Parameter(torch.tensor(-3.0))

    def forward(self, pixels: Tensor, pooled: Tensor) -> Tensor:
        """`pixels` (b, c, h, w) and `pooled` (b, t, width) to logits (b, t, h, w)."""
        text = functional.normalize(self.text(pooled), dim=-1)
        seen = functional.normalize(self.pixels(pixels), dim=1)
        return self.scale.exp() * torch.einsum("b t d, b d h w -> b t h w", text, seen) + self.bias


def alignment_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy of `logits` (b, t, h, w) with `masks` (b, t, H, W) brought to their size; inside and outside of
    masks weigh alike over the batch, and outside alone counts where nothing is inside."""
    inside = functional.adaptive_avg_pool2d(masks.to(logits), (logits.shape[-2], logits.shape[-1])) > 0.5
    each = functional.binary_cross_entropy_with_logits(logits, inside.to(logits), reduction="none")
    parts = [each[where].mean() for where in (inside, ~inside) if where.any()]
    return torch.stack(parts).mean()
