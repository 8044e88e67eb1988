"""Files of text encoders: what is taken, what is refused with which words, and that nothing in them is run."""

from __future__ import annotations

import builtins
import json
import shutil

import pytest
import torch

from helpers.text_encoders import tiny_text
from zeusseg.errors import UsageError
from zeusseg.models.openclip_text import bert_config
from zeusseg.models.pretrained_text import FrozenText, load_text_encoder
from zeusseg.models.text_loading import load_text

CPU = torch.device("cpu")
KIDNEY = "the left kidney"
TOO_LONG = "liver " * 30


def test_the_fingerprint_tells_weights_apart(text_folders):
    assert load_text(str(text_folders["clip"])).fingerprint == load_text(str(text_folders["clip"])).fingerprint
    assert load_text(str(text_folders["clip"])).fingerprint != load_text(str(text_folders["bert"])).fingerprint


@pytest.mark.parametrize("kind", ["sentence", "openclip"])
def test_a_hub_model_is_one_commit_of_it(kind, text_folders, tmp_path, monkeypatch):
    import huggingface_hub

    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "models--owner--name"
    shutil.copytree(text_folders[kind], cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    hub, folder = FrozenText(load_text("owner/name")), FrozenText(load_text(str(text_folders[kind])))
    assert hub.loaded.fingerprint == commit
    torch.testing.assert_close(hub.states([KIDNEY], CPU)[0].pooled, folder.states([KIDNEY], CPU)[0].pooled)
    with pytest.raises(UsageError, match=r"owner/other is no folder .* nor a hub id that can be reached"):
        load_text("owner/other")


def test_a_fetch_that_breaks_off_is_told_in_one_line(text_folders, tmp_path, monkeypatch):
    def fail(model, **_):
        raise OSError("no route to host\nmore lines")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: str(text_folders["bert"] / "config.json"))
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


def test_weights_of_another_model_are_refused(text_folders, tmp_path):
    folder = tiny_text("bert", tmp_path / "mixed")
    (folder / "model.safetensors").write_bytes((text_folders["llama"] / "model.safetensors").read_bytes())
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


def test_open_clip_weights_are_read_without_unpickling_code(text_folders, tmp_path):
    from safetensors.torch import load_file

    folder = tiny_text("openclip", tmp_path / "openclip")
    weights = folder / "open_clip_model.safetensors"
    torch.save(load_file(weights), folder / "open_clip_pytorch_model.bin")
    weights.unlink()
    places = (folder, text_folders["openclip"])
    states = [FrozenText(load_text(str(place))).states([KIDNEY], CPU)[0] for place in places]
    torch.testing.assert_close(states[0].pooled, states[1].pooled)
    torch.save({"text.transformer.x": print}, folder / "open_clip_pytorch_model.bin")
    with pytest.raises(UsageError, match="cannot be read"):
        load_text(str(folder))


def test_pytorch_weights_are_read_without_unpickling_code(text_folders, tmp_path):
    from safetensors.torch import load_file

    folder = tiny_text("bert", tmp_path / "bert")
    weights = folder / "model.safetensors"
    torch.save(load_file(weights), folder / "pytorch_model.bin")
    weights.unlink()
    states = [FrozenText(load_text(str(place))).states([KIDNEY], CPU)[0] for place in (folder, text_folders["bert"])]
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
