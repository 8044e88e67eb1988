"""CRIS: the published network under the published names, one mask per text, whatever else is in the batch."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from zeusseg.errors import UsageError
from zeusseg.models.peers import cris, peer_class
from zeusseg.models.peers.cris import PUBLISHED, Cris
from zeusseg.models.peers.cris_parts import (
    DensePooling,
    FusionNeck,
    Projector,
    WithCoordinates,
    WordDecoder,
    map_positions,
    sinusoids,
)
from zeusseg.models.peers.libraries import import_peer_library
from zeusseg.models.text import TextTokens

tokenize = import_peer_library("open_clip").tokenize
TINY = {
    "size": 64, "embed": 24, "vision.layers": [1, 1, 1, 1], "vision.width": 8, "text.layers": 2, "text.width": 16,
    "text.heads": 2, "neck.fine": 8, "neck.coarse": 32, "decoder.layers": 2, "decoder.heads": 2,
    "decoder.feedforward": 32,
}  # fmt: skip
SHORT, LONG = "a polyp", "one small pink round polyp, located at the top left of the picture"
START, END = 49406, 49407
# CLIP's temperature, which its own loss reads and no mask does.
UNUSED = "backbone.logit_scale"


def tiny(**changes) -> Cris:
    """A tiny CRIS whose residual branches are open: they start closed, and would hide what is behind them."""
    torch.manual_seed(0)
    model = Cris({**PUBLISHED, **TINY, **changes, "frozen": False})
    for name, parameter in model.named_parameters():
        if name.endswith("bn3.weight"):
            nn.init.ones_(parameter)
    return model.eval()


@pytest.fixture(scope="module")
def model() -> Cris:
    return tiny()


def pixels(count: int = 2, size: int = 64) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def ask(model: Cris, picture: torch.Tensor, *texts: str) -> torch.Tensor:
    """Masks of all pictures for all texts."""
    found = model.encode_text(texts)
    each = [field.expand(len(picture), *field.shape) for field in (found.tokens, found.mask, found.pooled)]
    return model.segment(picture, TextTokens(*each))


def checkpoint(model: Cris) -> dict[str, object]:
    """What CRIS's training saves: the wrapped model's state beside that of its optimizer and its schedule."""
    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    return {"epoch": 50, "best_iou": 0.6, "state_dict": state, "scheduler": {"milestones": Counter([35])}}


@pytest.fixture
def small_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the published network were the tiny one."""
    monkeypatch.setattr(cris, "PUBLISHED", {**PUBLISHED, **TINY})


def test_the_name_gives_the_class() -> None:
    assert peer_class("cris") is Cris


# ---- the published network


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


# ---- texts


def test_texts_are_read_as_clip_reads_them(model: Cris) -> None:
    found = model.encode_text([SHORT, LONG])
    with torch.no_grad():  # open_clip's own, which reads all 77 positions
        expected = model.backbone.encode_text(tokenize([SHORT, LONG]))
    torch.testing.assert_close(found.pooled, expected)
    # OpenAI's activation: x · sigmoid(1.702 x).
    activation = model.backbone.transformer.resblocks[0].mlp.gelu
    assert activation(torch.tensor(1.0)).item() == pytest.approx(1 / (1 + math.exp(-1.702)))


def test_words_are_marked_from_start_to_end(model: Cris) -> None:
    found = model.encode_text(["", "polyp polyp"])
    length = tokenize("polyp polyp")[0].tolist().index(END) + 1
    assert found.mask.tolist() == [[True] * 2 + [False] * (length - 2), [True] * length]
    assert found.tokens.shape == (2, length, 16)
    assert found.pooled.shape == (2, 24)


def test_a_word_with_the_number_of_padding_is_a_word(model: Cris) -> None:
    text = "a" + "!?" * 3
    ids = tokenize(text)[0].tolist()
    assert 0 in ids[: ids.index(END)]
    assert model.encode_text([text]).mask.all()


def test_a_long_text_is_cut_before_its_end_token() -> None:
    model = tiny(context=6)
    found = model.encode_text([LONG])
    assert found.mask.tolist() == [[True] * 6]
    ids = torch.tensor([[START, *tokenize(LONG)[0, 1:5].tolist(), END]])
    with torch.no_grad():
        torch.testing.assert_close(found.pooled, model.backbone.encode_text(ids))


