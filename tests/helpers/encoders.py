"""Tiny vision encoders with random weights, in the files of the real ones: nothing is downloaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

MEAN, STD = [0.48, 0.46, 0.41], [0.27, 0.26, 0.28]
# What the transformers among them have in common.
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 2}
STAGES = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32]}


def tiny_vision(kind: str, folder: Path) -> Path:
    """Build the encoder `kind` (one of `VISION_KINDS`), always the same, and save it in `folder`, which is returned.

    CLIP, SigLIP and SAM are whole models, with text tower or mask decoder, as they are published.
    """
    import torch
    from transformers.utils import logging

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(VISION_KINDS.index(kind) + 1)
        model = _BUILDERS[kind]()
        # Whole numbers of zeros and ones (norms, biases, SAM's positions) would hide what is left out or mixed up.
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.05 * torch.randn_like(p))
            for name, buffer in model.named_buffers():
                if name.endswith(("running_mean", "running_var")):
                    buffer.add_(0.3 * torch.rand_like(buffer))
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    model.save_pretrained(folder)
    if bars:
        logging.enable_progress_bar()
    processor = {"do_normalize": True, "do_rescale": True, "image_mean": MEAN, "image_std": STD}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


class Trap:
    """Creates a file when it is unpickled without care."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


def _vit() -> Any:
    from transformers import ViTConfig, ViTForImageClassification

    return ViTForImageClassification(ViTConfig(image_size=64, patch_size=16, **SMALL))


def _dinov2(registers: bool = False) -> Any:
    import transformers

    name = "Dinov2WithRegisters" if registers else "Dinov2"
    config = getattr(transformers, f"{name}Config")(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, mlp_ratio=2, image_size=70, patch_size=14
    )
    return getattr(transformers, f"{name}Model")(config)


def _dinov3() -> Any:
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    return DINOv3ViTModel(DINOv3ViTConfig(image_size=64, patch_size=16, num_register_tokens=4, **SMALL))


def _dinov3_convnext() -> Any:
    from transformers import DINOv3ConvNextConfig, DINOv3ConvNextModel

    return DINOv3ConvNextModel(DINOv3ConvNextConfig(**STAGES))


def _clip() -> Any:
    from transformers import CLIPConfig, CLIPModel

    text = SMALL | {"vocab_size": 50, "max_position_embeddings": 16}
    return CLIPModel(CLIPConfig(vision_config=SMALL | {"image_size": 64, "patch_size": 16}, text_config=text))


def _siglip(second: bool = False) -> Any:
    import transformers

    name = "Siglip2" if second else "Siglip"
    vision = SMALL | ({"num_patches": 16, "patch_size": 16} if second else {"image_size": 64, "patch_size": 16})
    text = SMALL | {"vocab_size": 50, "max_position_embeddings": 16}
    config = getattr(transformers, f"{name}Config")(vision_config=vision, text_config=text)
    return getattr(transformers, f"{name}Model")(config)


def _sam() -> Any:
    from transformers import SamConfig, SamModel

    vision = {
        "hidden_size": 32, "mlp_dim": 64, "num_hidden_layers": 4, "num_attention_heads": 2, "image_size": 128,
        "output_channels": 16, "window_size": 3, "global_attn_indexes": [1, 3], "num_pos_feats": 8,
    }  # fmt: skip
    prompts = {"hidden_size": 16, "image_size": 128, "mask_input_channels": 4}
    decoder = {"hidden_size": 16, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16}
    return SamModel(SamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder))


def _resnet() -> Any:
    from transformers import ResNetConfig, ResNetForImageClassification

    return ResNetForImageClassification(ResNetConfig(embedding_size=8, layer_type="basic", **STAGES))


def _swin() -> Any:
    from transformers import SwinConfig, SwinForImageClassification

    config = SwinConfig(embed_dim=8, depths=[1, 1, 2, 1], num_heads=[1, 1, 2, 2], window_size=4, image_size=64)
    return SwinForImageClassification(config)


def _convnext() -> Any:
    from transformers import ConvNextConfig, ConvNextForImageClassification

    return ConvNextForImageClassification(ConvNextConfig(**STAGES))


_BUILDERS: dict[str, Callable[[], Any]] = {
    "vit": _vit,
    "dinov2": _dinov2,
    "dinov2_registers": lambda: _dinov2(registers=True),
    "dinov3": _dinov3,
    "dinov3_convnext": _dinov3_convnext,
    "clip": _clip,
    "siglip": _siglip,
    "siglip2": lambda: _siglip(second=True),
    "sam": _sam,
    "resnet": _resnet,
    "swin": _swin,
    "convnext": _convnext,
}
VISION_KINDS = tuple(_BUILDERS)
