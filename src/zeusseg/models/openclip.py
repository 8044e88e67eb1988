"""Vision transformers as open_clip publishes them around a timm trunk (BiomedCLIP does), told as transformers' ViT."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zeusseg.errors import UsageError
from zeusseg.models.weights import Publication, brief

CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
TRUNK = "visual.trunk."
# Width, blocks and heads of the sizes that Dosovitskiy et al. (2021, table 1) and Touvron et al. (2021, table 1) name.
SIZES = {"tiny": (192, 12, 3), "small": (384, 12, 6), "base": (768, 12, 12), "large": (1024, 24, 16)}
# timm's name of a part, and the name in files that transformers publishes, which every version of it reads.
_NAMES = {
    r"cls_token": "embeddings.cls_token",
    r"pos_embed": "embeddings.position_embeddings",
    r"patch_embed\.proj\.(weight|bias)": r"embeddings.patch_embeddings.projection.\1",
    r"blocks\.(\d+)\.norm1\.(weight|bias)": r"encoder.layer.\1.layernorm_before.\2",
    r"blocks\.(\d+)\.attn\.(query|key|value)\.(weight|bias)": r"encoder.layer.\1.attention.attention.\2.\3",
    r"blocks\.(\d+)\.attn\.proj\.(weight|bias)": r"encoder.layer.\1.attention.output.dense.\2",
    r"blocks\.(\d+)\.norm2\.(weight|bias)": r"encoder.layer.\1.layernorm_after.\2",
    r"blocks\.(\d+)\.mlp\.fc1\.(weight|bias)": r"encoder.layer.\1.intermediate.dense.\2",
    r"blocks\.(\d+)\.mlp\.fc2\.(weight|bias)": r"encoder.layer.\1.output.dense.\2",
    r"norm\.(weight|bias)": r"layernorm.\1",
}


def vit_config(publication: Publication) -> Any:
    """transformers' configuration of the vision trunk. Raises `UsageError` for a trunk that is no plain ViT of timm."""
    from transformers import ViTConfig

    vision = publication.settings(CONFIG).get("model_cfg", {}).get("vision_cfg", {})
    name = vision.get("timm_model_name")
    known = re.fullmatch(rf"vit_({'|'.join(SIZES)})_patch(\d+)_(\d+)", str(name).split(".")[0])
    if not known:
        raise UsageError(
            f"{publication.model} has the vision trunk {name!r}: expected timm's vit_SIZE_patchN_M with a size of "
            f"{', '.join(SIZES)}; OpenAI's own CLIP is read in transformers' format"
        )
    width, blocks, heads = SIZES[known[1]]
    return ViTConfig(
        hidden_size=width, num_hidden_layers=blocks, num_attention_heads=heads, intermediate_size=4 * width,
        patch_size=int(known[2]), image_size=int(vision.get("image_size", known[3])), layer_norm_eps=1e-6,
    )  # fmt: skip


def vit_weights(publication: Publication) -> dict[str, Tensor]:
    """The trunk's weights by transformers' names; the text tower and the projections are not read.

    Raises `UsageError` where there are none, or a trunk has parts that a plain ViT has not.
    """
    path = next((found for name in WEIGHTS if (found := publication.find(name))), None)
    if path is None:
        raise UsageError(f"{publication.model} has no weights: expected {' or '.join(WEIGHTS)}")
    renamed = {}
    for name, tensor in _split(tensors_under(path, TRUNK)).items():
        pattern = next((pattern for pattern in _NAMES if re.fullmatch(pattern, name)), None)
        if pattern is None:
            raise UsageError(f"{publication.model} has {TRUNK}{name}, which a plain ViT has not: it cannot be loaded")
        renamed[re.sub(pattern, _NAMES[pattern], name)] = tensor
    return renamed


def tensors_under(path: Path, prefix: str) -> dict[str, Tensor]:
    """The tensors of a file whose names begin with `prefix`, without it. Raises `UsageError` where it holds others."""
    if path.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(path, framework="pt") as file:
            keys = [key for key in file.keys() if key.startswith(prefix)]  # noqa: SIM118 (it is no mapping)
            return {key.removeprefix(prefix): file.get_tensor(key) for key in keys}
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise UsageError(f"{path} cannot be read safely: expected nothing but tensors ({brief(error)})") from error
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


def _split(trunk: dict[str, Tensor]) -> dict[str, Tensor]:
    """timm keeps query, key and value of a block in one matrix (and one bias), stacked in this order."""
    parts: dict[str, Tensor] = {}
    for name, tensor in trunk.items():
        if ".attn.qkv." in name:
            thirds = zip(("query", "key", "value"), tensor.chunk(3), strict=True)
            parts |= {name.replace("qkv", part): third.clone() for part, third in thirds}
        else:
            parts[name] = tensor
    return parts
