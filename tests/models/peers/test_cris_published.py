"""CRIS as it is published: its tensors, its checkpoints, and the settings that build it."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from helpers.cris import LONG, SHORT, TINY, ask, checkpoint, pixels, tiny
from zeusseg.errors import UsageError
from zeusseg.models.peers import cris
from zeusseg.models.peers.cris import PUBLISHED, Cris


@pytest.fixture(scope="module")
def model() -> Cris:
    return tiny()


@pytest.fixture
def small_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the published network were the tiny one."""
    monkeypatch.setattr(cris, "PUBLISHED", {**PUBLISHED, **TINY})


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes by the official code (model/clip.py, layers.py, segmenter.py), over every part."""
    return {
        "backbone.positional_embedding": (77, 512),
        "backbone.text_projection": (512, 1024),
        "backbone.logit_scale": (),
        "backbone.token_embedding.weight": (49408, 512),
        "backbone.ln_final.bias": (512,),
        "backbone.transformer.resblocks.11.attn.in_proj_weight": (1536, 512),
        "backbone.transformer.resblocks.0.attn.out_proj.weight": (512, 512),
        "backbone.transformer.resblocks.0.mlp.c_fc.weight": (2048, 512),
        "backbone.transformer.resblocks.0.mlp.c_proj.bias": (512,),
        "backbone.transformer.resblocks.0.ln_1.weight": (512,),
        "backbone.visual.conv1.weight": (32, 3, 3, 3),
        "backbone.visual.bn3.running_var": (64,),
        "backbone.visual.layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "backbone.visual.layer2.3.conv2.weight": (128, 128, 3, 3),
        "backbone.visual.layer3.5.conv3.weight": (1024, 256, 1, 1),
        "backbone.visual.layer4.2.bn3.num_batches_tracked": (),
        "backbone.visual.attnpool.positional_embedding": (50, 2048),
        "backbone.visual.attnpool.k_proj.weight": (2048, 2048),
        "backbone.visual.attnpool.q_proj.bias": (2048,),
        "backbone.visual.attnpool.v_proj.weight": (2048, 2048),
        "backbone.visual.attnpool.c_proj.weight": (1024, 2048),
        "backbone.visual.attnpool.connect.0.weight": (1024, 2048, 1, 1),
        "backbone.visual.attnpool.connect.1.running_mean": (1024,),
        "neck.txt_proj.0.weight": (1024, 1024),
        "neck.txt_proj.1.running_mean": (1024,),
        "neck.f1_v_proj.0.weight": (1024, 1024, 1, 1),
        "neck.norm_layer.0.weight": (1024,),
        "neck.f2_v_proj.0.weight": (512, 1024, 3, 3),
        "neck.f2_cat.0.weight": (512, 1536, 1, 1),
        "neck.f3_v_proj.0.weight": (256, 512, 3, 3),
        "neck.f3_cat.0.weight": (512, 768, 1, 1),
        "neck.f4_proj5.0.weight": (512, 1024, 3, 3),
        "neck.f4_proj4.0.weight": (512, 512, 3, 3),
        "neck.f4_proj3.1.bias": (512,),
        "neck.aggr.0.weight": (512, 1536, 1, 1),
        "neck.coordconv.0.conv1.0.weight": (512, 514, 3, 3),
        "neck.coordconv.1.0.weight": (512, 512, 3, 3),
        "decoder.layers.0.self_attn_norm.weight": (512,),
        "decoder.layers.0.cross_attn_norm.weight": (512,),
        "decoder.layers.0.self_attn.in_proj_weight": (1536, 512),
        "decoder.layers.1.multihead_attn.in_proj_bias": (1536,),
        "decoder.layers.2.multihead_attn.out_proj.weight": (512, 512),
        "decoder.layers.2.ffn.0.weight": (2048, 512),
        "decoder.layers.2.ffn.3.weight": (2048,),
        "decoder.layers.2.ffn.4.weight": (512, 2048),
        "decoder.layers.0.norm1.weight": (512,),
        "decoder.layers.0.norm3.bias": (512,),
        "decoder.norm.weight": (512,),
        "proj.vis.1.0.weight": (512, 512, 3, 3),
        "proj.vis.3.0.weight": (256, 512, 3, 3),
        "proj.vis.3.1.running_var": (256,),
        "proj.vis.4.weight": (256, 256, 1, 1),
        "proj.vis.4.bias": (256,),
        "proj.txt.weight": (2305, 1024),
        "proj.txt.bias": (2305,),
    }


@pytest.fixture(scope="module")
def full_size() -> Cris:
    with torch.device("meta"):
        return Cris({**PUBLISHED, "frozen": False})


def test_the_published_tensors_have_their_names_and_shapes(full_size: Cris) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in full_size.state_dict().items()}
    expected = published_shapes()
    assert {name: shapes.get(name) for name in expected} == expected


def test_the_published_network_has_147_million_parameters(full_size: Cris) -> None:
    def convolution(inputs: int, outputs: int, kernel: int) -> int:
        return inputs * outputs * kernel**2 + 2 * outputs  # with the batch normalisation behind it

    pooling_branch = convolution(2048, 1024, 1)
    neck = (
        2 * convolution(1024, 1024, 1) + 2 * 1024  # sentence, coarsest map, and the norm of their product
        + convolution(1024, 512, 3) + convolution(1536, 512, 1)
        + convolution(512, 256, 3) + convolution(768, 512, 1)
        + convolution(1024, 512, 3) + 2 * convolution(512, 512, 3)
        + convolution(1536, 512, 1) + convolution(514, 512, 3) + convolution(512, 512, 3)
    )  # fmt: skip
    attention, norm = 4 * 512 * 512 + 4 * 512, 2 * 512
    feedforward = 512 * 2048 + 2048 + 2 * 2048 + 2048 * 512 + 512
    decoder = 3 * (2 * attention + 5 * norm + feedforward) + norm
    projector = convolution(512, 512, 3) + convolution(512, 256, 3) + 256 * 256 + 256 + 1025 * (256 * 9 + 1)
    counted = {name: sum(p.numel() for p in part.parameters()) for name, part in full_size.named_children()}
    # OpenAI's CLIP with ResNet-50 has 102 007 137.
    assert counted == {
        "backbone": 102_007_137 + pooling_branch, "neck": neck, "decoder": decoder, "proj": projector
    }  # fmt: skip
    assert sum(counted.values()) == 146_849_122


@pytest.mark.usefixtures("small_published")
@pytest.mark.parametrize("kind", ["as published", "bare", "safetensors"])
def test_a_checkpoint_gives_the_masks_of_the_model_that_was_saved(model: Cris, tmp_path: Path, kind: str) -> None:
    if kind == "as published":
        torch.save(checkpoint(model), tmp_path / "best_model.pth")
    elif kind == "bare":
        torch.save(model.state_dict(), tmp_path / "cris.pt")
    else:
        save_file(model.state_dict(), tmp_path / "cris.safetensors")
    loaded = Cris.load(str(tmp_path), {}).eval()
    assert torch.equal(ask(loaded, pixels(), SHORT, LONG), ask(model, pixels(), SHORT, LONG))


@pytest.mark.usefixtures("small_published")
def test_with_weights_only_the_size_may_change(model: Cris, tmp_path: Path) -> None:
    path = tmp_path / "cris.pth"
    torch.save(checkpoint(model), path)
    assert Cris.load(str(path), {"size": 96}).size == 96
    with pytest.raises(UsageError, match=r"decoder\.layers cannot be changed"):
        Cris.load(str(path), {"size": 96, "decoder.layers": 2})


@pytest.mark.usefixtures("small_published")
def test_weights_that_are_not_those_of_the_network_are_refused(model: Cris, tmp_path: Path) -> None:
    def refusal(content: object) -> str:
        path = tmp_path / "cris.pth"
        torch.save(content, path)
        with pytest.raises(UsageError) as caught:
            Cris.load(str(path), {})
        return str(caught.value)

    state = model.state_dict()
    lacking = {name: tensor for name, tensor in state.items() if not name.startswith("proj.txt.")}
    assert "lacks 2 tensors (proj.txt.weight, ...)" in refusal(lacking)
    assert "has, beyond it, 1 tensors (neck.more, ...)" in refusal({**state, "neck.more": torch.ones(1)})
    assert "does not fit" in refusal({**state, "proj.txt.bias": torch.ones(3)})
    assert "holds more than tensors" in refusal({"state_dict": state, "config": Path("run")})
    assert "expected a state dict" in refusal([1, 2])
    assert "expected a state dict" in refusal({"state_dict": torch.ones(1)})


def test_a_place_without_exactly_one_file_of_weights_is_refused(tmp_path: Path) -> None:
    for place in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(UsageError, match="expected a file that ends in"):
            Cris.load(str(place), {})
    for name in ("a.pth", "b.pt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UsageError, match="exactly one, not 2"):
        Cris.load(str(tmp_path), {})
    with pytest.raises(UsageError, match="cannot be read"):
        Cris.load(str(tmp_path / "a.pth"), {})


def test_settings_are_json_that_builds_the_network_again() -> None:
    model = Cris.load(None, TINY, frozen=True)
    again = Cris(json.loads(json.dumps(model.settings)))
    assert model.settings == {**PUBLISHED, **TINY, "frozen": True}
    first, second = (
        [(name, p.shape, p.requires_grad) for name, p in each.named_parameters()] for each in (model, again)
    )
    assert first == second


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"decoder.depth": 2}, "no setting 'decoder.depth': expected one of size, context"),
        ({"size": 100}, "multiple of 32: size is 100"),
        ({"text.width": 18}, r"expected a multiple of four \(4\)"),
        ({"text.width": 16, "decoder.heads": 3}, r"expected a multiple of decoder.heads \(3\)"),
    ],
)
def test_settings_that_make_no_network_are_refused(changes: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Cris.load(None, {**TINY, **changes})


def test_settings_must_be_complete() -> None:
    with pytest.raises(UsageError, match=": depth, frozen is missing or unknown"):
        Cris({**PUBLISHED, "depth": 3})


