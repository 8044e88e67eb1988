"""What a pretraining is told. One YAML file, checked when read; the folder of weights keeps its own copy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, field_validator

from zeusseg.settings import Part, read_settings

EncoderName = Literal["vit-small-16", "resnet-18", "resnet-50"]
# The largest stride of a ResNet, and a multiple of the side of the patches that are hidden.
SIZE_MULTIPLE = 32


class PhantomsConfig(Part):
    """The phantoms with labels: how many, of which regions, on what grid (None: as `make_phantom` has it)."""

    count: int = Field(default=160, gt=0)
    regions: tuple[Literal["brain", "abdomen"], ...] = ("brain", "abdomen")
    shape: tuple[int, int, int] = (96, 96, 16)
    spacing_mm: tuple[float, float, float] | None = None
    batch_size: int = Field(default=8, gt=0)
    lesions: float = Field(default=0.5, ge=0, le=1)
    inverted: float = Field(default=0.15, ge=0, le=1)


class ImagesConfig(Part):
    """The images without labels: how many a step, and what share of the patches is hidden."""

    batch_size: int = Field(default=16, gt=0)
    hidden: float = Field(default=0.6, gt=0, lt=1)


class PretrainConfig(Part):
    """A whole pretraining. `early` is the share of samples whose channels are three modalities of one slice.

    `encoder_config` goes over the encoder's own configuration (transformers' names). `split` and `train_on` choose
    the training patients as `zeusseg train` does.
    """

    encoder: EncoderName = "vit-small-16"
    encoder_config: dict[str, Any] = Field(default_factory=dict)
    image_size: int = Field(default=128, gt=0, multiple_of=SIZE_MULTIPLE)
    seed: int = 0
    steps: int = Field(default=600, gt=0)
    learning_rate: float = Field(default=5e-4, gt=0)
    weight_decay: float = Field(default=5e-2, ge=0)
    early: float = Field(default=0.25, ge=0, le=1)
    steps_per_checkpoint: int = Field(default=50, gt=0)
    phantoms: PhantomsConfig = PhantomsConfig()
    images: ImagesConfig = ImagesConfig()
    split: dict[str, float | int] = Field(default_factory=lambda: {"val": 0.2})
    train_on: str = "train"

    @field_validator("encoder_config")
    @classmethod
    def _fits_the_images(cls, value: dict[str, Any]) -> dict[str, Any]:
        fixed = {"image_size", "num_channels", "patch_size"} & set(value)
        if fixed:
            raise ValueError(f"{', '.join(sorted(fixed))} cannot be set: images have 3 channels and patches 16 pixels, "
                             "and image_size stands on its own")
        return value


def read_pretrain_config(path: Path | str, overrides: Sequence[str] | None = None) -> PretrainConfig:
    """Read a configuration; `overrides` are `key.key=value`, values in YAML. Raises `UsageError` naming the key."""
    return read_settings(PretrainConfig, path, overrides or ())


def write_pretrain_config(config: PretrainConfig) -> str:
    """The configuration as YAML that `read_pretrain_config` takes back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
