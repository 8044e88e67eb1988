import json

import pytest
import torch
from einops import rearrange
from safetensors.torch import save_file
from torch.nn import functional

from helpers.encoders import Trap
from zeusseg.errors import UsageError
from zeusseg.models.backbone import load_backbone

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
WIDTH, BLOCKS, HEADS, SIDE = 192, 12, 3, 64


def trunk():
    """Random weights by timm's names: a ViT-Ti/16 for images of 64 pixels, with larger steps than at the start."""
    torch.manual_seed(0)
    shapes = {"cls_token": (1, 1, WIDTH), "pos_embed": (1, 17, WIDTH), "patch_embed.proj.weight": (WIDTH, 3, 16, 16),
              "patch_embed.proj.bias": (WIDTH,), "norm.weight": (WIDTH,), "norm.bias": (WIDTH,)}  # fmt: skip
    for i in range(BLOCKS):
        for name, outputs, inputs in (
            ("attn.qkv", 3 * WIDTH, WIDTH), ("attn.proj", WIDTH, WIDTH), ("mlp.fc1", 4 * WIDTH, WIDTH),
            ("mlp.fc2", WIDTH, 4 * WIDTH), ("norm1", WIDTH, None), ("norm2", WIDTH, None),
        ):  # fmt: skip
            shapes[f"blocks.{i}.{name}.weight"] = (outputs, inputs) if inputs else (outputs,)
            shapes[f"blocks.{i}.{name}.bias"] = (outputs,)
    return {name: 0.05 * torch.randn(shape) + ("norm" in name and "weight" in name) for name, shape in shapes.items()}


def publish(folder, weights, *, pickled=False, name="vit_tiny_patch16_224"):
    vision = {"timm_model_name": name, "timm_model_pretrained": False, "timm_pool": "", "image_size": SIDE}
    said = {"model_cfg": {"embed_dim": 8, "vision_cfg": vision}, "preprocess_cfg": {"mean": MEAN, "std": STD}}
    (folder / "open_clip_config.json").write_text(json.dumps(said))
    state = {f"visual.trunk.{key}": value for key, value in weights.items()}
    state |= {"visual.head.proj.weight": torch.zeros(8, WIDTH), "text.proj.0.weight": torch.zeros(8, 8)}
    if pickled:
        torch.save(state, folder / "open_clip_pytorch_model.bin")
    else:
        save_file(state, folder / "open_clip_model.safetensors")
    return str(folder)


def timm_forward(weights, pixels):
    """A vision transformer as Dosovitskiy et al. (2021) define it, on timm's weights: patch tokens after the norm."""

    def linear(x, name):
        return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(x, name):
        return functional.layer_norm(x, (WIDTH,), weights[f"{name}.weight"], weights[f"{name}.bias"], eps=1e-6)

    patches = functional.conv2d(pixels, weights["patch_embed.proj.weight"], weights["patch_embed.proj.bias"], 16)
    x = torch.cat([weights["cls_token"], rearrange(patches, "b c h w -> b (h w) c")], dim=1) + weights["pos_embed"]
    for i in range(BLOCKS):
        qkv = linear(norm(x, f"blocks.{i}.norm1"), f"blocks.{i}.attn.qkv")
        q, k, v = rearrange(qkv, "b n (three heads c) -> three b heads n c", three=3, heads=HEADS)
        attention = (q @ k.mT / (WIDTH // HEADS) ** 0.5).softmax(dim=-1)
        x = x + linear(rearrange(attention @ v, "b heads n c -> b n (heads c)"), f"blocks.{i}.attn.proj")
        hidden = functional.gelu(linear(norm(x, f"blocks.{i}.norm2"), f"blocks.{i}.mlp.fc1"))
        x = x + linear(hidden, f"blocks.{i}.mlp.fc2")
    return rearrange(norm(x, "norm")[:, 1:], "b (h w) c -> b c h w", h=4)


@pytest.mark.parametrize("pickled", [False, True])
def test_a_timm_trunk_computes_what_its_definition_says(tmp_path, pickled):
    weights = trunk()
    backbone = load_backbone(publish(tmp_path, weights, pickled=pickled))
    image = torch.randn(1, 3, SIDE, SIDE)
    pixels = ((image + 2.5) / 5).clamp(0, 1)
    pixels = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    torch.testing.assert_close(backbone(image)[-1], timm_forward(weights, pixels), rtol=1e-4, atol=1e-4)
    assert (backbone.channels, backbone.strides) == ((WIDTH,) * 4, (16,) * 4)


def test_its_fingerprint_follows_the_weights_and_its_control_needs_none(tmp_path):
    weights = trunk()
    first = load_backbone(publish(tmp_path, weights, pickled=True)).fingerprint
    weights["blocks.5.mlp.fc1.bias"][3] += 1
    assert load_backbone(publish(tmp_path, weights, pickled=True)).fingerprint != first
    (tmp_path / "open_clip_pytorch_model.bin").unlink()
    assert load_backbone(str(tmp_path), random=True).fingerprint.startswith("random-")
    with pytest.raises(UsageError, match=r"has no weights: expected open_clip_model\.safetensors or"):
        load_backbone(str(tmp_path))


def test_nothing_in_pytorchs_own_files_is_run(tmp_path):
    publish(tmp_path, {"cls_token": Trap(tmp_path / "sprung")}, pickled=True)
    with pytest.raises(UsageError, match="cannot be read safely"):
        load_backbone(str(tmp_path))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["resnet50", "vit_base_patch16_siglip_224", None])
def test_another_trunk_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="expected timm's vit_SIZE_patchN_M with a size of tiny, small, base, large"):
        load_backbone(publish(tmp_path, {}, name=name))


def test_parts_that_a_plain_vit_has_not_are_refused(tmp_path):
    weights = trunk() | {"blocks.0.ls1.gamma": torch.ones(WIDTH)}
    with pytest.raises(UsageError, match=r"has visual\.trunk\.blocks\.0\.ls1\.gamma, which a plain ViT has not"):
        load_backbone(publish(tmp_path, weights))


def test_a_trunk_without_its_last_norm_is_refused(tmp_path):
    weights = {name: value for name, value in trunk().items() if not name.startswith("norm")}
    with pytest.raises(UsageError, match="lack 2 tensors"):
        load_backbone(publish(tmp_path, weights))
