"""What a layout's reader finds on disk, before anything is named: cases, their files, and what dataset.json says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from zeusseg.case import Volume
from zeusseg.errors import UsageError
from zeusseg.io import image_suffix

# What a picture is called in layouts that have one a case; a targets file gives it its modality.
PICTURE_NAME = "image"


@dataclass(frozen=True)
class ImageFile:
    """One image of a case: a file, or one channel of a 4-D file."""

    path: Path
    channel: int | None = None


@dataclass(frozen=True)
class FoundCase:
    """A case as its layout has it. `images` pairs what names a modality (a file's stem, a channel) with the file.

    In layouts that tell labels by file name, the label file is still among `images`.
    """

    id: str
    images: tuple[tuple[str, ImageFile], ...]
    label: Path | None = None
    more_labels: tuple[Path, ...] = ()
    """Further masks of the same case, which belong to `label`."""
    mask_values: tuple[int, ...] = ()
    """Where `label` and `more_labels` are one mask per target: the bit of each. Else they are united."""
    patient: str | None = None
    """The patient, where the layout names one and not the case id."""
    about: Mapping[str, str] = field(default_factory=dict)
    """What the owners publish beside the images: `{"view": "2CH", "age": "56"}`."""


class LabelReader(Protocol):
    """Reads the labels of a case from a file that is no image."""

    def __call__(self, case_id: str, label: Path, picture: Path) -> Volume:
        """The label map, on the grid of the case's first image `picture`. Raises `BadInputError`."""
        ...


@dataclass(frozen=True)
class Listing:
    """All that a layout's reader found under a folder."""

    root: Path
    layout: str
    cases: tuple[FoundCase, ...]
    name: str
    labels_by_name: bool = False
    """Whether label files are still to be told from images, by their names."""
    labels_are_masks: bool = False
    """Whether every label value above 0 means 1."""
    label_values: dict[str, tuple[int, ...]] | None = None
    """The targets of dataset.json and their values, background aside."""
    labels_are_bits: bool = False
    """Whether targets may overlap: each has a bit (1, 2, 4, …), and a label value is the sum of those that meet."""
    label_reader: LabelReader | None = None
    ignore: tuple[int, ...] = ()
    channel_names: tuple[str, ...] = ()
    splits: dict[str, tuple[str, ...]] | None = None
    problems: tuple[str, ...] = ()


def image_stem(path: Path) -> str:
    """A file's name without its image suffix."""
    return path.name[: -len(image_suffix(path) or "")] if image_suffix(path) else path.name


def images_in(folder: Path) -> list[Path]:
    """The image files directly in a folder, by name; hidden ones (and macOS's `._` shadows) are left out."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and image_suffix(path))


def read_json(path: Path) -> Any:
    """Parse a JSON file of a data set. Raises `UsageError` naming it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error


def read_dataset_json(root: Path) -> dict[str, Any]:
    """dataset.json as a dictionary. Raises `UsageError` where it is missing, or no dictionary."""
    content = read_json(root / "dataset.json")
    if not isinstance(content, dict):
        raise UsageError(f"{root / 'dataset.json'} must hold an object with `labels` and `modality` or `channel_names`")
    return content


def numbered_names(content: dict[str, Any], key: str, path: Path) -> tuple[str, ...]:
    """`{"0": "FLAIR", "1": "T1w"}` as a tuple in the order of the numbers. Raises `UsageError`."""
    try:
        return tuple(str(name) for _, name in sorted(content[key].items(), key=lambda item: int(item[0])))
    except (KeyError, AttributeError, ValueError) as error:
        raise UsageError(f"{path}: `{key}` must number the channels, as in {{'0': 'FLAIR', '1': 'T1w'}}") from error


def label_values(content: dict[str, Any], path: Path) -> tuple[dict[str, tuple[int, ...]], tuple[int, ...]]:
    """The targets of `labels` and the values to ignore; both directions, `"1": "RV"` and `"RV": 1`, and regions.

    Raises `UsageError` where an entry is neither.
    """
    targets: dict[str, tuple[int, ...]] = {}
    ignore: list[int] = []
    for key, value in dict(content.get("labels") or {}).items():
        name, given = (value, key) if isinstance(value, str) and str(key).lstrip("-").isdigit() else (key, value)
        try:
            values = tuple(int(v) for v in given) if isinstance(given, list) else (int(given),)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{path}: label {key!r}: {value!r} is not a value, a list of values or a name") from error
        if values == (0,):
            continue
        if name == "ignore":
            ignore.extend(values)
        else:
            targets[str(name)] = values
    return targets, tuple(ignore)
