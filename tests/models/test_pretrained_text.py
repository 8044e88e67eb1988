"""Frozen text encoders: every kind gives words and a vector, is asked once for each text, and is never trained."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from helpers.text_encoders import CONTEXT, TEXT_KINDS
from zeusseg.models.pretrained_text import FrozenText, PretrainedTextEncoder, load_text_encoder, pool, precision
from zeusseg.models.text_loading import load_text

CPU = torch.device("cpu")
KIDNEY, LIVER, LONG = "the left kidney", "liver", "a bright round mass lies beside it"
TOO_LONG = "liver " * 30


@pytest.fixture(params=TEXT_KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def encoder(kind: str, text_folders: dict[str, Path]) -> PretrainedTextEncoder:
    torch.manual_seed(1)
    return load_text_encoder(str(text_folders[kind]), 16)


def asked(encoder: PretrainedTextEncoder) -> list[int]:
    """How many texts the frozen model is asked for in each of its calls, from now on."""
    counts: list[int] = []
    encoder.frozen.model.register_forward_pre_hook(lambda _, inputs: counts.append(len(inputs[0])))
    return counts


def words_in(encoder: PretrainedTextEncoder, text: str) -> int:
    return len(encoder.frozen.loaded.tokenizer(text, add_special_tokens=False)["input_ids"])


def test_every_word_is_a_token_and_special_tokens_are_not(encoder):
    encoded = encoder([KIDNEY, LIVER])
    counts = [words_in(encoder, KIDNEY), words_in(encoder, LIVER)]
    assert encoded.tokens.shape == (2, max(counts), 16)
    assert encoded.pooled.shape == (2, 16)
    assert encoded.mask.sum(dim=1).tolist() == counts
    assert not encoded.mask[1, counts[1] :].any()


def test_a_text_means_the_same_beside_a_longer_one(kind, text_folders, encoder):
    beside = encoder([LIVER, LONG])
    other = load_text_encoder(str(text_folders[kind]), 16)
    other.load_state_dict(encoder.state_dict())
    alone = other([LIVER])
    length = alone.tokens.shape[1]
    torch.testing.assert_close(beside.tokens[0, :length], alone.tokens[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(beside.pooled[0], alone.pooled[0], atol=1e-5, rtol=0)


def test_different_texts_differ(encoder):
    encoded = encoder([KIDNEY, LONG])
    assert (encoded.pooled[0] - encoded.pooled[1]).abs().max() > 1e-3
    assert (encoded.tokens[0, 0] - encoded.tokens[1, 0]).abs().max() > 1e-3


@torch.no_grad()
def vector(kind: str, folder: Path, text: str) -> Tensor:
    """What transformers alone makes of one text."""
    from safetensors.torch import load_file
    from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

    words = AutoTokenizer.from_pretrained(folder)
    if kind == "openclip":
        stored = load_file(folder / "open_clip_model.safetensors")
        model = BertModel(BertConfig(
            hidden_size=128, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, vocab_size=len(words),
            max_position_embeddings=32,
        ))  # fmt: skip
        model.load_state_dict({k.removeprefix("text.transformer."): v for k, v in stored.items() if "transformer" in k})
    else:
        model = AutoModel.from_pretrained(folder)
    padding = {"padding": "max_length", "max_length": CONTEXT} if kind == "siglip" else {}
    ids = words(text, return_tensors="pt", **padding)["input_ids"]
    if kind == "siglip":
        return model.eval().get_text_features(ids).pooler_output[0]
    if kind == "clip":
        return model.eval().text_model(ids).pooler_output[0]
    output = model.eval()(ids)
    hidden = output.last_hidden_state[0]
    return {"clip_text": hidden[-1], "sentence": hidden.mean(dim=0), "llama": hidden[-1]}.get(kind, hidden[0])


def test_the_vector_is_the_one_of_transformers(kind, text_folders, encoder):
    states = encoder.frozen.states([LONG, KIDNEY], CPU)[1]
    torch.testing.assert_close(states.pooled, vector(kind, text_folders[kind], KIDNEY), atol=1e-5, rtol=0)
    project = encoder.pooled_projection or encoder.projection
    torch.testing.assert_close(encoder([KIDNEY]).pooled[0], project(states.pooled))


def test_only_the_projection_is_kept_trained_and_counted(kind, encoder):
    layers = {"projection"} | ({"pooled_projection"} if kind == "siglip" else set())
    assert {name.rpartition(".")[0] for name in encoder.state_dict()} == layers
    assert {name.rpartition(".")[0] for name, _ in encoder.named_parameters()} == layers
    encoder.train()
    encoder([KIDNEY]).tokens.sum().backward()
    assert encoder.projection.weight.grad is not None
    assert not encoder.frozen.model.training
    assert not any(p.requires_grad or p.grad is not None for p in encoder.frozen.model.parameters())
    assert encoder.frozen_parameters == sum(p.numel() for p in encoder.frozen.model.parameters()) > 10_000


def test_a_copy_shares_the_frozen_model(text_folders):
    encoder = load_text_encoder(str(text_folders["bert"]), 16)
    copied = copy.deepcopy(encoder)
    assert copied.frozen is encoder.frozen
    assert copied.projection.weight is not encoder.projection.weight


def test_each_distinct_text_is_asked_for_once_and_new_ones_together(encoder):
    counts = asked(encoder)
    first = encoder([KIDNEY, LIVER, KIDNEY])
    for _ in range(3):
        again = encoder([LIVER, KIDNEY, LONG])
    assert counts == [2, 1]
    torch.testing.assert_close(again.pooled[1], first.pooled[0])
    torch.testing.assert_close(first.pooled[0], first.pooled[2])


def test_the_oldest_text_is_forgotten_when_memory_is_full(text_folders):
    loaded = load_text(str(text_folders["bert"]))
    one = FrozenText(loaded).states([LIVER], CPU)[0]
    encoder = PretrainedTextEncoder(FrozenText(loaded, cache_bytes=one.tokens.nbytes + one.pooled.nbytes), 16)
    counts = asked(encoder)
    assert encoder([KIDNEY, LIVER]).pooled.shape == (2, 16)
    encoder([LIVER])
    assert counts == [2]
    encoder([KIDNEY])
    assert counts == [2, 1]


def test_an_empty_text_is_at_least_one_token(encoder):
    encoded = encoder(["", LIVER])
    assert encoded.mask[0].any()
    assert encoded.tokens.isfinite().all()
    assert encoded.pooled.isfinite().all()
    assert (encoded.pooled[0] - encoded.pooled[1]).abs().max() > 1e-3


def test_a_text_beyond_the_context_is_cut_and_the_user_told_once(encoder, capsys):
    encoded = encoder([TOO_LONG, TOO_LONG + "left", LIVER])
    encoder([TOO_LONG + "right"])
    ids = encoder.frozen.loaded.tokenizer(LIVER)["input_ids"]
    specials = len(ids) - words_in(encoder, LIVER)
    assert encoded.mask.sum(dim=1).tolist()[:2] == [CONTEXT - specials] * 2
    notes = capsys.readouterr().err
    assert notes.count("note:") == 1
    assert f"2 of 3 texts are longer than the {CONTEXT} tokens" in notes


def test_texts_seen_while_predicting_can_be_trained_on(text_folders):
    encoder = load_text_encoder(str(text_folders["bert"]), 16)
    with torch.inference_mode():
        encoder([KIDNEY])
    encoder([KIDNEY]).pooled.sum().backward()


def test_what_is_kept_does_not_depend_on_the_precision_of_who_asked(text_folders):
    asking, plain = (load_text_encoder(str(text_folders["bert"]), 16) for _ in range(2))
    with torch.autocast("cpu", torch.bfloat16):
        asking([KIDNEY])
    torch.testing.assert_close(
        asking.frozen.states([KIDNEY], CPU)[0].pooled, plain.frozen.states([KIDNEY], CPU)[0].pooled, atol=0, rtol=0
    )


def test_language_models_run_in_bfloat16_on_a_gpu_only(text_folders, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    assert precision(True, torch.device("cuda")) == torch.bfloat16
    assert precision(True, CPU) == precision(False, torch.device("cuda")) == torch.float32
    AutoModelForCausalLM.from_pretrained(text_folders["llama"], dtype=torch.bfloat16).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(text_folders["llama"]).save_pretrained(tmp_path)
    encoder = load_text_encoder(str(tmp_path), 16)
    encoder([KIDNEY])
    assert encoder.frozen.loaded.decoder
    assert encoder.frozen.model.dtype == torch.float32


def test_pooling_by_hand():
    hidden = torch.tensor([[[1.0], [3.0], [100.0]], [[1.0], [3.0], [8.0]]])
    there = torch.tensor([[True, True, False], [True, True, True]])
    assert pool("cls", hidden, there).tolist() == [[1.0], [1.0]]
    assert pool("mean", hidden, there).tolist() == [[2.0], [4.0]]
    assert pool("last", hidden, there).tolist() == [[3.0], [8.0]]
