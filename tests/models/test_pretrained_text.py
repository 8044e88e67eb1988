"""Frozen text encoders: every kind gives words and a vector, is asked once for each text, and is never trained."""

from __future__ import annotations

import builtins
import copy
import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from helpers.text_encoders import CONTEXT, TEXT_KINDS, tiny_text
from zeusseg.errors import UsageError
from zeusseg.models.openclip_text import bert_config
from zeusseg.models.pretrained_text import FrozenText, PretrainedTextEncoder, load_text_encoder, pool, precision
from zeusseg.models.text_loading import load_text

CPU = torch.device("cpu")
KIDNEY, LIVER, LONG = "the left kidney", "liver", "a bright round mass lies beside it"
TOO_LONG = "liver " * 30


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("texts")
    return {kind: tiny_text(kind, root / kind) for kind in TEXT_KINDS}


@pytest.fixture(params=TEXT_KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def encoder(kind: str, folders: dict[str, Path]) -> PretrainedTextEncoder:
    torch.manual_seed(1)
    return load_text_encoder(str(folders[kind]), 16)


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


def test_a_text_means_the_same_beside_a_longer_one(kind, folders, encoder):
    beside = encoder([LIVER, LONG])
    other = load_text_encoder(str(folders[kind]), 16)
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


def test_the_vector_is_the_one_of_transformers(kind, folders, encoder):
    states = encoder.frozen.states([LONG, KIDNEY], CPU)[1]
    torch.testing.assert_close(states.pooled, vector(kind, folders[kind], KIDNEY), atol=1e-5, rtol=0)
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


def test_a_copy_shares_the_frozen_model(folders):
    encoder = load_text_encoder(str(folders["bert"]), 16)
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


def test_the_oldest_text_is_forgotten_when_memory_is_full(folders):
    loaded = load_text(str(folders["bert"]))
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


def test_texts_seen_while_predicting_can_be_trained_on(folders):
    encoder = load_text_encoder(str(folders["bert"]), 16)
    with torch.inference_mode():
        encoder([KIDNEY])
    encoder([KIDNEY]).pooled.sum().backward()


def test_what_is_kept_does_not_depend_on_the_precision_of_who_asked(folders):
    asking, plain = (load_text_encoder(str(folders["bert"]), 16) for _ in range(2))
    with torch.autocast("cpu", torch.bfloat16):
        asking([KIDNEY])
    torch.testing.assert_close(
        asking.frozen.states([KIDNEY], CPU)[0].pooled, plain.frozen.states([KIDNEY], CPU)[0].pooled, atol=0, rtol=0
    )


def test_language_models_run_in_bfloat16_on_a_gpu_only(folders, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    assert precision(True, torch.device("cuda")) == torch.bfloat16
    assert precision(True, CPU) == precision(False, torch.device("cuda")) == torch.float32
    AutoModelForCausalLM.from_pretrained(folders["llama"], dtype=torch.bfloat16).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(folders["llama"]).save_pretrained(tmp_path)
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


def test_the_fingerprint_tells_weights_apart(folders):
    assert load_text(str(folders["clip"])).fingerprint == load_text(str(folders["clip"])).fingerprint
    assert load_text(str(folders["clip"])).fingerprint != load_text(str(folders["bert"])).fingerprint


@pytest.mark.parametrize("kind", ["sentence", "openclip"])
def test_a_hub_model_is_one_commit_of_it(kind, folders, tmp_path, monkeypatch):
    import huggingface_hub

    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "models--owner--name"
    shutil.copytree(folders[kind], cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    hub, folder = FrozenText(load_text("owner/name")), FrozenText(load_text(str(folders[kind])))
    assert hub.loaded.fingerprint == commit
    torch.testing.assert_close(hub.states([KIDNEY], CPU)[0].pooled, folder.states([KIDNEY], CPU)[0].pooled)
    with pytest.raises(UsageError, match=r"owner/other is no folder .* nor a hub id that can be reached"):
        load_text("owner/other")


def test_a_fetch_that_breaks_off_is_told_in_one_line(folders, tmp_path, monkeypatch):
    def fail(model, **_):
        raise OSError("no route to host\nmore lines")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: str(folders["bert"] / "config.json"))
    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(UsageError, match=r"owner/name cannot be fetched \(no route to host.*name a folder") as error:
        load_text("owner/name")
    assert "\n" not in str(error.value)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(UsageError, match=f"{tmp_path}/none is no folder with a model's config.json"):
        load_text(f"{tmp_path}/none")


def test_a_folder_without_config_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"is no folder with a model's config\.json or open_clip_config\.json"):
        load_text(str(tmp_path))


def test_a_config_that_needs_code_of_its_own_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"auto_map": {"AutoConfig": "code.Config"}}))
    with pytest.raises(UsageError, match=r"holds no config\.json of a kind"):
        load_text(str(tmp_path))


