"""From a folder to a `Dataset`: recognise the layout, find the words, name what is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from zeusseg.datasets import (
    brats,
    busi_original,
    camus,
    chexlocalize,
    folder,
    known,
    medvlsm,
    msd,
    nnunet,
    picture_folders,
    pooled,
)
from zeusseg.datasets.dataset import Dataset
from zeusseg.datasets.listing import Listing
from zeusseg.datasets.naming import CaseFiles, case_files, complete, named_targets
from zeusseg.datasets.splits import check_splits, read_groups, read_splits
from zeusseg.datasets.targets import TargetsFile, read_targets_file
from zeusseg.errors import UsageError
from zeusseg.io import image_suffix

LAYOUTS: dict[str, tuple[Callable[[Path], bool], Callable[[Path], Listing]]] = {
    # (recognise, read); asked in this order, the most particular first.
    "nnunet": (nnunet.recognise, nnunet.read),
    "msd": (msd.recognise, msd.read),
    "medvlsm": (medvlsm.recognise, medvlsm.read),
    "pictures": (picture_folders.recognise, picture_folders.read),
    "camus": (camus.recognise, camus.read),
    "busi": (busi_original.recognise, busi_original.read),
    "chexlocalize": (chexlocalize.recognise, chexlocalize.read),
    "pooled": (pooled.recognise, pooled.read),
    "brats": (brats.recognise, brats.read),
    "folder": (folder.recognise, folder.read),
}
OWN_TARGETS_FILE = "targets.yaml"


def load_dataset(
    root: Path | str,
    layout: str | None = None,
    targets_file: Path | None = None,
    *,
    groups_file: Path | None = None,
    splits_file: Path | None = None,
    allow_leaks: bool = False,
) -> Dataset:
    """Find out what is in a folder, without reading images.

    The words come from `targets_file` over the folder's own targets.yaml over the file shipped for this data set; what
    none of them says, from dataset.json and file names. `groups_file` (JSON, case to group, as `check-splits` writes
    it) says which cases belong to one patient, and `splits_file` takes the place of the folder's own splits. Raises
    `UsageError` where the folder or one of these files is unusable, or splits mix patients (unless `allow_leaks`).
    """
    root = Path(root)
    listing = _read_layout(root, layout)
    own_words = listing.words if isinstance(listing, pooled.PooledListing) else known.recognise(listing)
    words = own_words or TargetsFile()
    own = root / OWN_TARGETS_FILE
    for path in ([own] if own.is_file() else []) + ([Path(targets_file)] if targets_file else []):
        words = read_targets_file(path).over(words)
    words, problems = complete(words, listing)
    problems += listing.problems

    files: dict[str, CaseFiles] = {}
    patients: dict[str, str] = {}
    about: dict[str, Mapping[str, str]] = {}
    for case in sorted(listing.cases, key=lambda case: case.id):
        if case.id in files:
            problems.append(f"case {case.id!r}: there are two of this name; the second was left out")
            continue
        files[case.id], notes = case_files(case, listing, words)
        problem = files[case.id].problem
        problems += [*notes, problem] if problem else notes
        about[case.id] = case.about
        patient = case.patient or words.patient_of(case.id)
        if patient is None:
            problems.append(f"case {case.id!r}: patient_pattern does not occur in it; it counts as its own patient")
        patients[case.id] = patient or case.id

    if groups_file is not None:
        patients |= read_groups(Path(groups_file), patients)
    own_splits = Path(splits_file) if splits_file is not None else root / "splits.json"
    splits = read_splits(own_splits) if splits_file is not None or own_splits.is_file() else listing.splits
    check_splits(splits or {}, {case_id: case_id for case_id in patients} if allow_leaks else patients)
    paths = [file.path for case in files.values() for file in case.images.values()]
    dataset = Dataset(
        root=root,
        name=words.name,
        layout=listing.layout,
        words=words,
        targets=named_targets(words, listing),
        modalities=tuple(key for key in words.modalities if any(key in case.images for case in files.values())),
        case_ids=tuple(files),
        patients=patients,
        files=files,
        # A picture says nothing of millimetres.
        spacing_known=words.spacing == "known" and all(image_suffix(p) in (".nii", ".nii.gz") for p in paths),
        splits=splits,
        problems=tuple(problems),
        labels_are_masks=listing.labels_are_masks,
        label_reader=listing.label_reader,
        about=about,
    )
    return listing.pool(dataset) if isinstance(listing, pooled.PooledListing) else dataset


def _read_layout(root: Path, layout: str | None) -> Listing:
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder")
    if layout is not None and layout not in LAYOUTS:
        raise UsageError(f"unknown layout {layout!r}: expected one of {', '.join(LAYOUTS)}")
    names = [layout] if layout else [name for name, (recognise, _) in LAYOUTS.items() if recognise(root)]
    if not names:
        raise UsageError(
            f"{root} is laid out as none of {', '.join(LAYOUTS)}; the plainest is CASE/NAME.nii.gz, one folder per case"
        )
    listing = LAYOUTS[names[0]][1](root)
    if not listing.cases:
        raise UsageError(f"{root} holds no case when read as layout {names[0]!r}")
    return listing
