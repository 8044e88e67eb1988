"""A trained model written and opened again: the same masks, nothing frozen in the file, the right encoder or none."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from helpers.encoders import VISION_KINDS, tiny_vision
from zeusseg.case import Target
from zeusseg.errors import UsageError
from zeusseg.inference.load import ENCODERS, LoadedModel, load_model, save_model
from zeusseg.inference.slices import Slicing
from zeusseg.metrics.calibration import Calibration
from zeusseg.models.fusion import FUSIONS
from zeusseg.models.zeus import ZeusModel


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("encoders")
    return {kind: tiny_vision(kind, root / kind) for kind in VISION_KINDS}


def build(vision: str, **more) -> LoadedModel:
    torch.manual_seed(0)
    parts = {"modalities": 2, "channels": 3, "vision": vision, "width": 32, "vision_channels": [8, 16], **more}
    model = ZeusModel(**parts).eval()
    # As training would: nothing is left as it is drawn.
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(0.1 * torch.randn_like(p))
    return LoadedModel(model, parts, ("t1", "flair"), (Target("lesion", (1,)),), Slicing(), "name", False, False)


def masks(model: ZeusModel) -> torch.Tensor:
    side = 2 * model.stride
    images = torch.randn(2, 2, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        present, which = torch.tensor([[True, True], [False, True]]), torch.zeros(2, 1, dtype=torch.long)
        return model(images, present, model.encode_text(["lesion"]), which).masks


@pytest.mark.parametrize("decoder", ["instruction", "sam"])
@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("kind", VISION_KINDS)
def test_a_model_comes_back_as_it_was_from_a_file_of_what_was_trained(folders, tmp_path, kind, fusion, decoder):
    loaded = build(f"pretrained:{folders[kind]}", fusion=fusion, decoder=decoder)
    save_model(tmp_path / "model.safetensors", loaded)
    torch.testing.assert_close(masks(load_model(tmp_path).model), masks(loaded.model))
    stored = load_file(tmp_path / "model.safetensors")
    assert sum(t.numel() for t in stored.values()) == sum(t.numel() for t in loaded.model.state_dict().values())
    assert not any("backbone" in name for name in stored)


@pytest.mark.parametrize("options", [{"lora_rank": 2}, {"unfrozen_blocks": 1}])
def test_an_encoder_that_was_trained_in_part_brings_that_part_along(folders, tmp_path, options):
    loaded = build(f"pretrained:{folders['vit']}", **options)
    save_model(tmp_path / "model.safetensors", loaded)
    torch.testing.assert_close(masks(load_model(tmp_path).model), masks(loaded.model))
    stored = {name: t.numel() for name, t in load_file(tmp_path / "model.safetensors").items() if "backbone" in name}
    trained = sum(p.numel() for p in loaded.model.backbone.parameters() if p.requires_grad)
    assert sum(stored.values()) == trained > 0


def test_an_encoder_that_changed_is_refused(folders, tmp_path):
    encoder = shutil.copytree(folders["vit"], tmp_path / "vit")
    save_model(tmp_path / "run" / "model.safetensors", build(f"pretrained:{encoder}"))
    tiny_vision("clip", encoder)
    with pytest.raises(UsageError, match="trained on a vision encoder with the fingerprint"):
        load_model(tmp_path / "run")


def test_an_encoder_that_is_gone_is_found_in_the_run_itself_or_asked_for_there(folders, tmp_path):
    encoder, run = shutil.copytree(folders["vit"], tmp_path / "vit"), tmp_path / "run"
    loaded = build(f"pretrained:{encoder}")
    save_model(run / "model.safetensors", loaded)
    shutil.move(encoder, tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=f"copy its folder into .*{ENCODERS}"):
        load_model(run)
    shutil.copytree(tmp_path / "elsewhere", run / ENCODERS / "vit")
    torch.testing.assert_close(masks(load_model(run).model), masks(loaded.model))


def test_weights_that_do_not_fit_their_header_are_refused(tmp_path):
    loaded = build("compact")
    parts = {**loaded.parts, "fusion": "late"}
    save_model(tmp_path / "model.safetensors", replace(loaded, parts=parts))
    with pytest.raises(UsageError, match="does not hold the weights that its header describes"):
        load_model(tmp_path)


@pytest.mark.parametrize("calibration", [None, Calibration(0.4, -1.25, 120, 60)])
def test_a_calibration_comes_back_as_it_was(tmp_path, calibration):
    save_model(tmp_path / "model.safetensors", replace(build("compact"), calibration=calibration))
    assert load_model(tmp_path).calibration == calibration


def test_a_model_of_an_older_format_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, build("compact"))
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["zeusseg"])
    save_file(load_file(path), path, metadata={"zeusseg": json.dumps(header | {"format": 2})})
    with pytest.raises(UsageError, match="has format 2, this zeusseg reads 3: train it again"):
        load_model(tmp_path)
