"""What tests of pretrained vision encoders share: how they are opened, what they are shown, how maps are compared."""

import torch

from zeusseg.models.backbone import load_backbone

PLAIN = ("vit", "dinov2", "dinov2_registers", "dinov3", "clip", "siglip", "siglip2")
CONVOLUTIONAL = ("resnet", "convnext", "dinov3_convnext")


def load(folders, kind, **options):
    return load_backbone(str(folders[kind]), **options)


def picture(backbone, rows=2, columns=3, channels=3, batch=1):
    """Intensities as normalised slices have them, some beyond the window; its size is counted in `multiple`s."""
    return 2 * torch.randn(batch, channels, rows * backbone.multiple, columns * backbone.multiple)


def same(maps, others, **tolerance):
    for one, other in zip(maps, others, strict=True):
        torch.testing.assert_close(one, other, **tolerance)
