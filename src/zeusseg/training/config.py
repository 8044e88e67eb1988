"""What a training run is told. One YAML file, checked when read; a run keeps its own copy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, model_validator

from zeusseg.inference.slices import Slicing
from zeusseg.settings import Part, read_settings
from zeusseg.training.presets import PRESETS


class PeerConfig(Part):
    """A published model to compare with (`zeusseg.models.peers`).

    `weights`: its published weights (a folder, file or hub id); None draws them anew. `changes` are what differs from
    its published configuration, by dotted key, and `frozen` whether its encoders stay as they are (None: as published).
    """

    name: str
    weights: str | None = None
    changes: dict[str, Any] = Field(default_factory=dict)
    frozen: bool | None = None


class ModelConfig(Part):
    """Which parts the model is made of (`zeusseg.models`), or the `peer` that takes its place.

    `preset` gives the parts that are not named; `vision_channels` None: as many and as wide as suit the encoder.
    """

    preset: Literal["compact", "paper"] = "compact"
    fusion: Literal["early", "hybrid", "late"] = "early"
    vision: str = "compact"
    vision_channels: tuple[int, ...] | None = None
    norm: Literal["batch", "group"] = "batch"
    text: str = "subword"
    decoder: str = "instruction"
    width: int = Field(default=128, gt=0, multiple_of=8)
    lora_rank: int = Field(default=0, ge=0)
    unfrozen_blocks: int = Field(default=0, ge=0)
    alignment: bool = False
    coordinates: bool = False
    peer: PeerConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, given: Any) -> Any:
        return {**PRESETS.get(given.get("preset", "compact"), {}), **given} if isinstance(given, dict) else given

    @property
    def parts(self) -> dict[str, Any]:
        """The arguments of `ZeusModel` that a configuration decides."""
        return self.model_dump(mode="json", exclude={"preset", "peer"})


class SlicesConfig(Part):
    """How cases are cut: `context` neighbours each side, `pixel_mm` (None: as they are), `longest_side` of pictures and
    of slices whose spacing is unknown, in pixels (None: as they are), `crop` (rows, columns)."""

    context: int = Field(default=1, ge=0)
    pixel_mm: float | None = Field(default=None, gt=0)
    longest_side: int | None = Field(default=None, gt=0)
    crop: tuple[int, int] = (192, 192)

    @property
    def slicing(self) -> Slicing:
        return Slicing(self.context, self.pixel_mm, self.longest_side)


class FitConfig(Part):
    """The loop. Steps, not minutes, so that a seed repeats. Without any, the model stays as it was loaded (zero-shot).

    `protocol`: "own" (warm-up, cosine, averaged weights, every step of the run), or for peers "transfer", as the study
    of vision-language models trained them (`training.transfer`), with at most so many steps. Without `reword` an
    instruction is used as it was written.
    `views`: a slice is augmented in so many ways and no more, which a store of features needs (0: anew each time);
    without `augment` it is shown as it is. `click_share`: the share of steps whose masks are then corrected by clicks.
    `turned_queries`: how many of a slice's queries turn a target's mask by negation, contrast, or the `attributes` that
    tell its pieces apart; `hold_out` keeps back the combinations that the language test asks for.
    """

    seed: int = 0
    protocol: Literal["own", "transfer"] = "own"
    steps: int = Field(default=1000, ge=0)
    batch_size: int = Field(default=8, gt=0)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    modality_dropout: float = Field(default=0.5, ge=0, le=1)
    foreground: float = Field(default=0.6, ge=0, le=1)
    absent_targets: int = Field(default=2, ge=0)
    turned_queries: int = Field(default=2, ge=0)
    attributes: tuple[Literal["side", "size", "signal"], ...] = ()
    hold_out: bool = False
    reword: bool = True
    mirror: bool = True
    augment: bool = True
    views: int = Field(default=0, ge=0)
    click_share: float = Field(default=0.0, ge=0, le=1)
    average_decay: float = Field(default=0.99, ge=0, lt=1)
    steps_per_round: int = Field(default=50, gt=0)

    @property
    def mirrors(self) -> bool:
        """Whether patients are mirrored in training, so that they can be read both ways round afterwards."""
        return self.augment and self.mirror and self.steps > 0


class LexiconConfig(Part):
    """What the text encoder learns of the lexicon: `steps` before the masks, then beside them with this `weight`.

    `file`: terms of one's own, beside the package's.
    """

    file: Path | None = None
    steps: int = Field(default=1000, ge=0)
    weight: float = Field(default=0.2, ge=0)


class TrainConfig(Part):
    """A whole run. `split` sizes the draw where the data come without `splits.json`: shares, or numbers of patients.

    Presence is calibrated on the split `calibrate_on`, where there is one and it is not what was trained on. The same
    cases choose the `threshold`, from which probability on a voxel is inside, where it is "validation"; and when to
    stop, by the protocol "transfer".
    """

    writer: str = "measured"
    split: dict[str, float | int] = Field(default_factory=lambda: {"val": 0.2})
    train_on: str = "train"
    calibrate_on: str = "val"
    threshold: float | Literal["validation"] = 0.5
    model: ModelConfig = ModelConfig()
    slices: SlicesConfig = SlicesConfig()
    lexicon: LexiconConfig = LexiconConfig()
    fit: FitConfig = FitConfig()

    @property
    def chooses(self) -> bool:
        """Whether the cases of `calibrate_on` decide on masks: by a threshold, or by when the training stops."""
        return self.threshold == "validation" or self.fit.protocol == "transfer"

    @model_validator(mode="after")
    def _fits_together(self) -> TrainConfig:
        if self.threshold != "validation" and not 0 < self.threshold < 1:
            raise ValueError(f"threshold {self.threshold}: expected a probability between 0 and 1, or validation")
        if self.fit.protocol == "transfer" and self.model.peer is None:
            raise ValueError("fit.protocol: transfer trains masks alone, and a model of ours would have no presence: "
                             "it is for models named by model.peer")
        if self.fit.protocol == "transfer" and self.fit.steps % self.fit.steps_per_round:
            raise ValueError(f"fit.steps: {self.fit.steps} ends within a round, and fit.protocol: transfer validates "
                             f"whole ones: give a multiple of fit.steps_per_round ({self.fit.steps_per_round})")
        if self.fit.steps == 0 and (self.model.peer is None or self.model.peer.weights is None):
            raise ValueError("fit.steps: 0 takes a model as it was loaded: it is for models named by model.peer, with "
                             "their weights")
        if self.model.peer is not None and (self.slices.context != 1 or self.fit.views or self.fit.click_share):
            raise ValueError("a peer reads three channels, stores no features and takes no clicks: leave "
                             "slices.context at 1, fit.views and fit.click_share at 0")
        return self


def read_config(path: Path | str, overrides: Sequence[str] | None = None) -> TrainConfig:
    """Read a configuration; `overrides` are `key.key=value`, values in YAML. Raises `UsageError` naming the key."""
    return read_settings(TrainConfig, path, overrides or ())


def write_config(config: TrainConfig) -> str:
    """The configuration as YAML that `read_config` takes back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
