"""The families of vision encoders: how each is built, and where its feature maps are found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from zeusseg.errors import UsageError
from zeusseg.models.weights import Publication, brief

MAPS = 4
Shapes = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class Family:
    """One kind of encoder.

    `network` is its class in transformers, built with `options` after `settings` were made in its configuration.
    `read(encoder, pixels (b, c, h, w), places)` gives the feature maps, `shapes(config, maps)` their channels and
    strides.
    """

    network: str
    read: Callable[[Any, Tensor, Sequence[int]], list[Tensor]]
    shapes: Callable[[Any, int], Shapes]
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def vision_config(publication: Publication) -> Any:
    """The configuration of the vision encoder of a model in transformers' format, as `load_backbone` builds it.

    Raises `UsageError` for a kind that is not known, or that takes neither 1 nor 3 channels.
    """
    from transformers import AutoConfig

    options = {"revision": publication.revision} if publication.revision else {}
    try:
        config = AutoConfig.from_pretrained(publication.model, trust_remote_code=False, **options)
    except (OSError, ValueError, ImportError) as error:
        raise UsageError(f"{publication.model} has a config.json that cannot be read: {brief(error)}") from error
    if config.model_type in WHOLE_MODELS:
        config = config.vision_config
    if config.model_type not in FAMILIES:
        raise UsageError(
            f"{publication.model} is of the kind {config.model_type!r}: expected one of "
            f"{', '.join(sorted(WHOLE_MODELS | set(FAMILIES)))}"
        )
    if config.num_channels not in (1, 3):
        raise UsageError(f"{publication.model} takes {config.num_channels} channels: expected 1 or 3")
    family = FAMILIES[config.model_type]
    for name, value in family.settings.items():
        setattr(config, name, value)
    if family.read is _stages:
        config.out_features = config.stage_names[1:]  # all but the stem's
    return config


def places(blocks: int) -> list[int]:
    """After which blocks, counted from 1, a plain transformer is looked at: four evenly spaced ones, the last included.

    >>> places(12), places(27), places(2)
    ([3, 6, 9, 12], [7, 14, 21, 27], [1, 2])
    """
    return sorted({-(-blocks * part // MAPS) for part in range(1, MAPS + 1)})


def blocks_of(encoder: Any) -> nn.ModuleList:
    """The encoder's transformer blocks, or its stages: families keep the list of them in different places."""
    depth = len(encoder.config.depths) if hasattr(encoder.config, "depths") else encoder.config.num_hidden_layers
    return next(part for part in encoder.modules() if isinstance(part, nn.ModuleList) and len(part) == depth)


