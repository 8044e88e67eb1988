"""Layout `msd` (Medical Segmentation Decathlon): dataset.json lists the files; the fourth axis holds modalities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zeusseg.datasets.listing import (
    FoundCase,
    ImageFile,
    Listing,
    image_stem,
    label_values,
    numbered_names,
    read_dataset_json,
)
from zeusseg.errors import UsageError


def recognise(root: Path) -> bool:
    if not (root / "dataset.json").is_file():
        return False
    content = read_dataset_json(root)
    listed = content.get("training")
    if "modality" not in content or not isinstance(listed, list) or not listed or not isinstance(listed[0], dict):
        return False
    # nnU-Net v1 lists its cases the same way, but its files end in _0000.
    return (root / str(listed[0].get("image", ""))).is_file() or not any((root / "imagesTr").glob("*_0000.*"))


def read(root: Path) -> Listing:
    """Cases of `training` with labels and of `test` without. Raises `UsageError` for a broken dataset.json."""
    path = root / "dataset.json"
    content = read_dataset_json(root)
    channels = numbered_names(content, "modality", path)
    targets, ignore = label_values(content, path)
    cases = []
    for entry in [*content.get("training", []), *content.get("test", [])]:
        image, label = _files(root, entry)
        images = tuple(
            (name, ImageFile(image, number if len(channels) > 1 else None)) for number, name in enumerate(channels)
        )
        cases.append(FoundCase(image_stem(image), images, label))
    return Listing(
        root,
        "msd",
        tuple(cases),
        str(content.get("name") or root.name),
        label_values=targets,
        ignore=ignore,
        channel_names=channels,
    )


def _files(root: Path, entry: Any) -> tuple[Path, Path | None]:
    if isinstance(entry, str):
        return root / entry, None
    if isinstance(entry, dict) and isinstance(entry.get("image"), str):
        label = entry.get("label")
        return root / entry["image"], None if label is None else root / str(label)
    raise UsageError(f"{root / 'dataset.json'}: {entry!r} is neither a file name nor {{'image': …, 'label': …}}")
