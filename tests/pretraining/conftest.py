"""Pretrainings of seconds: tiny encoders, few small phantoms, few steps."""

from __future__ import annotations

import pytest

from zeusseg.pretraining import PretrainConfig, pretrain

TINY_ENCODERS = {
    "vit-small-16": {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64},
    "resnet-18": {"embedding_size": 8, "hidden_sizes": [8, 16, 16, 32], "depths": [1, 1, 1, 1]},
}


def make_tiny_config(encoder: str = "vit-small-16", **changes: object) -> PretrainConfig:
    return PretrainConfig.model_validate(
        {
            "encoder": encoder,
            "encoder_config": TINY_ENCODERS[encoder],
            "image_size": 64,
            "steps": 4,
            "steps_per_checkpoint": 2,
            "phantoms": {"count": 4, "batch_size": 3, "shape": [48, 40, 6], "spacing_mm": [4.0, 4.0, 12.0]},
            "images": {"batch_size": 3},
            **changes,
        }
    )


@pytest.fixture(scope="session", params=["vit-small-16", "resnet-18"])
def pretrained(request, phantoms, tmp_path_factory):
    """Each kind of encoder after four steps on phantoms, four of them as if they were patients."""
    folder = tmp_path_factory.mktemp("pretrained") / request.param
    return request.param, pretrain(make_tiny_config(request.param), phantoms, folder, progress=False).folder


@pytest.fixture(scope="session")
def tiny_config():
    return make_tiny_config