def _tokens(encoder: Any, pixels: Tensor, places: Sequence[int], **inputs: Any) -> list[Tensor]:
    """Hidden states of a plain transformer as maps; the last with the norm that the encoder ends with."""
    output = encoder(**({"pixel_values": pixels} | inputs), output_hidden_states=True)
    states = [output.hidden_states[place] for place in places[:-1]] + [output.last_hidden_state]
    rows, columns = (side // encoder.config.patch_size for side in pixels.shape[2:])
    # Class and register tokens, if there are any, come before the patches.
    patches = [state[:, state.shape[1] - rows * columns :] for state in states]
    return [rearrange(patch, "b (rows columns) c -> b c rows columns", rows=rows) for patch in patches]


def _resized_tokens(encoder: Any, pixels: Tensor, places: Sequence[int]) -> list[Tensor]:
    """`_tokens` of an encoder with a position embedding for one size only, which is interpolated to the image's."""
    return _tokens(encoder, pixels, places, interpolate_pos_encoding=True)


def _clip_tokens(encoder: Any, pixels: Tensor, places: Sequence[int]) -> list[Tensor]:
    """CLIP applies its last norm to the class token alone; for dense use it is applied to all (Zhou et al. 2022)."""
    maps = _resized_tokens(encoder, pixels, places)
    norm = next(part for name, part in encoder.named_modules() if name.endswith("post_layernorm"))
    maps[-1] = rearrange(norm(rearrange(maps[-1], "b c h w -> b h w c")), "b h w c -> b c h w")
    return maps


def _patch_tokens(encoder: Any, pixels: Tensor, places: Sequence[int]) -> list[Tensor]:
    """`_tokens` of an encoder (SigLIP 2 for any aspect, "naflex") that is given patches and the shape they came in."""
    size = encoder.config.patch_size
    patches = rearrange(pixels, "b c (rows p) (columns q) -> b (rows columns) (p q c)", p=size, q=size)
    shape = torch.tensor([[side // size for side in pixels.shape[2:]]] * len(pixels), device=pixels.device)
    everywhere = torch.ones(patches.shape[:2], dtype=torch.long, device=pixels.device)
    return _tokens(
        encoder, pixels, places, pixel_values=patches, pixel_attention_mask=everywhere, spatial_shapes=shape
    )


def _sam_maps(encoder: Any, pixels: Tensor, places: Sequence[int]) -> list[Tensor]:
    """Hidden states of SAM's blocks and, last, what its mask decoder reads.

    `SamVisionModel` itself takes one size only. Its absolute position embedding is interpolated here; the relative
    ones, and the windows, adapt to any size by themselves (so do SAM's users with smaller images, e.g. SAMed).
    """
    vision = encoder.vision_encoder
    x = rearrange(vision.patch_embed.projection(pixels), "b c h w -> b h w c")
    if vision.pos_embed is not None:
        positions = rearrange(vision.pos_embed, "one h w c -> one c h w")
        positions = functional.interpolate(positions, tuple(x.shape[1:3]), mode="bicubic", align_corners=False)
        x = x + rearrange(positions, "one c h w -> one h w c")
    maps = []
    for number, block in enumerate(vision.layers, 1):
        x = block(x)
        if number in places[:-1]:
            maps.append(rearrange(x, "b h w c -> b c h w"))
    return [*maps, vision.neck(x)]


def _stages(encoder: Any, pixels: Tensor, places: Sequence[int]) -> list[Tensor]:
    return list(encoder(pixels).feature_maps)


def _plain_shapes(config: Any, maps: int) -> Shapes:
    return (config.hidden_size,) * maps, (config.patch_size,) * maps


def _sam_shapes(config: Any, maps: int) -> Shapes:
    return (config.hidden_size,) * (maps - 1) + (config.output_channels,), (config.patch_size,) * maps


def _resnet_shapes(config: Any, _: int) -> Shapes:
    first = 8 if config.downsample_in_first_stage else 4
    return tuple(config.hidden_sizes), tuple(first * 2**stage for stage in range(len(config.hidden_sizes)))


def _convnext_shapes(config: Any, _: int) -> Shapes:
    first = getattr(config, "patch_size", 4)
    return tuple(config.hidden_sizes), tuple(first * 2**stage for stage in range(len(config.hidden_sizes)))


def _swin_shapes(config: Any, _: int) -> Shapes:
    stages = range(len(config.depths))
    return tuple(config.embed_dim * 2**i for i in stages), tuple(config.patch_size * 2**i for i in stages)


# Models that hold a vision encoder beside other things.
WHOLE_MODELS = {"clip", "siglip", "siglip2", "sam"}
# By the model type that a configuration file says.
FAMILIES = {
    "vit": Family("ViTModel", _resized_tokens, _plain_shapes, options={"add_pooling_layer": False}),
    "dinov2": Family("Dinov2Model", _tokens, _plain_shapes),
    "dinov2_with_registers": Family("Dinov2WithRegistersModel", _tokens, _plain_shapes),
    "dinov3_vit": Family("DINOv3ViTModel", _tokens, _plain_shapes),
    "clip_vision_model": Family("CLIPVisionModel", _clip_tokens, _plain_shapes),
    "siglip_vision_model": Family(
        "SiglipVisionModel", _resized_tokens, _plain_shapes, settings={"vision_use_head": False}
    ),
    "siglip2_vision_model": Family(
        "Siglip2VisionModel", _patch_tokens, _plain_shapes, settings={"vision_use_head": False}
    ),
    "sam_vision_model": Family("SamVisionModel", _sam_maps, _sam_shapes),
    "resnet": Family("ResNetBackbone", _stages, _resnet_shapes),
    "swin": Family("SwinBackbone", _stages, _swin_shapes),
    "convnext": Family("ConvNextBackbone", _stages, _convnext_shapes),
    "convnextv2": Family("ConvNextV2Backbone", _stages, _convnext_shapes),
    "dinov3_convnext": Family("DINOv3ConvNextBackbone", _stages, _convnext_shapes),
}