# ---- masks


@pytest.mark.parametrize("size", [64, 96])
def test_a_mask_per_picture_and_text_at_stride_four(model: Cris, size: int) -> None:
    assert ask(model, pixels(2, size), SHORT, LONG, "").shape == (2, 3, size // 4, size // 4)


def test_padding_behind_a_text_changes_nothing(model: Cris) -> None:
    alone, beside = ask(model, pixels(), SHORT), ask(model, pixels(), SHORT, LONG)
    torch.testing.assert_close(beside[:, :1], alone)


def test_a_mask_belongs_to_its_own_picture_and_text(model: Cris) -> None:
    masks = ask(model, pixels(), SHORT, LONG)
    torch.testing.assert_close(masks[1:, 1:], ask(model, pixels()[1:], LONG))


def test_other_words_give_another_mask(model: Cris) -> None:
    first, second = ask(model, pixels(1), "a polyp", "a wound")[0]
    assert (first - second).abs().max() > 0.01 * first.std()


def test_the_decoder_reads_the_words_beside_the_sentence(model: Cris) -> None:
    found = model.encode_text([SHORT, "a wound"])
    mask, sentence = found.mask[None, :1], found.pooled[None, :1]
    first, second = (model.segment(pixels(1), TextTokens(words[None, None], mask, sentence)) for words in found.tokens)
    assert (first - second).abs().max() > 0.01 * first.std()


def test_the_image_encoder_runs_once_per_picture(model: Cris) -> None:
    seen = []
    hook = model.backbone.visual.attnpool.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    ask(model, pixels(2), SHORT, LONG, "")
    hook.remove()
    assert seen == [2]


def test_pictures_of_any_shape_get_masks_on_their_own_pixels(model: Cris) -> None:
    found = model(torch.randn(2, 1, 3, 50, 70), torch.ones(2, 1), model.encode_text([SHORT, LONG]),
                  torch.tensor([[0], [1]]))  # fmt: skip
    assert found.masks.shape == (2, 1, 50, 70)


# ---- training


def test_every_part_learns() -> None:
    model = tiny().train()
    ask(model, pixels(), SHORT, LONG).square().mean().backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == [UNUSED]


def test_encoders_learn_unless_they_are_frozen() -> None:
    assert all(p.requires_grad for p in Cris.load(None, TINY).parameters())
    model = Cris.load(None, TINY, frozen=True).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ask(model, pixels(), SHORT, LONG).square().mean().backward()
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    learns = {name for name, p in model.named_parameters() if p.requires_grad}
    assert not any(name.startswith("backbone.") for name in moved | learns)
    assert "neck.aggr.1.running_mean" in moved
    assert learns == {name for name, _ in model.named_parameters() if not name.startswith("backbone.")}


# ---- parts


def test_pooling_attends_from_every_position_and_adds_the_map(seeded: None) -> None:
    pool = DensePooling(side=2, width=8, heads=2, embed=4).eval()
    maps = torch.randn(1, 8, 2, 2)
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    attention.in_proj_weight.data = torch.cat([pool.q_proj.weight, pool.k_proj.weight, pool.v_proj.weight])
    attention.in_proj_bias.data = torch.cat([pool.q_proj.bias, pool.k_proj.bias, pool.v_proj.bias])
    attention.out_proj = nn.Identity()
    attention.out_proj.weight, attention.out_proj.bias = nn.Parameter(torch.eye(8)), nn.Parameter(torch.zeros(8))
    tokens = maps.flatten(2).transpose(1, 2) + pool.positional_embedding[1:]
    seen = pool.c_proj(attention(tokens, tokens, tokens)[0]).transpose(1, 2).reshape(1, 4, 2, 2)
    torch.testing.assert_close(pool(maps), functional.relu(seen + pool.connect(maps)))


def test_each_sentence_makes_the_kernel_for_its_own_map(seeded: None) -> None:
    project = Projector(width=8, embed=6).eval()
    maps, sentences = torch.randn(3, 8, 2, 2), torch.randn(3, 6)
    told = project.txt(sentences)
    expected = [
        functional.conv2d(project.vis(maps[i : i + 1]), told[i, :-1].reshape(1, 4, 3, 3), told[i, -1:], padding=1)[0, 0]
        for i in range(3)
    ]
    torch.testing.assert_close(project(maps, sentences), torch.stack(expected))


def test_the_sentence_decides_how_much_of_the_coarsest_map_passes(seeded: None) -> None:
    neck = FusionNeck((4, 6, 8), fine=4, middle=8, coarse=8).eval()
    fine, middle, sentence = torch.randn(1, 4, 8, 8), torch.randn(1, 6, 4, 4), torch.randn(1, 8)

    def fused(coarse: torch.Tensor) -> torch.Tensor:
        return neck([fine, middle, coarse], sentence)

    first, second = torch.randn(2, 1, 8, 2, 2)
    assert fused(first).shape == (1, 8, 4, 4)
    assert not torch.equal(fused(first), fused(second))
    nn.init.zeros_(neck.txt_proj[0].weight)  # a sentence that closes every channel
    assert torch.equal(fused(first), fused(second))


def test_the_neck_sees_where_a_position_is() -> None:
    layer = WithCoordinates(1).eval()
    nn.init.zeros_(layer.conv1[0].weight)
    layer.conv1[0].weight.data[0, :, 1, 1] = torch.tensor([0.0, 1.0, 10.0])  # column + 10 · row
    found = layer(torch.ones(1, 1, 3, 3))[0, 0] * math.sqrt(1 + 1e-5)
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [9.0, 10.0, 11.0]]))


