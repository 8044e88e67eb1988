"""What the encoders learn: to segment phantoms, to name what is true of them, and to fill in hidden patches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from zeusseg.pretraining.encoder import PATCH, ResNetEncoder, ViTEncoder, without_statistics
from zeusseg.pretraining.phantoms import ATTRIBUTES, CLASSES, UNDEFINED
from zeusseg.pretraining.samples import ImageBatch, PhantomBatch

# Added to a patch's variance: without it, the faint noise of air would count as much as anatomy.
FAINT_VARIANCE = 1e-3
SEGMENTATION_STRIDE = 4


class PyramidHead(nn.Module):
    """Maps of several scales, summed at the finest and read out by one convolution: (b, outputs, h / s, w / s).

    Light on purpose: what the task needs has to be in the encoder.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], outputs: int, stride: int, width: int = 128):
        super().__init__()
        self.project = nn.ModuleList([nn.Conv2d(c, width, 1) for c in channels])
        finer = strides[0] // stride
        self.read = nn.Sequential(
            nn.GroupNorm(8, width), nn.GELU(), nn.Conv2d(width, width, 3, padding=1), nn.GELU(),
            nn.Conv2d(width, outputs * finer**2, 1), nn.PixelShuffle(finer),
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        size = maps[0].shape[-2:]
        projected = [project(values) for project, values in zip(self.project, maps, strict=True)]
        scaled = [
            values if values.shape[-2:] == size
            else functional.interpolate(values, size=size, mode="bilinear", align_corners=False)
            for values in projected
        ]
        return self.read(torch.stack(scaled).sum(dim=0))


class MaskedDecoder(nn.Module):
    """The light decoder of a masked autoencoder (He et al. 2022): visible tokens and mask tokens to all patches."""

    def __init__(self, channels: int, patches: int, width: int = 192, depth: int = 2, heads: int = 3):
        super().__init__()
        self.project = nn.Linear(channels, width)
        self.mask_token = nn.Parameter(torch.zeros(width))
        self.positions = nn.Parameter(torch.randn(patches, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, depth, nn.LayerNorm(width), enable_nested_tensor=False)
        self.read = nn.Linear(width, 3 * PATCH**2)

    def forward(self, tokens: Tensor, hidden: Tensor) -> Tensor:
        """`tokens` (b, 1 + visible, c), the class token first, and `hidden` (b, patch): pixels (b, patch, values)."""
        known = self.project(tokens)
        patches = self.mask_token.to(known.dtype).expand(*hidden.shape, -1).clone()
        patches[~hidden] = rearrange(known[:, 1:], "b n c -> (b n) c")
        everything = torch.cat([known[:, :1], patches + self.positions], dim=1)
        return self.read(self.layers(everything)[:, 1:])


class Pretraining(nn.Module):
    """An encoder with the heads that teach it; the heads are thrown away."""

    def __init__(self, encoder: ViTEncoder | ResNetEncoder, image_size: int):
        super().__init__()
        self.encoder = encoder
        self.segment = PyramidHead(encoder.channels, encoder.strides, CLASSES, SEGMENTATION_STRIDE)
        self.describe = nn.Linear(encoder.channels[-1], sum(map(len, ATTRIBUTES.values())))
        self.reconstruct: MaskedDecoder | PyramidHead
        if isinstance(encoder, ViTEncoder):
            self.reconstruct = MaskedDecoder(encoder.channels[-1], (image_size // PATCH) ** 2)
        else:
            self.reconstruct = PyramidHead(encoder.channels, encoder.strides, 3, 1)

    def forward(self, phantoms: PhantomBatch, images: ImageBatch) -> dict[str, Tensor]:
        """The losses by name; what is minimised is their sum."""
        encoded = self.encoder(phantoms.pixels)
        cross_entropy, dice = segmentation_losses(self.segment(encoded.maps), phantoms.labels)
        return {
            "cross_entropy": cross_entropy,
            "dice": dice,
            "attributes": attribute_loss(self.describe(encoded.pooled), phantoms.attributes),
            "reconstruction": reconstruction_loss(self.fill_in(images), images),
        }

    def fill_in(self, images: ImageBatch) -> Tensor:
        """What the hidden patches hold, told from the visible ones: (b, patch, values); only hidden ones count."""
        if isinstance(self.encoder, ViTEncoder):
            return self.reconstruct(self.encoder.encode_visible(images.pixels, images.hidden), images.hidden)
        # As Xie et al. 2022 (SimMIM): a convolution needs the whole grid, so hidden patches are grey. Images with grey
        # holes have other statistics than any image that will ever be shown, so that nothing is remembered of them.
        side = images.pixels.shape[-1] // PATCH
        hidden = rearrange(images.hidden, "b (h w) -> b 1 h w", h=side)
        hidden = hidden.repeat_interleave(PATCH, dim=2).repeat_interleave(PATCH, dim=3)
        with without_statistics(self.encoder):
            maps = self.encoder(images.pixels.masked_fill(hidden, 0.0)).maps
        return to_patches(self.reconstruct(maps))


def to_patches(pixels: Tensor) -> Tensor:
    """(b, 3, h, w) as (b, patch, values), row by row."""
    return rearrange(pixels, "b c (h p) (w q) -> b (h w) (p q c)", p=PATCH, q=PATCH)


def reconstruction_loss(filled: Tensor, images: ImageBatch) -> Tensor:
    """Mean squared error over hidden patches, each normalised by its own mean and variance (He et al. 2022, 3)."""
    patches = to_patches(images.pixels)[images.hidden]
    variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
    normalised = (patches - mean) / (variance + FAINT_VARIANCE).sqrt()
    return functional.mse_loss(filled[images.hidden].float(), normalised)


def segmentation_losses(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy, and 1 - soft Dice over the structures that are there: `logits` (b, class, ...) at any stride."""
    logits = functional.interpolate(logits.float(), size=labels.shape[-2:], mode="bilinear", align_corners=False)
    # Most pixels are background: unweighted, hundreds of steps teach nothing but that. The root keeps the rarest
    # structures, a few pixels, from outweighing all others.
    counts = torch.bincount(labels.flatten(), minlength=logits.shape[1]).clamp(min=1)
    cross_entropy = functional.cross_entropy(logits, labels, weight=(labels.numel() / counts).sqrt())
    truth = rearrange(functional.one_hot(labels, logits.shape[1]), "b h w c -> b c h w").float()
    probabilities = logits.softmax(dim=1)
    overlap = (probabilities * truth).sum(dim=(2, 3))
    sizes = probabilities.sum(dim=(2, 3)) + truth.sum(dim=(2, 3))
    there = truth.sum(dim=(2, 3)) > 0
    there[:, 0] = False
    dice = (2 * overlap / sizes.clamp(min=1e-6))[there]
    return cross_entropy, 1 - dice.mean() if there.any() else logits.sum() * 0


def attribute_loss(logits: Tensor, attributes: Tensor) -> Tensor:
    """Mean cross-entropy over the attributes that some sample of the batch defines."""
    losses = []
    parts = torch.split(logits.float(), [len(words) for words in ATTRIBUTES.values()], dim=1)
    for place, part in enumerate(parts):
        asked = attributes[:, place] != UNDEFINED
        if asked.any():
            losses.append(functional.cross_entropy(part[asked], attributes[asked, place]))
    return torch.stack(losses).mean() if losses else logits.sum() * 0
