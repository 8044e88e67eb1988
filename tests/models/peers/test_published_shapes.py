"""Every name and shape of the published checkpoints, by rules, and that the full-size models take them all.

The files made here are read as published ones are. Each of their tensors is one number, spread to the full shape, that
says which tensor arrived; CRIS's have no numbers, since its names do not change.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn

from helpers import tiny
from zeusseg.models.peers.biomedclipseg import PUBLISHED, draw_encoders, load_encoders
from zeusseg.models.peers.clipseg import ClipSeg
from zeusseg.models.peers.cris import Cris

Shapes = dict[str, tuple[int, ...]]

# Beyond the model: until version 4.31, transformers saved the numbers of the positions, 0, 1, 2 and so on.
CLIPSEG_NOT_READ = ["clip.text_model.embeddings.position_ids", "clip.vision_model.embeddings.position_ids"]
BIOMEDCLIP_NOT_READ = [
    "text.transformer.embeddings.position_ids",  # as above
    "visual.head.proj.weight",  # takes the picture's vector to where texts are; a mask is made from its patches
    "logit_scale",  # the temperature of the contrastive loss
]


# ---- rules that the published networks share


def merged(*parts: Shapes) -> Shapes:
    return {name: shape for part in parts for name, shape in part.items()}


def linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def layer_norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def batch_norm(name: str, width: int) -> Shapes:
    statistics = {f"{name}.{part}": (width,) for part in ("running_mean", "running_var")}
    return layer_norm(name, width) | statistics | {f"{name}.num_batches_tracked": ()}


def convolution(name: str, inputs: int, outputs: int, kernel: int) -> Shapes:
    """Without a bias, because a normalisation follows."""
    return {f"{name}.weight": (outputs, inputs, kernel, kernel)}


# ---- CIDAS/clipseg-rd64-refined: CLIP ViT-B/16 and the decoder, by the names of transformers


def clipseg() -> Shapes:
    def layer(name: str, width: int, hidden: int) -> Shapes:
        return merged(
            *(linear(f"{name}.self_attn.{part}_proj", width, width) for part in ("q", "k", "v", "out")),
            *(layer_norm(f"{name}.layer_norm{i}", width) for i in (1, 2)),
            linear(f"{name}.mlp.fc1", width, hidden), linear(f"{name}.mlp.fc2", hidden, width),
        )  # fmt: skip

    text, vision = "clip.text_model", "clip.vision_model"
    return merged(
        {"clip.text_projection.weight": (512, 512), "clip.visual_projection.weight": (512, 768)},
        {"clip.logit_scale": (), f"{text}.embeddings.token_embedding.weight": (49408, 512)},
        {f"{text}.embeddings.position_embedding.weight": (77, 512), f"{text}.embeddings.position_ids": (1, 77)},
        *(layer(f"{text}.encoder.layers.{i}", 512, 2048) for i in range(12)),
        layer_norm(f"{text}.final_layer_norm", 512),
        # 14 by 14 patches of 16 pixels, and the vector of the whole picture.
        convolution(f"{vision}.embeddings.patch_embedding", 3, 768, 16),
        {f"{vision}.embeddings.class_embedding": (768,)},
        {f"{vision}.embeddings.position_embedding.weight": (197, 768), f"{vision}.embeddings.position_ids": (1, 197)},
        layer_norm(f"{vision}.pre_layrnorm", 768),  # so spelled
        *(layer(f"{vision}.encoder.layers.{i}", 768, 3072) for i in range(12)),
        layer_norm(f"{vision}.post_layernorm", 768),
        linear("decoder.film_mul", 512, 64), linear("decoder.film_add", 512, 64),
        *(linear(f"decoder.reduces.{i}", 768, 64) | layer(f"decoder.layers.{i}", 64, 2048) for i in range(3)),
        # "refined": a convolution, then two transposed ones, whose inputs come first, from 22 to 88 to 352 pixels.
        {"decoder.transposed_convolution.0.weight": (64, 64, 3, 3), "decoder.transposed_convolution.0.bias": (64,)},
        {"decoder.transposed_convolution.2.weight": (64, 32, 4, 4), "decoder.transposed_convolution.2.bias": (32,)},
        {"decoder.transposed_convolution.4.weight": (32, 1, 4, 4), "decoder.transposed_convolution.4.bias": (1,)},
    )  # fmt: skip


# ---- CRIS with ResNet-50, by the official code (model/clip.py, layers.py, segmenter.py; config/refcoco/cris_r50.yaml)


def cris() -> Shapes:
    def normed(name: str, inputs: int, outputs: int, kernel: int) -> Shapes:
        return convolution(f"{name}.0", inputs, outputs, kernel) | batch_norm(f"{name}.1", outputs)

    def attention(name: str) -> Shapes:
        shapes = {f"{name}.in_proj_weight": (3 * 512, 512), f"{name}.in_proj_bias": (3 * 512,)}
        return shapes | linear(f"{name}.out_proj", 512, 512)

    def text_block(name: str) -> Shapes:
        return merged(
            attention(f"{name}.attn"), layer_norm(f"{name}.ln_1", 512), layer_norm(f"{name}.ln_2", 512),
            linear(f"{name}.mlp.c_fc", 512, 2048), linear(f"{name}.mlp.c_proj", 2048, 512),
        )  # fmt: skip

    def decoder_layer(name: str) -> Shapes:
        return merged(
            attention(f"{name}.self_attn"), attention(f"{name}.multihead_attn"),
            layer_norm(f"{name}.self_attn_norm", 512), layer_norm(f"{name}.cross_attn_norm", 512),
            *(layer_norm(f"{name}.norm{i}", 512) for i in (1, 2, 3)),
            linear(f"{name}.ffn.0", 512, 2048), layer_norm(f"{name}.ffn.3", 2048), linear(f"{name}.ffn.4", 2048, 512),
        )  # fmt: skip

    pool = "backbone.visual.attnpool"
    return merged(
        {"backbone.logit_scale": (), "backbone.text_projection": (512, 1024)},
        {"backbone.token_embedding.weight": (49408, 512), "backbone.positional_embedding": (77, 512)},
        *(text_block(f"backbone.transformer.resblocks.{i}") for i in range(12)),
        layer_norm("backbone.ln_final", 512),
        resnet("backbone.visual"),
        {f"{pool}.positional_embedding": (7 * 7 + 1, 2048)},
        *(linear(f"{pool}.{part}_proj", 2048, 2048) for part in "qkv"), linear(f"{pool}.c_proj", 2048, 1024),
        normed(f"{pool}.connect", 2048, 1024, 1),
        {"neck.txt_proj.0.weight": (1024, 1024)}, batch_norm("neck.txt_proj.1", 1024),
        normed("neck.f1_v_proj", 1024, 1024, 1), batch_norm("neck.norm_layer.0", 1024),
        normed("neck.f2_v_proj", 1024, 512, 3), normed("neck.f2_cat", 1024 + 512, 512, 1),
        normed("neck.f3_v_proj", 512, 256, 3), normed("neck.f3_cat", 256 + 512, 512, 1),
        normed("neck.f4_proj5", 1024, 512, 3), normed("neck.f4_proj4", 512, 512, 3),
        normed("neck.f4_proj3", 512, 512, 3), normed("neck.aggr", 3 * 512, 512, 1),
        normed("neck.coordconv.0.conv1", 512 + 2, 512, 3), normed("neck.coordconv.1", 512, 512, 3),
        *(decoder_layer(f"decoder.layers.{i}") for i in range(3)), layer_norm("decoder.norm", 512),
        normed("proj.vis.1", 512, 512, 3), normed("proj.vis.3", 512, 256, 3),
        {"proj.vis.4.weight": (256, 256, 1, 1), "proj.vis.4.bias": (256,)},
        linear("proj.txt", 1024, 256 * 3 * 3 + 1),
    )  # fmt: skip


def resnet(name: str) -> Shapes:
    """CLIP's ResNet-50: three convolutions at the start, then 3, 4, 6 and 3 blocks."""
    found = []
    for i, inputs, outputs in ((1, 3, 32), (2, 32, 32), (3, 32, 64)):
        found += [convolution(f"{name}.conv{i}", inputs, outputs, 3), batch_norm(f"{name}.bn{i}", outputs)]
    inputs = 64
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), start=1):
        for i in range(blocks):
            block = f"{name}.layer{stage}.{i}"
            if i == 0:  # a shortcut that brings the channels to their new number
                found += [convolution(f"{block}.downsample.0", inputs, 4 * width, 1)]
                found += [batch_norm(f"{block}.downsample.1", 4 * width)]
            found += [convolution(f"{block}.conv1", inputs, width, 1), batch_norm(f"{block}.bn1", width)]
            found += [convolution(f"{block}.conv2", width, width, 3), batch_norm(f"{block}.bn2", width)]
            found += [convolution(f"{block}.conv3", width, 4 * width, 1), batch_norm(f"{block}.bn3", 4 * width)]
            inputs = 4 * width
    return merged(*found)


