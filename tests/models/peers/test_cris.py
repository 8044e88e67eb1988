"""CRIS: the published network under the published names, one mask per text, whatever else is in the batch."""

import math

import pytest
import torch
from torch.nn import functional

from helpers.cris import END, LONG, SHORT, START, TINY, UNUSED, ask, pixels, tiny, tokenize
from zeusseg.models.peers import peer_class
from zeusseg.models.peers.cris import Cris
from zeusseg.models.text import TextTokens


@pytest.fixture(scope="module")
def model() -> Cris:
    return tiny()


def test_the_name_gives_the_class() -> None:
    assert peer_class("cris") is Cris


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