def test_the_decoder_knows_the_order_of_words_and_the_place_of_pixels(seeded: None) -> None:
    decoder = WordDecoder(layers=1, width=8, heads=2, feedforward=16, dropout=0.1).eval()
    maps, words, mask = torch.randn(1, 8, 3, 3), torch.randn(1, 4, 8), torch.ones(1, 4, dtype=torch.bool)
    # Attention alone gives the same for words in any order, and moved pixels for pixels that moved.
    assert not torch.allclose(decoder(maps, words.flip(1), mask), decoder(maps, words, mask), atol=1e-3)
    layer = decoder.layers[0]
    for closed in (layer.self_attn_norm, layer.cross_attn_norm):
        nn.init.zeros_(closed.weight)  # what is left is the attention of the other kind
        for axis in (-1, -2):
            moved = decoder(maps.flip(axis), words, mask).flip(axis)
            assert not torch.allclose(moved, decoder(maps, words, mask), atol=1e-3)
        nn.init.ones_(closed.weight)


def test_positions_are_sines_and_cosines() -> None:
    device = torch.device("cpu")
    one = [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)]
    torch.testing.assert_close(sinusoids(2, 4, device), torch.tensor([[0.0, 1.0, 0.0, 1.0], one]))
    # Two rows of one column, with two channels for the column and two for the row.
    places = torch.tensor([[0.0, 1.0, 0.0, 1.0], [0.0, 1.0, math.sin(1), math.cos(1)]])
    torch.testing.assert_close(map_positions(2, 1, 4, device), places)
    torch.testing.assert_close(map_positions(1, 2, 4, device), places[:, [2, 3, 0, 1]])


def test_training_on_one_wording_leaves_a_network_that_answers_it_the_same_way() -> None:
    # With batch statistics of identical sentences, which have no variance, evaluation would blow the words up.
    torch.manual_seed(0)
    model = tiny(**{"decoder.dropout": 0.0})
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    shown = pixels(4)
    masks = (shown[:, :1] > 0).float()
    for _ in range(30):
        optimizer.zero_grad()
        logits = ask(model.train(), shown, "tumor")
        functional.binary_cross_entropy_with_logits(functional.interpolate(logits, masks.shape[-2:]), masks).backward()
        optimizer.step()
    norm = model.neck.txt_proj[1]
    assert norm.running_var.tolist() == [1.0] * len(norm.running_var)
    two = torch.randn(3, len(norm.running_var))
    torch.testing.assert_close(norm.train()(two).mean(dim=0), norm.bias)  # sentences that differ: their own statistics