# ---- microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224: timm's ViT-B/16 and BERT base, as open_clip saves them


def biomedclip() -> Shapes:
    def block(name: str) -> Shapes:
        return merged(
            layer_norm(f"{name}.norm1", 768), linear(f"{name}.attn.qkv", 768, 3 * 768),
            linear(f"{name}.attn.proj", 768, 768), layer_norm(f"{name}.norm2", 768),
            linear(f"{name}.mlp.fc1", 768, 3072), linear(f"{name}.mlp.fc2", 3072, 768),
        )  # fmt: skip

    def layer(name: str) -> Shapes:
        return merged(
            *(linear(f"{name}.attention.self.{part}", 768, 768) for part in ("query", "key", "value")),
            linear(f"{name}.attention.output.dense", 768, 768), layer_norm(f"{name}.attention.output.LayerNorm", 768),
            linear(f"{name}.intermediate.dense", 768, 3072),
            linear(f"{name}.output.dense", 3072, 768), layer_norm(f"{name}.output.LayerNorm", 768),
        )  # fmt: skip

    trunk, words = "visual.trunk", "text.transformer.embeddings"
    return merged(
        {"logit_scale": (), "visual.head.proj.weight": (512, 768)},
        {f"{trunk}.cls_token": (1, 1, 768), f"{trunk}.pos_embed": (1, 197, 768)},
        {f"{trunk}.patch_embed.proj.weight": (768, 3, 16, 16), f"{trunk}.patch_embed.proj.bias": (768,)},
        *(block(f"{trunk}.blocks.{i}") for i in range(12)), layer_norm(f"{trunk}.norm", 768),
        {f"{words}.word_embeddings.weight": (30522, 768), f"{words}.position_embeddings.weight": (512, 768)},
        {f"{words}.token_type_embeddings.weight": (2, 768), f"{words}.position_ids": (1, 512)},
        layer_norm(f"{words}.LayerNorm", 768), *(layer(f"text.transformer.encoder.layer.{i}") for i in range(12)),
        {"text.proj.0.weight": (640, 768), "text.proj.2.weight": (512, 640)},
    )  # fmt: skip


