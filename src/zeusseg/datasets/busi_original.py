"""Layout `busi`: breast ultrasound as its owners publish it (BUSI, Al-Dhabyani et al. 2020,
doi 10.1016/j.dib.2019.104863).

    Dataset_BUSI_with_GT/benign/benign (1).png, benign (1)_mask.png, benign (1)_mask_1.png, …

and the same in malignant/ and normal/. A picture with several lesions has several masks, which are united.
"""

from __future__ import annotations

import re
from pathlib import Path

from zeusseg.datasets.listing import PICTURE_NAME, FoundCase, ImageFile, Listing, image_stem, images_in

FOLDER = "Dataset_BUSI_with_GT"
CLASSES = ("benign", "malignant", "normal")
_MASK = re.compile(r"(.+)_mask(?:_\d+)?")


def recognise(root: Path) -> bool:
    """Whether this is the folder of the three classes, or one that holds nothing else."""
    folder = _pictures(root)
    return all(any((folder / name).glob(f"{name} (*)_mask.png")) for name in CLASSES)


def read(root: Path) -> Listing:
    """One case per picture, such as `benign (1)`, and its class, which is the owners' diagnosis."""
    cases: list[FoundCase] = []
    problems: list[str] = []
    for name in CLASSES:
        pictures: dict[str, Path] = {}
        masks: dict[str, list[Path]] = {}
        for path in images_in(_pictures(root) / name):
            mask = _MASK.fullmatch(image_stem(path))
            if mask is None:
                pictures[image_stem(path)] = path
            else:
                masks.setdefault(mask[1], []).append(path)
        for case_id, path in pictures.items():
            own = masks.pop(case_id, [])
            image = ((PICTURE_NAME, ImageFile(path)),)
            cases.append(FoundCase(case_id, image, own[0] if own else None, tuple(own[1:]), about={"class": name}))
        problems += [f"{path}: a mask without its picture" for paths in masks.values() for path in paths]
    return Listing(root, "busi", tuple(cases), "BUSI", labels_are_masks=True, problems=tuple(problems))


def _pictures(root: Path) -> Path:
    # Beside other data sets it is one of a pool.
    folders = [path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return root / FOLDER if folders == [FOLDER] else root
