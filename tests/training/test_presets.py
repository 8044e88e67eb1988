"""Presets fill in what a configuration does not name; the card of the paper's says what the paper does not."""

import pytest

from helpers.encoders import tiny_vision
from helpers.text_encoders import tiny_text
from zeusseg.training.config import ModelConfig, TrainConfig, read_config, write_config
from zeusseg.training.run import train


def test_the_paper_s_parts_can_be_changed_one_line_at_a_time(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("model: {preset: paper, vision: pretrained:facebook/dinov3-vits16-pretrain-lvd1689m}\n")
    model = read_config(path).model
    assert model.vision == "pretrained:facebook/dinov3-vits16-pretrain-lvd1689m"
    assert (model.fusion, model.decoder, model.width) == ("late", "sam:facebook/sam-vit-base", 256)
    path.write_text(write_config(read_config(path)))
    assert read_config(path).model == model


def test_the_compact_preset_is_what_one_gets_without_naming_any():
    assert ModelConfig() == ModelConfig(preset="compact")
    assert (ModelConfig().vision, ModelConfig().decoder) == ("compact", "instruction")


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="preset"):
        ModelConfig.model_validate({"preset": "zeus"})


def test_a_model_after_the_paper_is_trained_and_its_card_says_what_is_not_established(phantoms, tiny, tmp_path):
    sam = tiny_vision("sam", tmp_path / "sam")
    parts = {
        "preset": "paper", "vision": f"pretrained:{tiny_vision('siglip', tmp_path / 'siglip')}", "norm": "group",
        "text": f"pretrained:{tiny_text('bert', tmp_path / 'bert')}", "decoder": f"sam:{sam}", "width": 32,
    }  # fmt: skip
    config = TrainConfig.model_validate({**tiny.model_dump(), "model": parts, "slices": {"crop": [64, 64]}})
    run = train(config, phantoms, tmp_path / "run", progress=False).folder
    card = (run / "card.md").read_text()
    assert "What is not established about the paper" in card
    for part in ("vision", "text"):
        assert f"| {part} encoder | pretrained:{tmp_path}" in card
    assert "frozen" in card