# ---- what the models make of them


def numbered(shapes: Shapes) -> dict[str, torch.Tensor]:
    """Tensors of these shapes that hold 0, 1, 2, ... each, and take up no more than that."""
    return {name: torch.tensor(float(i)).expand(shape) for i, (name, shape) in enumerate(shapes.items())}


def counted(tensors: Iterable[torch.Tensor]) -> Counter[tuple[tuple[int, ...], float, float]]:
    """How many there are of each shape, least and greatest number."""
    return Counter((tuple(tensor.shape), tensor.min().item(), tensor.max().item()) for tensor in tensors)


def shapes_of(model: nn.Module) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def test_every_published_tensor_of_clipseg_arrives_under_its_name(tmp_path: Path) -> None:
    published = numbered(clipseg())
    torch.save(published, tmp_path / "pytorch_model.bin")
    said = {"model_type": "clipseg", "use_complex_transposed_convolution": True, "vision_config": {"patch_size": 16}}
    (tmp_path / "config.json").write_text(json.dumps(said))
    arrived = ClipSeg.load(str(tmp_path), {}).state_dict()
    with torch.device("meta"):
        drawn = ClipSeg.load(None, {})
    expected = dict(published)
    for name in CLIPSEG_NOT_READ:
        del expected[name]
    assert shapes_of(drawn) == {name: tuple(tensor.shape) for name, tensor in expected.items()}
    assert arrived.keys() == expected.keys()
    assert [name for name, tensor in expected.items() if not torch.equal(arrived[name], tensor)] == []


def test_cris_has_every_published_tensor_and_no_other(tmp_path: Path) -> None:
    published = {f"module.{name}": torch.empty(shape, device="meta") for name, shape in cris().items()}
    torch.save({"epoch": 50, "state_dict": published}, tmp_path / "best_model.pth")
    with torch.device("meta"):
        assert shapes_of(Cris.load(None, {})) == cris()
        Cris.load(str(tmp_path), {})  # which refuses what is missing, unknown or of another shape


def test_every_published_tensor_of_biomedclip_arrives_once(tmp_path: Path) -> None:
    published = numbered(biomedclip())
    torch.save(published, tmp_path / "open_clip_pytorch_model.bin")
    said = {
        "embed_dim": 512, "vision_cfg": {"timm_model_name": "vit_base_patch16_224", "image_size": 224},
        "text_cfg": {"hf_model_name": "BiomedBERT", "hf_pooler_type": "cls_last_hidden_state_pooler"},
    }  # fmt: skip
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": said}))
    tiny.tokenizer(["lesion"]).save_pretrained(tmp_path)
    loaded, _ = load_encoders(str(tmp_path))
    with torch.device("meta"):
        drawn = draw_encoders({**PUBLISHED, "text.vocab_size": 30522})
    assert [shapes_of(encoder) for encoder in loaded] == [shapes_of(encoder) for encoder in drawn]
    for name in BIOMEDCLIP_NOT_READ:
        del published[name]
    # A block's matrix of three thirds is split: queries, keys and values.
    read = [tensor.chunk(3) if ".qkv." in name else [tensor] for name, tensor in published.items()]
    arrived = counted(tensor for encoder in loaded for tensor in encoder.state_dict().values())
    assert arrived == counted(tensor for parts in read for tensor in parts)
