"""Layout `medvlsm`: pictures in images/, their masks in masks/, and anns/SPLIT.json that lists both.

The annotation files of the transfer study of vision-language segmentation models (arXiv 2308.07706) have one entry per
mask. Where a picture has several, each shows one structure and is named after both: `PICTURE_STRUCTURE.png`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zeusseg.datasets.listing import PICTURE_NAME, FoundCase, ImageFile, Listing, image_stem, images_in, read_json
from zeusseg.datasets.names import words_of
from zeusseg.errors import UsageError

# Structures may overlap, and every combination of them is a label value: 4095 of twelve.
MOST_STRUCTURES = 12
# The names of CAMUS's and of CheXlocalize's pictures say what their owners' own layouts say of view and phase.
_TELLING_NAMES = (
    re.compile(r"patient\d+_(?P<view>2CH|4CH)_(?P<phase>ED|ES)"),
    re.compile(r"patient\d+_study\d+_view\d+_(?P<view>frontal|lateral)"),
)


def recognise(root: Path) -> bool:
    return (root / "images").is_dir() and (root / "masks").is_dir() and any((root / "anns").glob("*.json"))


def read(root: Path) -> Listing:
    """One case per picture, split as the annotation files are. Their prompts, being oracle text, stay unread.

    A picture that no annotation file lists has the mask of its own stem. Where some picture has several masks, the
    targets are the structures that their names tell; they may overlap, and one without an entry is empty. View and
    phase are read from the names of CAMUS's and CheXlocalize's pictures. Raises `UsageError` where an annotation file
    cannot be followed, or several masks do not say what they show.
    """
    images = {image_stem(path): path for path in images_in(root / "images")}
    masks: dict[str, list[Path]] = {}
    splits: dict[str, tuple[str, ...]] = {}
    for path in sorted((root / "anns").glob("*.json")):
        ids = []
        for image, mask in _annotated(root, path):
            case_id = image_stem(image)
            images[case_id] = image
            found = masks.setdefault(case_id, [])
            if mask is not None and mask not in found:
                found.append(mask)
            ids.append(case_id)
        splits[path.stem] = tuple(dict.fromkeys(ids))
    unlisted = [path for case_id, path in images.items() if splits and case_id not in masks]
    several = any(len(found) > 1 for found in masks.values())
    structures = _structures(root, masks) if several else {}
    if not several:
        masks = {image_stem(path): [path] for path in images_in(root / "masks")} | masks
    bits = {name: 1 << place for place, name in enumerate(sorted(set(structures.values())))}
    cases = []
    for case_id, path in images.items():
        found = masks.get(case_id, [])
        values = tuple(bits[structures[mask]] for mask in found) if several else ()
        label, more = (found[0], tuple(found[1:])) if found else (None, ())
        picture = ((PICTURE_NAME, ImageFile(path)),)
        cases.append(FoundCase(case_id, picture, label, more, values, about=_told_by(case_id)))
    return Listing(
        root,
        "medvlsm",
        tuple(cases),
        root.name,
        labels_are_masks=not several,
        labels_are_bits=several,
        label_values={name: (bit,) for name, bit in bits.items()} or None,
        splits=splits or None,
        problems=tuple(f"{path}: in no annotation file, so in no split" for path in unlisted),
    )


def _told_by(case_id: str) -> dict[str, str]:
    """View and phase, where a picture's name is one that tells them."""
    found = (pattern.fullmatch(case_id) for pattern in _TELLING_NAMES)
    return next((match.groupdict() for match in found if match), {})


def _structures(root: Path, masks: Mapping[str, list[Path]]) -> dict[Path, str]:
    """What each mask shows: the rest of its name after its picture's."""
    structures: dict[Path, str] = {}
    for case_id, found in masks.items():
        for mask in found:
            stem = image_stem(mask)
            name = " ".join(words_of(stem.removeprefix(case_id))) if stem.startswith(case_id) else ""
            if not name:
                raise UsageError(
                    f"{root}: the mask {mask.name} of the picture {case_id!r} does not say which structure it shows, "
                    f"but some pictures have several masks: name each PICTURE_STRUCTURE, as in {case_id}_liver.png"
                )
            structures[mask] = name
    names = sorted(set(structures.values()))
    if len(names) > MOST_STRUCTURES:
        raise UsageError(
            f"{root}: the masks' names tell {len(names)} structures ({', '.join(names[:3])}, …): expected at most "
            f"{MOST_STRUCTURES}; unite the masks of one structure first"
        )
    return structures


def _annotated(root: Path, path: Path) -> list[tuple[Path, Path | None]]:
    entries: Any = read_json(path)
    if not isinstance(entries, list):
        raise UsageError(f"{path}: expected a list of annotations, each with `img_name`")
    annotated: list[tuple[Path, Path | None]] = []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("img_name"), str):
            raise UsageError(f"{path}: an annotation without `img_name`: {str(entry)[:80]}")
        name = entry.get("mask_name")
        mask = root / "masks" / name if isinstance(name, str) else None
        annotated.append((root / "images" / entry["img_name"], mask))
    return annotated
