"""Layout `brats`: one folder per case, whose files carry its name: ID/ID_flair.nii.gz, ID/ID_seg.nii.gz."""

from __future__ import annotations

from pathlib import Path

from zeusseg.datasets.folder import case_folders, list_cases
from zeusseg.datasets.listing import Listing, images_in


def recognise(root: Path) -> bool:
    """Whether most case folders name all their images after themselves."""
    folders = case_folders(root)
    named = [all(path.name.startswith(folder.name) for path in images_in(folder)) for folder in folders]
    return 2 * sum(named) > len(folders)


def read(root: Path) -> Listing:
    return list_cases(root, "brats")