def test_a_model_that_reads_no_texts_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(UsageError, match=r"of the kind vit, which is no text encoder.*CLIP, SigLIP, a BERT"):
        load_text(str(tmp_path))


@pytest.mark.parametrize("kind", ["clip", "bert", "llama", "openclip"])
def test_a_folder_without_tokenizer_is_refused(kind, tmp_path):
    folder = tiny_text(kind, tmp_path / kind)
    for path in folder.glob("*token*"):
        path.unlink()
    with pytest.raises(UsageError, match="tokenizer"):
        load_text(str(folder))


def test_weights_of_another_model_are_refused(folders, tmp_path):
    folder = tiny_text("bert", tmp_path / "mixed")
    (folder / "model.safetensors").write_bytes((folders["llama"] / "model.safetensors").read_bytes())
    with pytest.raises(UsageError, match=r"lacks \d+ tensors of its text encoder"):
        load_text(str(folder))


def test_both_spellings_of_a_sentence_encoders_pooling_are_known(tmp_path):
    folder = tiny_text("sentence", tmp_path / "sentence")
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "lasttoken"}))
    assert load_text(str(folder)).pooling == "last"
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    assert load_text(str(folder)).pooling == "cls"


def test_an_unknown_pooling_is_refused(tmp_path):
    folder = tiny_text("sentence", tmp_path / "sentence")
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_max_tokens": True}))
    with pytest.raises(UsageError, match="pools by max_tokens"):
        load_text(str(folder))


@pytest.mark.parametrize(
    "change", [{"hf_model_name": None}, {"hf_model_name": "roberta-base"}, {"hf_pooler_type": "max_pooler"}]
)
def test_an_open_clip_tower_that_is_no_bert_is_refused(change, tmp_path):
    folder = tiny_text("openclip", tmp_path / "openclip")
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] |= change
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match=r"expected a BERT .*name another text encoder in model\.text"):
        load_text(str(folder))


@pytest.mark.parametrize(("width", "layers", "heads", "inner"), [(768, 12, 12, 3072), (1024, 24, 16, 4096)])
def test_a_bert_of_published_size_is_known_by_its_shapes(width, layers, heads, inner):
    from transformers import BertConfig, BertModel

    published = BertConfig(
        hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=inner
    )
    with torch.device("meta"):
        weights = BertModel(published, add_pooling_layer=False).state_dict()
    assert bert_config(weights).to_dict() == published.to_dict()


def test_open_clip_weights_are_read_without_unpickling_code(folders, tmp_path):
    from safetensors.torch import load_file

    folder = tiny_text("openclip", tmp_path / "openclip")
    weights = folder / "open_clip_model.safetensors"
    torch.save(load_file(weights), folder / "open_clip_pytorch_model.bin")
    weights.unlink()
    states = [FrozenText(load_text(str(place))).states([KIDNEY], CPU)[0] for place in (folder, folders["openclip"])]
    torch.testing.assert_close(states[0].pooled, states[1].pooled)
    torch.save({"text.transformer.x": print}, folder / "open_clip_pytorch_model.bin")
    with pytest.raises(UsageError, match="cannot be read"):
        load_text(str(folder))


def test_pytorch_weights_are_read_without_unpickling_code(folders, tmp_path):
    from safetensors.torch import load_file

    folder = tiny_text("bert", tmp_path / "bert")
    weights = folder / "model.safetensors"
    torch.save(load_file(weights), folder / "pytorch_model.bin")
    weights.unlink()
    states = [FrozenText(load_text(str(place))).states([KIDNEY], CPU)[0] for place in (folder, folders["bert"])]
    torch.testing.assert_close(states[0].pooled, states[1].pooled)
    torch.save({"embeddings.word_embeddings.weight": print}, folder / "pytorch_model.bin")
    with pytest.raises(UsageError, match="hold more than tensors"):
        load_text(str(folder))


@pytest.mark.parametrize(("kind", "padding"), [("Roberta", 1), ("Bert", 0)])
def test_positions_that_a_family_keeps_for_itself_are_not_used(kind, padding, tmp_path):
    import transformers

    folder = tiny_text("bert", tmp_path / kind)
    config = getattr(transformers, f"{kind}Config")(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, vocab_size=300,
        max_position_embeddings=26, pad_token_id=padding,
    )  # fmt: skip
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    encoder = load_text_encoder(str(folder), 16)
    assert encoder.frozen.loaded.context == {"Roberta": 24, "Bert": 26}[kind]
    assert encoder([TOO_LONG]).pooled.isfinite().all()


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest):
        if name == "transformers":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UsageError, match=r"pip install 'zeusseg\[pretrained\]'"):
        load_text("owner/name")
