"""What a study is told. One YAML file, checked when read: a question, a base configuration, arms as changes to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, field_validator, model_validator

from zeusseg.errors import UsageError
from zeusseg.files import target_file_name
from zeusseg.settings import Part, changed, fitting, parse_changes, read_mapping
from zeusseg.studies.oracle import is_oracle
from zeusseg.studies.splits import DrawnSplit
from zeusseg.training.config import TrainConfig

# Keys of an arm that say something about it; every other key of an arm is a change to the configuration.
ABOUT = ("note", "control", "oracle", "seeds")
# Decided by the study for all arms: arms that were trained or tested on other patients could not be paired.
OF_THE_STUDY = ("fit.seed", "split")


class ArmConfig(Part):
    """One arm: `changes` (dotted key to value) to the base configuration, and what readers should know of it.

    `control`: not a method that anybody would use, but one that shows what another gains. `oracle`: it may use text
    made from reference masks. `seeds`: its own, where it is too slow for all of the study's.
    """

    changes: dict[str, Any] = Field(default_factory=dict)
    note: str = ""
    control: bool = False
    oracle: bool = False
    seeds: tuple[int, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _from_changes(cls, given: Any) -> Any:
        """A mapping of changes, or a list of `key=value` and mappings, as files have them; None: nothing is changed."""
        items = given if isinstance(given, list) else [given or {}]
        changes: dict[str, Any] = {}
        for item in items:
            if not isinstance(item, str | dict):
                raise ValueError(f"an arm is made of changes such as model.fusion: late, not of {item!r}")
            changes |= parse_changes([item]) if isinstance(item, str) else item
        about = {key: changes.pop(key) for key in ABOUT if key in changes}
        wrong = [key for key in changes if key in OF_THE_STUDY or str(key).split(".")[0] in OF_THE_STUDY]
        if wrong:
            raise ValueError(f"{wrong[0]} is the same for all arms of a study: set it in `seeds` or in `config`")
        return {"changes": changes, **about}


class StudyConfig(Part):
    """A whole study. `config` is the base configuration as a mapping, on which every arm makes its changes.

    Tested is on the split `test_on`, or on `folds` drawn by patient; besides with fewer modalities (`modalities`: lists
    of them, or all `subsets`) and on the splits `also_on`. `compare` are the pairs of arms that the question is about;
    None: all.

    `splits` are drawn from those that the data come with (`studies.splits`), and training cases that look like a tested
    one are refused or left out (`leaks`). With `language` every model also takes the language test, on the split that
    it is tested on.
    """

    name: str
    question: str
    config: dict[str, Any] = Field(default_factory=dict)
    arms: dict[str, ArmConfig] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    test_on: str | None = None
    folds: int | None = Field(default=None, ge=2)
    modalities: Literal["subsets"] | tuple[tuple[str, ...], ...] = ()
    also_on: tuple[str, ...] = ()
    metrics: tuple[str, ...] = Field(default=("dice",), min_length=1)
    compare: tuple[tuple[str, str], ...] | None = None
    splits: dict[str, DrawnSplit] = Field(default_factory=dict)
    leaks: Literal["refuse", "leave out"] = "refuse"
    language: bool = False

    @field_validator("arms")
    @classmethod
    def _names_are_folders(cls, arms: dict[str, ArmConfig]) -> dict[str, ArmConfig]:
        wrong = [name for name in arms if target_file_name(name) != name]
        if wrong:
            raise ValueError(f"the arm {wrong[0]!r} cannot be the name of a folder")
        return arms

    @field_validator("seeds", "also_on", "metrics")
    @classmethod
    def _each_once(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise ValueError(f"{list(values)} names one of them twice")
        return values

    @model_validator(mode="after")
    def _fits_together(self) -> StudyConfig:
        if self.folds is not None and self.test_on is not None:
            raise ValueError("give `test_on` or `folds`, not both")
        if self.folds is not None and (self.splits or self.leaks != "refuse" or self.language):
            raise ValueError("`splits`, `leaks` and `language` are for a split that is tested on, not for `folds`")
        for name, arm in self.arms.items():
            if arm.oracle and "oracle" not in name:
                raise ValueError(f"the arm {name!r} uses oracle text: let its name say so (as in {name}-oracle), since "
                                 "that stands in every file and table")
            others = sorted(set(arm.seeds or ()) - set(self.seeds))
            if others:
                raise ValueError(f"the arm {name!r} has the seed {others[0]}, but the study only {self.seeds}")
        for pair in self.compare or ():
            unknown = [name for name in pair if name not in self.arms]
            if unknown:
                raise ValueError(f"`compare` names the arm {unknown[0]!r}: there are {', '.join(self.arms)}")
            if pair[0] == pair[1]:
                raise ValueError(f"`compare` sets the arm {pair[0]!r} against itself")
        return self

    def seeds_of(self, arm: str) -> tuple[int, ...]:
        """The seeds that an arm is trained with."""
        return self.arms[arm].seeds or self.seeds

    @property
    def main_split(self) -> str:
        """The split that the question is answered on; with `folds`, each fold is the `test` of its own model."""
        return "test" if self.folds else self.test_on or "val"

    def base(self) -> TrainConfig:
        """The base configuration by itself. Raises `UsageError` naming the key that does not fit."""
        return fitting(TrainConfig, self.config, "the base configuration")

    def config_of(self, arm: str, seed: int) -> TrainConfig:
        """The training configuration of an arm. Raises `UsageError` naming the arm and the key that does not fit."""
        content = changed(self.config, {**self.arms[arm].changes, "fit.seed": seed})
        config = fitting(TrainConfig, content, f"the arm {arm!r}")
        if is_oracle(config.writer) and not self.arms[arm].oracle:
            raise UsageError(
                f"the arm {arm!r} would use text made from reference masks ({config.writer}): mark it `oracle: true`"
            )
        return config


def read_study(path: Path | str, overrides: Sequence[str] = ()) -> StudyConfig:
    """Read a study; `overrides` (`key.key=value`, values in YAML) change its base configuration.

    `config` may be the path of a configuration, from the study's own folder. Every arm is checked. Raises `UsageError`
    naming the file and the key.
    """
    path = Path(path)
    content = read_mapping(path, "study")
    base = content.get("config") or {}
    if isinstance(base, str):
        base = read_mapping(path.parent / base, "configuration")
    try:
        content["config"] = changed(base, parse_changes(overrides)) if isinstance(base, dict) else base
    except ValueError as error:
        raise UsageError(str(error)) from error
    study = fitting(StudyConfig, content, f"the study {path}")
    study.base()
    for arm in study.arms:
        study.config_of(arm, study.seeds[0])
    return study


def write_study(study: StudyConfig) -> str:
    """The study as YAML that `read_study` takes back; its base configuration is written out."""
    content = {key: value for key, value in study.model_dump(mode="json").items() if value is not None}
    content["arms"] = {
        name: {**arm.changes, **arm.model_dump(mode="json", exclude={"changes"}, exclude_defaults=True)}
        for name, arm in study.arms.items()
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
