"""Random changes of a slice that leave its meaning alone, by MONAI's transforms."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor


@lru_cache(maxsize=1)
def _transforms() -> tuple[Any, Any]:
    from monai.transforms import Compose, RandAdjustContrast, RandAffined, RandGaussianNoise, RandGaussianSmooth

    geometry = RandAffined(
        keys=("image", "masks"),
        prob=0.7,
        rotate_range=0.35,
        scale_range=(0.2, 0.2),
        shear_range=(0.1, 0.1),
        mode=("bilinear", "nearest"),
        padding_mode="border",
        cache_grid=False,
        allow_missing_keys=True,
    )
    appearance = Compose(
        [
            RandAdjustContrast(prob=0.3, gamma=(0.7, 1.5)),
            RandGaussianNoise(prob=0.2, std=0.15),
            RandGaussianSmooth(prob=0.1, sigma_x=(0.4, 1.0), sigma_y=(0.4, 1.0)),
        ]
    )
    return geometry, appearance


def augment(images: Tensor, masks: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Rotate, scale and shear both; change contrast, brightness, noise and sharpness of each modality on its own.

    `images` (modality, channel, row, column), `masks` (target, row, column) uint8; both come back in these shapes.
    Every draw follows from `rng`, whatever was drawn before. Without images (an empty tensor), the masks come out the
    same, and the time for the images is spared.
    """
    geometry, appearance = _transforms()
    geometry.set_random_state(seed=int(rng.integers(2**31)))
    if not images.numel():
        return images, geometry({"masks": masks})["masks"].as_tensor().to(torch.uint8)
    moved = geometry({"image": images.flatten(0, 1), "masks": masks})
    warped = moved["image"].as_tensor().reshape(images.shape)
    changed = []
    for modality in warped:
        appearance.set_random_state(seed=int(rng.integers(2**31)))
        # MONAI keeps its own subclass of tensors, which slows everything that follows.
        part = torch.as_tensor(appearance(modality))
        part = part.as_tensor() if hasattr(part, "as_tensor") else part
        changed.append(part * rng.uniform(0.85, 1.15) + rng.normal(0.0, 0.1))
    return torch.stack(changed).float(), moved["masks"].as_tensor().to(torch.uint8)
