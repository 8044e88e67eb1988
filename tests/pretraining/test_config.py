"""What a pretraining is told: read, overridden, and refused with the name of the key."""

from pathlib import Path

import pytest

from zeusseg.errors import UsageError
from zeusseg.pretraining.config import read_pretrain_config, write_pretrain_config

SHIPPED = sorted((Path(__file__).parents[2] / "configs" / "pretrain").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_configuration_makes_the_encoder_it_is_named_after(path):
    assert read_pretrain_config(path).encoder == path.stem


def test_overrides_go_over_the_file_and_the_copy_reads_back(tmp_path):
    (tmp_path / "a.yaml").write_text("encoder: resnet-18\nphantoms: {count: 3}\n")
    config = read_pretrain_config(tmp_path / "a.yaml", ["phantoms.batch_size=5", "encoder_config={depths: [1]}"])
    assert (config.encoder, config.phantoms.count, config.phantoms.batch_size) == ("resnet-18", 3, 5)
    (tmp_path / "b.yaml").write_text(write_pretrain_config(config))
    assert read_pretrain_config(tmp_path / "b.yaml") == config


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("encoder=vit-large", "encoder: .*'vit-small-16', 'resnet-18' or 'resnet-50'"),
        ("image_size=100", "image_size: .*multiple of 32"),
        ("images.hidden=1", "images.hidden: .*less than 1"),
        ("minutes=5", "minutes: Extra inputs"),
        ("encoder_config={patch_size: 8}", "encoder_config: .*patch_size cannot be set"),
        ("steps", "--set takes key=value"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, override, named):
    (tmp_path / "a.yaml").write_text("")
    with pytest.raises(UsageError, match=named):
        read_pretrain_config(tmp_path / "a.yaml", [override])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"none\.yaml"):
        read_pretrain_config(tmp_path / "none.yaml")
