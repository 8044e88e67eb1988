"""Layout `pictures`: a folder of pictures and, beside it, a folder of their masks, as owners of picture data sets
publish them. A mask carries its picture's name, or that name with something before or after it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zeusseg.datasets.listing import PICTURE_NAME, FoundCase, ImageFile, Listing, image_stem, images_in


@dataclass(frozen=True)
class FolderPair:
    """Where pictures and their masks lie under the data set's folder."""

    images: str
    masks: str
    name: str = ""
    """What the data set is called, where these folders are its own and no other's."""
    split: str | None = None
    """The split that the owners publish as this pair."""


PAIRS = (
    # CVC-ClinicDB's archive holds these two; a widespread copy of it keeps them once as TIFF and once as PNG.
    FolderPair("Original", "Ground Truth", "CVC-ClinicDB"),
    FolderPair("PNG/Original", "PNG/Ground Truth", "CVC-ClinicDB"),
    # Both of BKAI-IGH NeoPolyp's archives repeat their name inside; its test pictures have no masks and stay unread.
    FolderPair("train/train", "train_gt/train_gt", "BKAI-IGH NeoPolyp"),
    FolderPair("ETIS-LaribPolypDB", "Ground Truth", "ETIS-LaribPolypDB"),
    FolderPair(
        "ISBI2016_ISIC_Part1_Training_Data", "ISBI2016_ISIC_Part1_Training_GroundTruth", "ISIC 2016 task 1", "train"
    ),
    FolderPair("ISBI2016_ISIC_Part1_Test_Data", "ISBI2016_ISIC_Part1_Test_GroundTruth", "ISIC 2016 task 1", "test"),
    FolderPair("DFUC2022_train_images", "DFUC2022_train_masks", "DFUC 2022"),
    # Kvasir-SEG, CVC-300, CVC-ColonDB and many others: only the folder's own name tells which.
    FolderPair("images", "masks"),
)
MASK_NAMES = (
    "{}",
    "{}_Segmentation",  # ISIC
    "p{}",  # ETIS-LaribPolypDB
)


def recognise(root: Path) -> bool:
    return bool(_pairs(root))


def read(root: Path) -> Listing:
    """One case per picture, split where the owners publish a split. A mask without its picture is a problem."""
    cases: list[FoundCase] = []
    splits: dict[str, tuple[str, ...]] = {}
    problems: list[str] = []
    pairs = _pairs(root)
    for pair in pairs:
        masks = {image_stem(path): path for path in images_in(root / pair.masks)}
        found = [_case(path, masks) for path in images_in(root / pair.images)]
        used = {case.label for case in found}
        problems += [f"{path}: a mask without its picture" for path in masks.values() if path not in used]
        if pair.split is not None:
            splits[pair.split] = tuple(case.id for case in found)
        cases += found
    return Listing(
        root,
        "pictures",
        tuple(cases),
        next((pair.name for pair in pairs if pair.name), root.name),
        labels_are_masks=True,
        splits=splits or None,
        problems=tuple(problems),
    )


def _pairs(root: Path) -> list[FolderPair]:
    return [pair for pair in PAIRS if (root / pair.images).is_dir() and (root / pair.masks).is_dir()]


def _case(picture: Path, masks: dict[str, Path]) -> FoundCase:
    stem = image_stem(picture)
    named = (masks.get(name.format(stem)) for name in MASK_NAMES)
    return FoundCase(stem, ((PICTURE_NAME, ImageFile(picture)),), next((mask for mask in named if mask), None))
