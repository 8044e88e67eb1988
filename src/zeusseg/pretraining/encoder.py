"""The encoders that are pretrained: transformers' own models, so that transformers reads what is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from zeusseg.errors import UsageError
from zeusseg.files import write_text

# He et al. 2016, table 1; ViT-S as Touvron et al. 2021 (DeiT), table 1.
SIZES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "vit-small-16": {
            "hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "intermediate_size": 1536,
        },
        "resnet-18": {"layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512]},
        "resnet-50": {"layer_type": "bottleneck", "depths": [3, 4, 6, 3], "hidden_sizes": [256, 512, 1024, 2048]},
    }
)
PATCH = 16
MAPS = 4


@dataclass
class EncodedImage:
    """`maps`: (b, channels[i], h / strides[i], w / strides[i]) each, finest first; `pooled` (b, channels[-1])."""

    maps: list[Tensor]
    pooled: Tensor


class ViTEncoder(nn.Module):
    """A plain ViT (Dosovitskiy et al. 2021): four maps of one stride, from evenly spaced depths."""

    def __init__(self, model: Any):
        super().__init__()
        self.model = model
        depth = model.config.num_hidden_layers
        self.depths = tuple(-(-depth * (i + 1) // MAPS) for i in range(MAPS))
        self.channels = (model.config.hidden_size,) * MAPS
        self.strides = (PATCH,) * MAPS

    def forward(self, pixels: Tensor) -> EncodedImage:
        encoded = self.model(pixels, output_hidden_states=True)
        states = [*(encoded.hidden_states[depth] for depth in self.depths[:-1]), encoded.last_hidden_state]
        height = pixels.shape[-2] // PATCH
        maps = [rearrange(state[:, 1:], "b (h w) c -> b c h w", h=height) for state in states]
        return EncodedImage(maps, encoded.pooler_output)

    def encode_visible(self, pixels: Tensor, hidden: Tensor) -> Tensor:
        """The tokens (b, 1 + visible patches, c) of an image whose `hidden` (b, patch) patches are not looked at."""
        visible = rearrange((~hidden).nonzero()[:, 1], "(b n) -> b n", b=len(hidden))

        def drop_hidden(module: nn.Module, arguments: Any, tokens: Tensor) -> Tensor:
            places = torch.cat([torch.zeros_like(visible[:, :1]), visible + 1], dim=1)
            return tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[-1]))

        hook = self.model.embeddings.register_forward_hook(drop_hidden)
        try:
            return self.model(pixels).last_hidden_state
        finally:
            hook.remove()


class ResNetEncoder(nn.Module):
    """A ResNet (He et al. 2016): the map of each stage, strides 4 to 32."""

    def __init__(self, model: Any):
        super().__init__()
        self.model = model
        self.channels = tuple(model.config.hidden_sizes)
        first = 8 if model.config.downsample_in_first_stage else 4
        self.strides = tuple(first * 2**i for i in range(len(self.channels)))

    def forward(self, pixels: Tensor) -> EncodedImage:
        encoded = self.model(pixels, output_hidden_states=True)
        return EncodedImage(list(encoded.hidden_states[1:]), encoded.pooler_output.flatten(1))


@contextmanager
def without_statistics(module: nn.Module) -> Iterator[None]:
    """Inside, batch norms use the batch at hand and remember nothing of it."""
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def make_encoder(name: str, image_size: int, changes: Mapping[str, Any]) -> ViTEncoder | ResNetEncoder:
    """A randomly initialised encoder. Raises `UsageError` where transformers is missing or `changes` do not fit."""
    try:
        from huggingface_hub.errors import StrictDataclassError
        from transformers import ResNetConfig, ResNetModel, ViTConfig, ViTModel
    except ImportError as error:
        raise UsageError("pretraining needs the extra: pip install 'zeusseg[pretrained]'") from error
    settings = {**SIZES[name], **changes}
    # transformers keeps settings that it does not know, so that a misspelt one would change nothing.
    unknown = set(changes) - set((ViTConfig if name.startswith("vit") else ResNetConfig)().to_dict())
    if unknown:
        raise UsageError(f"encoder_config has {', '.join(sorted(unknown))}, which {name} does not know")
    try:
        if name.startswith("vit"):
            return ViTEncoder(ViTModel(ViTConfig(image_size=image_size, patch_size=PATCH, **settings)))
        return ResNetEncoder(ResNetModel(ResNetConfig(**settings)))
    except (TypeError, ValueError, AttributeError, StrictDataclassError) as error:
        raise UsageError(f"encoder_config {dict(changes)} does not fit {name}: {error}") from error


def save_encoder(encoder: ViTEncoder | ResNetEncoder, folder: Path, image_size: int) -> None:
    """Write config.json, model.safetensors and preprocessor_config.json as transformers reads them."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    encoder.model.save_pretrained(folder)
    # The library writes weights for their owner alone.
    shutil.copymode(folder / "config.json", folder / "model.safetensors")
    size = {"height": image_size, "width": image_size}
    processor = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True, "size": size, "resample": 2,
        "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }
    write_text(folder / "preprocessor_config.json", json.dumps(processor, indent=1))
