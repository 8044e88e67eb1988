"""Settings in YAML: how a file is read, changed by `key.key=value`, and checked, with errors that name the key."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from zeusseg.errors import UsageError


class Part(BaseModel):
    """A group of settings: unknown keys are refused, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Settings = TypeVar("Settings", bound=Part)


def read_settings(kind: type[Settings], path: Path | str, overrides: Sequence[str] = ()) -> Settings:
    """Read a configuration; `overrides` are `key.key=value`, values in YAML. Raises `UsageError` naming the key."""
    try:
        content = changed(read_mapping(Path(path), "configuration"), parse_changes(overrides))
    except ValueError as error:
        raise UsageError(str(error)) from error
    return fitting(kind, content, f"the configuration {path}")


def fitting(kind: type[Settings], content: Mapping[str, Any], what: str) -> Settings:
    """The settings that `content` makes. Raises `UsageError` naming `what` it is and every key that does not fit."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{what} does not fit: {problems(error)}") from error


def read_mapping(path: Path, what: str) -> dict[str, Any]:
    """The mapping in a YAML file. Raises `UsageError` where it cannot be read or holds something else."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read the {what} {path}: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"the {what} {path} must be a mapping of keys to values")
    return content


def parse_changes(overrides: Sequence[str]) -> dict[str, Any]:
    """Changes from `key.key=value`, values in YAML. Raises `ValueError` for one without a value."""
    changes = {}
    for override in overrides:
        key, separator, value = override.partition("=")
        if not separator:
            raise ValueError(f"--set takes key=value, for example fit.steps=200, not {override!r}")
        changes[key] = yaml.safe_load(value)
    return changes


def changed(content: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of nested mappings in which the values at dotted keys are others.

    >>> changed({"fit": {"steps": 5, "seed": 1}}, {"fit.steps": 7, "model.fusion": "late"})
    {'fit': {'steps': 7, 'seed': 1}, 'model': {'fusion': 'late'}}
    """
    result = copy.deepcopy(dict(content))
    for key, value in changes.items():
        *above, last = key.split(".")
        place = result
        for name in above:
            if not isinstance(place.get(name), dict):
                place[name] = {}
            place = place[name]
        place[last] = value
    return result


def problems(error: ValidationError) -> str:
    """Every key that does not fit, and why, in one line."""
    return "; ".join(": ".join(filter(None, (".".join(map(str, e["loc"])), e["msg"]))) for e in error.errors())
