"""Points and boxes that people give beside the words, and what our decoder makes of them.

A click is given in pixels of the image; a feature map of any size finds it by the position code of its own pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from einops import rearrange
from torch import Tensor, nn

from zeusseg.errors import UsageError

# What a mark can be, and its number: a point outside or inside of the target, or a corner of the box around it.
OUTSIDE, INSIDE, TOP_LEFT, BOTTOM_RIGHT = range(4)
PADDING = -1


@dataclass
class Clicks:
    """Where people pointed, in pixels of the image that the model sees; a pixel's centre has whole numbers.

    `points` (batch, target, click, 2) float as (row, column); `labels` (batch, target, click) int: 1 inside of the
    target, 0 outside, -1 padding; `boxes` (batch, target, 4) float, the first and last pixel inside as (top, left,
    bottom, right), NaN where there is none. Raises `UsageError` for shapes, labels or boxes that are none of these.
    """

    points: Tensor
    labels: Tensor
    boxes: Tensor

    def __post_init__(self) -> None:
        batch, targets = self.boxes.shape[:2]
        clicks = self.labels.shape[-1]
        shapes = [tuple(x.shape) for x in (self.points, self.labels, self.boxes)]
        expected = [(batch, targets, clicks, 2), (batch, targets, clicks), (batch, targets, 4)]
        if shapes != expected:
            raise UsageError(f"points, labels and boxes have shapes {shapes}: expected {expected}")
        if ((self.labels < PADDING) | (self.labels > INSIDE)).any():
            raise UsageError("a click's label is 1 (inside of the target), 0 (outside) or -1 (padding)")
        if (self.boxes[..., :2] > self.boxes[..., 2:]).any():
            raise UsageError("a box is (top, left, bottom, right), so that top <= bottom and left <= right")

    @classmethod
    def none(cls, batch: int, targets: int) -> Clicks:
        """No clicks for any target."""
        labels = torch.zeros(batch, targets, 0, dtype=torch.long)
        return cls(torch.zeros(batch, targets, 0, 2), labels, torch.full((batch, targets, 4), torch.nan))

    def to(self, device: torch.device | str) -> Clicks:
        """The same clicks on a device."""
        return Clicks(self.points.to(device), self.labels.to(device), self.boxes.to(device))

    def flipped(self, width: int) -> Clicks:
        """The same clicks on the image mirrored left to right, which is `width` pixels wide."""
        rows, columns = self.points.unbind(-1)
        top, left, bottom, right = self.boxes.unbind(-1)
        return replace(
            self,
            points=torch.stack([rows, width - 1 - columns], dim=-1),
            boxes=torch.stack([top, width - 1 - right, bottom, width - 1 - left], dim=-1),
        )

    def marks(self) -> tuple[Tensor, Tensor]:
        """Points and corners of boxes alike: places (batch, target, mark, 2) as (row, column), and what each mark is
        (batch, target, mark), `PADDING` where there is none; its place is then 0."""
        corners = rearrange(self.boxes, "b t (corner place) -> b t corner place", place=2)
        places = torch.cat([self.points, corners.to(self.points)], dim=2)
        boxed = ~self.boxes.isnan().any(dim=-1, keepdim=True)
        corner_kinds = torch.tensor([TOP_LEFT, BOTTOM_RIGHT], device=boxed.device)
        kinds = torch.cat([self.labels.long(), torch.where(boxed, corner_kinds, PADDING)], dim=2)
        # Attention multiplies what it masks by zero, and zero times NaN is NaN.
        return torch.where((kinds == PADDING)[..., None], 0.0, places), kinds


def sinusoid_at(places: Tensor, width: int) -> Tensor:
    """The code that `text.sinusoid` gives to whole places, for any places (...): (..., width)."""
    frequency = torch.exp(torch.arange(0, width, 2, device=places.device) * (-math.log(10000.0) / width))
    angle = places[..., None] * frequency
    return rearrange(torch.stack([angle.sin(), angle.cos()], dim=-1), "... d two -> ... (d two)")


class ClickTokens(nn.Module):
    """Clicks as tokens that stand beside the words: the code of the place, and what kind of mark is there."""

    def __init__(self, width: int):
        super().__init__()
        self.kinds = nn.Embedding(4, width)

    def forward(self, clicks: Clicks, size: tuple[int, int], shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Tokens (b, t, mark, width) and which of them are marks (b, t, mark).

        Places in an image of `size` become those in a feature map of `shape` that covers the same field: a click has
        the code that `pixel_positions` gives to the map's pixel under it.
        """
        places, kinds = clicks.marks()
        scale = torch.tensor([shape[0] / size[0], shape[1] / size[1]], device=places.device)
        rows, columns = ((places + 0.5) * scale - 0.5).unbind(-1)
        half = self.kinds.embedding_dim // 2
        code = torch.cat([sinusoid_at(rows, half), sinusoid_at(columns, half)], dim=-1)
        given = kinds != PADDING
        return code + self.kinds(kinds.clamp(min=0)), given


class ClickMap(nn.Module):
    """Each pixel asks the clicks: what they add to its mask logit, 0 where a target has none.

    A mask that is a query dotted with pixel features cannot tell two places that look the same; this can. Beside the
    clicks, a pixel may attend to nothing (a key and a value of zero), so clicks speak only where they are heard.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, heads)

    def forward(self, pixels: Tensor, tokens: Tensor, given: Tensor) -> Tensor:
        """`pixels` (b, pixel, width) with their positions, `tokens` (b, t, mark, width), `given` (b, t, mark): logits
        (b, t, pixel)."""
        query = rearrange(self.query(pixels), "b p (h d) -> b h p d", h=self.heads)
        key = rearrange(self.key(tokens), "b t n (h d) -> b t h n d", h=self.heads)
        scores = torch.einsum("b h p d, b t h n d -> b t h p n", query, key) / query.shape[-1] ** 0.5
        scores = scores.masked_fill(~given[:, :, None, None, :], float("-inf"))
        nothing = torch.zeros_like(scores[..., :1])
        heard = torch.cat([scores, nothing], dim=-1).softmax(dim=-1)[..., :-1]
        return torch.einsum("b t h p n, b t n h -> b t p", heard, self.value(tokens).to(heard))
