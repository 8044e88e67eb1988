"""Configurations: read, overridden, refused with the key that is wrong."""

from pathlib import Path

import pytest

from zeusseg.errors import UsageError
from zeusseg.training.config import TrainConfig, read_config, write_config

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.name)
def test_shipped_configurations_are_read_and_written_back_the_same(path, tmp_path):
    config = read_config(path)
    (tmp_path / "copy.yaml").write_text(write_config(config))
    assert read_config(tmp_path / "copy.yaml") == config


def test_overrides_reach_inside_and_keep_their_type(tmp_path):
    (tmp_path / "c.yaml").write_text("fit: {steps: 5}\n")
    config = read_config(tmp_path / "c.yaml", ["fit.steps=7", "slices.crop=[32, 64]", "writer=name"])
    assert (config.fit.steps, config.slices.crop, config.writer) == (7, (32, 64), "name")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fit: {stepps: 5}", "fit.stepps: Extra inputs are not permitted"),
        ("fit: {steps: none}", "fit.steps"),
        ("model: {fusion: middle}", "model.fusion"),
        ("[", "cannot read"),
    ],
)
def test_a_wrong_configuration_is_refused_naming_the_key(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_config(tmp_path / "c.yaml")


def test_an_override_without_a_value_is_refused(tmp_path):
    (tmp_path / "c.yaml").write_text("")
    with pytest.raises(UsageError, match="key=value"):
        read_config(tmp_path / "c.yaml", ["fit.steps"])


def test_an_empty_file_is_the_default(tmp_path):
    (tmp_path / "c.yaml").write_text("")
    assert read_config(tmp_path / "c.yaml") == TrainConfig()
