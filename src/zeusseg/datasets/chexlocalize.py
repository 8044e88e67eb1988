"""Layout `chexlocalize`: chest radiographs and where radiologists saw ten pathologies in them, as Stanford publishes it
(CheXlocalize, Saporta et al. 2022, doi 10.1038/s42256-022-00536-x).

    CheXpert/val/patient64541/study1/view1_frontal.jpg, CheXpert/test/…
    CheXlocalize/gt_segmentations_val.json, gt_segmentations_test.json

A JSON file maps `patient64541_study1_view1_frontal` to its pathologies, and each to a mask of the picture's size in
COCO's run-length encoding: `{"size": [height, width], "counts": "…"}`.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Volume
from zeusseg.datasets.listing import PICTURE_NAME, FoundCase, ImageFile, Listing
from zeusseg.errors import BadInputError
from zeusseg.io import read_header
from zeusseg.io.pictures import picture_affine

SPLITS = ("val", "test")
PATHOLOGIES = (
    "airspace opacity",
    "atelectasis",
    "cardiomegaly",
    "consolidation",
    "edema",
    "enlarged cardiomediastinum",
    "lung lesion",
    "pleural effusion",
    "pneumothorax",
    "support devices",
)
BITS = {name: 1 << place for place, name in enumerate(PATHOLOGIES)}


def recognise(root: Path) -> bool:
    return (root / "CheXpert").is_dir() and any(_segmentations(root, split).is_file() for split in SPLITS)


def read(root: Path) -> Listing:
    """One case per picture, named as the JSON files name it. Pathologies overlap, so each has a bit of the labels."""
    cases: list[FoundCase] = []
    splits: dict[str, tuple[str, ...]] = {}
    for split in SPLITS:
        folder, label = root / "CheXpert" / split, _segmentations(root, split)
        found = [
            FoundCase(
                "_".join(path.relative_to(folder).with_suffix("").parts),
                ((PICTURE_NAME, ImageFile(path)),),
                label if label.is_file() else None,
                patient=path.relative_to(folder).parts[0],
                about={"view": path.stem.rpartition("_")[2]},
            )
            for path in sorted(folder.glob("patient*/study*/view*.jpg"))
        ]
        if found:
            splits[split] = tuple(case.id for case in found)
        cases += found
    return Listing(
        root,
        "chexlocalize",
        tuple(cases),
        "CheXlocalize",
        label_values={name: (bit,) for name, bit in BITS.items()},
        labels_are_bits=True,
        label_reader=read_masks,
        splits=splits,
    )


def read_masks(case_id: str, label: Path, picture: Path) -> Volume:
    """The masks of one picture as a label map, the sum of the bits of its pathologies; 0 where the file names none.

    The file lists only pictures that show some pathology. Raises `BadInputError` where it cannot be followed.
    """
    entries = _read_json(label, label.stat().st_mtime_ns if label.is_file() else 0).get(case_id, {})
    masks = {}
    for name, entry in entries.items():
        if name.lower() not in BITS:
            raise BadInputError(f"{label}: {case_id}: {name!r} is none of {', '.join(PATHOLOGIES)}")
        masks[name.lower()] = _decode(entry, f"{label}: {case_id}: {name}")
    shapes = {mask.shape for mask in masks.values()} or {read_header(picture).shape[:2]}
    if len(shapes) > 1:
        raise BadInputError(f"{label}: {case_id}: its masks differ in size: {sorted(shapes)}")
    array = np.zeros((*shapes.pop(), 1), np.uint16)
    for name, mask in masks.items():
        array[mask != 0] |= BITS[name]
    return Volume.from_file(array, picture_affine(), "picture")


def _segmentations(root: Path, split: str) -> Path:
    return root / "CheXlocalize" / f"gt_segmentations_{split}.json"


@lru_cache(maxsize=len(SPLITS))
def _read_json(path: Path, modified_ns: int) -> dict[str, dict[str, Any]]:
    """A split's file, of some megabytes, kept for the other pictures of the split until the file changes."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadInputError(f"{path}: cannot be read: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(entries, dict) for entries in content.values()):
        raise BadInputError(f"{path}: must map each picture to its pathologies and their masks")
    return content


def _decode(entry: Any, what: str) -> NDArray[np.uint8]:
    """(column, row), 1 inside."""
    from pycocotools import mask as coco

    try:
        mask = coco.decode({"size": entry["size"], "counts": entry["counts"].encode()})
        # Runs that end too early leave pixels as they happen to lie in memory; whole ones come out as they went in.
        whole = coco.encode(mask)["counts"].decode() == entry["counts"]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadInputError(f"{what}: not a mask in COCO's run-length encoding ({error})") from error
    if not whole:
        raise BadInputError(f"{what}: truncated or corrupt: its runs do not fill {entry['size']} pixels")
    return mask.T
