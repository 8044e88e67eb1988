"""Files of pretrained vision encoders: what is taken, and what is refused with which words."""

import shutil

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from helpers.backbones import load, picture, same
from helpers.encoders import Trap
from zeusseg.errors import UsageError
from zeusseg.models.backbone import load_backbone

pytestmark = pytest.mark.usefixtures("seeded")


def test_a_folder_that_is_not_there_is_named_on_one_line(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere is no folder with a model's config\.json") as told:
        load_backbone(str(tmp_path / "nowhere"))
    assert "\n" not in str(told.value)


def test_a_model_of_another_kind_is_refused_with_the_kinds_there_are(tmp_path):
    transformers.BertConfig().save_pretrained(tmp_path)
    with pytest.raises(UsageError, match=r"of the kind 'bert': expected one of clip, .*vit"):
        load_backbone(str(tmp_path))


def test_an_encoder_of_five_channels_is_refused(tmp_path):
    transformers.ViTConfig(num_channels=5).save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="takes 5 channels: expected 1 or 3"):
        load_backbone(str(tmp_path), random=True)


def test_a_broken_file_is_named(folders, tmp_path):
    shutil.copytree(folders["vit"], tmp_path, dirs_exist_ok=True)
    (tmp_path / "preprocessor_config.json").write_text("{")
    with pytest.raises(UsageError, match=r"preprocessor_config\.json is no JSON"):
        load_backbone(str(tmp_path))


def test_weights_that_are_missing_are_not_made_up(folders, tmp_path):
    shutil.copytree(folders["vit"], tmp_path, dirs_exist_ok=True)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["vit.layernorm.bias"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match="lack 1 tensors"):
        load_backbone(str(tmp_path))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="cannot be loaded"):
        load_backbone(str(tmp_path))


def test_half_precision_files_are_loaded_in_single_precision(folders, tmp_path):
    transformers.ViTModel.from_pretrained(folders["vit"], dtype=torch.bfloat16).save_pretrained(tmp_path)
    assert {p.dtype for p in load_backbone(str(tmp_path)).parameters()} == {torch.float32}


def test_pytorchs_own_files_are_read_but_nothing_in_them_is_run(folders, tmp_path):
    shutil.copytree(folders["vit"], tmp_path, dirs_exist_ok=True)
    weights = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    torch.save(weights, tmp_path / "pytorch_model.bin")
    backbone = load_backbone(str(tmp_path))
    image = picture(backbone)
    same(backbone(image), load(folders, "vit")(image))
    torch.save(weights | {"more": Trap(tmp_path / "sprung")}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UsageError, match="cannot be loaded"):
        load_backbone(str(tmp_path))
    assert not (tmp_path / "sprung").exists()


def test_a_hub_id_is_one_commit_of_it(folders, tmp_path, monkeypatch):
    import huggingface_hub

    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "models--owner--encoder"
    shutil.copytree(folders["clip"], cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    backbone = load_backbone("owner/encoder")
    assert backbone.fingerprint == commit
    image = picture(backbone)
    same(backbone(image), load(folders, "clip")(image))
    with pytest.raises(UsageError, match=r"owner/other is no folder .* nor a hub id that can be reached"):
        load_backbone("owner/other")
