"""Tiny CLIPSeg and BiomedCLIP in the files of the real ones, with random weights: nothing is downloaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from helpers.text_encoders import tiny_text
from zeusseg.models.peers.libraries import import_peer_library

SIDE = 64
# The changes that make a CLIPSeg tiny; its 2 by 2 positions are interpolated to the 4 by 4 of `SIDE`.
TINY_CLIPSEG: dict[str, Any] = {
    "size": SIDE, "projection_dim": 24, "reduce_dim": 8, "extract_layers": [0, 2, 3], "decoder_intermediate_size": 16,
    "vision_config.hidden_size": 32, "vision_config.intermediate_size": 48, "vision_config.num_hidden_layers": 4,
    "vision_config.num_attention_heads": 2, "vision_config.image_size": 32,
    "text_config.hidden_size": 16, "text_config.intermediate_size": 32, "text_config.num_hidden_layers": 2,
    "text_config.num_attention_heads": 2,
}  # fmt: skip
PROJECTION = 24
TRUNK = "vit_tiny_patch16_224"


def disturb(network: nn.Module, seed: int = 0) -> None:
    """Add noise to every weight: whole numbers of zeros and ones would hide what is left out or mixed up."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator))


def asked(model: Any, pixels: Tensor, texts: list[str]) -> Tensor:
    """Mask logits (b, t, rows, columns) of every text in every picture."""
    words = model.encode_text(texts)
    words.pooled = words.pooled.expand(len(pixels), -1, -1)
    return model.segment(pixels, words)


def pictures(count: int = 2, side: int = SIDE) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(5))


def clipseg(folder: Path, *, hidden_size: int = 32) -> Path:
    """A CLIPSeg in transformers' format in `folder`, for encoders of `hidden_size`."""
    import_peer_library("open_clip")
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

    torch.manual_seed(1)
    small = {"num_attention_heads": 2, "intermediate_size": 48}
    network = CLIPSegForImageSegmentation(CLIPSegConfig(
        vision_config={**small, "hidden_size": hidden_size, "num_hidden_layers": 10, "image_size": 32,
                       "patch_size": 16},
        text_config={**small, "hidden_size": 16, "num_hidden_layers": 2},
        projection_dim=PROJECTION, reduce_dim=8, extract_layers=[2, 5, 9], decoder_intermediate_size=16,
        use_complex_transposed_convolution=True,
    ))  # fmt: skip
    disturb(network)
    network.save_pretrained(folder)
    return folder


def trunk() -> Any:
    """timm's ViT-Ti/16 for pictures of `SIDE` pixels, always the same."""
    torch.manual_seed(2)
    network = import_peer_library("timm").create_model(TRUNK, img_size=SIDE, num_classes=0)
    disturb(network)
    return network.eval()


def text_projection(width: int) -> dict[str, Tensor]:
    """open_clip's two layers, from `width` by way of the mean of both to the projection."""
    generator = torch.Generator().manual_seed(3)
    middle = (width + PROJECTION) // 2
    return {
        "text.proj.0.weight": 0.2 * torch.randn(middle, width, generator=generator),
        "text.proj.2.weight": 0.2 * torch.randn(PROJECTION, middle, generator=generator),
    }


def biomedclip(folder: Path) -> Path:
    """A BiomedCLIP in open_clip's format in `folder`: a ViT-Ti/16 for `SIDE` pixels, a BERT of width 128."""
    from safetensors.torch import load_file, save_file

    tiny_text("openclip", folder)
    weights = folder / "open_clip_model.safetensors"
    state = {key: tensor for key, tensor in load_file(weights).items() if key.startswith("text.transformer.")}
    state |= {f"visual.trunk.{key}": tensor for key, tensor in trunk().state_dict().items()}
    state |= text_projection(128) | {"visual.head.proj.weight": torch.zeros(PROJECTION, 192)}
    save_file(state, weights)
    path = folder / "open_clip_config.json"
    said = json.loads(path.read_text())
    said["model_cfg"] |= {"embed_dim": PROJECTION, "vision_cfg": {"timm_model_name": TRUNK, "image_size": SIDE}}
    path.write_text(json.dumps(said))
    return folder
