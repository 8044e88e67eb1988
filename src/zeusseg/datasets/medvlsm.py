"""Layout `medvlsm`: pictures in images/, their masks in masks/, and anns/SPLIT.json that lists both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zeusseg.datasets.listing import FoundCase, ImageFile, Listing, image_stem, images_in, read_json
from zeusseg.errors import UsageError

PICTURE_NAME = "image"


def recognise(root: Path) -> bool:
    return (root / "images").is_dir() and (root / "masks").is_dir()


def read(root: Path) -> Listing:
    """One case per picture, split as the annotation files are. Their prompts, being oracle text, stay unread.

    Without annotation files, a mask belongs to the picture of the same stem. Raises `UsageError` where an annotation
    file cannot be followed.
    """
    masks: dict[str, Path | None] = {image_stem(path): path for path in images_in(root / "masks")}
    images = {image_stem(path): path for path in images_in(root / "images")}
    splits: dict[str, tuple[str, ...]] = {}
    for path in sorted((root / "anns").glob("*.json")):
        ids = []
        for image, mask in _annotated(root, path):
            images[image_stem(image)], masks[image_stem(image)] = image, mask
            ids.append(image_stem(image))
        splits[path.stem] = tuple(dict.fromkeys(ids))
    listed = {case_id for ids in splits.values() for case_id in ids}
    unlisted = [path for case_id, path in images.items() if splits and case_id not in listed]
    return Listing(
        root,
        "medvlsm",
        tuple(FoundCase(name, ((PICTURE_NAME, ImageFile(path)),), masks.get(name)) for name, path in images.items()),
        root.name,
        labels_are_masks=True,
        splits=splits or None,
        problems=tuple(f"{path}: in no annotation file, so in no split" for path in unlisted),
    )


def _annotated(root: Path, path: Path) -> list[tuple[Path, Path | None]]:
    entries: Any = read_json(path)
    if not isinstance(entries, list):
        raise UsageError(f"{path}: expected a list of annotations, each with `img_name`")
    found: list[tuple[Path, Path | None]] = []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("img_name"), str):
            raise UsageError(f"{path}: an annotation without `img_name`: {str(entry)[:80]}")
        mask = entry.get("mask_name")
        found.append((root / "images" / entry["img_name"], root / "masks" / mask if isinstance(mask, str) else None))
    return found
