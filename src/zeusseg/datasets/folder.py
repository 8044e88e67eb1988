"""Layout `folder`: DATA/CASE/NAME.nii.gz, or pictures; modalities and labels are told by file name."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from zeusseg.datasets.listing import FoundCase, ImageFile, Listing, image_stem, images_in

# Folders of a case that hold no case of their own would otherwise be searched through a whole disk.
_DEEPEST = 2


def case_folders(root: Path) -> list[Path]:
    """The folders under `root`, at most two levels down, that hold images themselves (as HGG/ID in BraTS 2018)."""
    found: list[Path] = []
    level = [root]
    for _ in range(_DEEPEST):
        inside = [path for folder in level for path in sorted(folder.iterdir()) if _is_folder(path)]
        holding = {path for path in inside if images_in(path)}
        found += sorted(holding)
        level = [path for path in inside if path not in holding]
    return found


def recognise(root: Path) -> bool:
    return bool(case_folders(root))


def read(root: Path) -> Listing:
    return list_cases(root, "folder")


def list_cases(root: Path, layout: str) -> Listing:
    """Every case folder as a case, under the name of the layout it was recognised as."""
    folders = case_folders(root)
    times = Counter(folder.name for folder in folders)
    cases = []
    for folder in folders:
        relative = folder.relative_to(root)
        # Two folders of one name (HGG/01, LGG/01) stay apart by their path.
        case_id = folder.name if times[folder.name] == 1 else "_".join(relative.parts)
        images = tuple((_name(path, folder), ImageFile(path)) for path in images_in(folder))
        cases.append(FoundCase(case_id, images))
    return Listing(root, layout, tuple(cases), root.name, labels_by_name=True)


def _name(path: Path, folder: Path) -> str:
    """What tells the modality: the stem, without the case's own id in front."""
    stem = image_stem(path)
    return stem.removeprefix(folder.name).strip("_-. ") or stem


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")
