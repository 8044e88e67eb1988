"""Layout `camus`: echocardiograms as the CAMUS database publishes them (Leclerc et al. 2019,
doi 10.1109/TMI.2019.2900516).

    database_nifti/patient0001/patient0001_2CH_ED.nii.gz, patient0001_2CH_ED_gt.nii.gz, Info_2CH.cfg, …
    database_split/subgroup_training.txt, subgroup_validation.txt, subgroup_testing.txt

The cine sequences between end of diastole and end of systole (`*_half_sequence*`) stay unread.
"""

from __future__ import annotations

import re
from pathlib import Path

from zeusseg.datasets.listing import PICTURE_NAME, FoundCase, ImageFile, Listing, image_stem, images_in
from zeusseg.errors import UsageError

IMAGES = "database_nifti"
SPLITS = {"train": "subgroup_training.txt", "val": "subgroup_validation.txt", "test": "subgroup_testing.txt"}
# What stands in Info_2CH.cfg, by the name it goes by here. The ejection fraction, which follows from the reference
# masks, is left out.
FACTS = {"Sex": "sex", "Age": "age", "ImageQuality": "quality"}
_FRAME = re.compile(r"(patient\d+)_(2CH|4CH)_(ED|ES)")


def recognise(root: Path) -> bool:
    """Whether this is the folder of patients, or the one that it lies in."""
    return any(_images(root).glob("patient*/Info_[24]CH.cfg"))


def read(root: Path) -> Listing:
    """One case per view and phase, such as `patient0001_2CH_ED`, with what its patient's Info file says.

    Raises `UsageError` where an Info or split file cannot be read.
    """
    folder = _images(root)
    cases: list[FoundCase] = []
    problems: list[str] = []
    for patient in sorted(folder.glob("patient*/")):
        files = {image_stem(path): path for path in images_in(patient)}
        for name, path in files.items():
            found = _FRAME.fullmatch(name)
            if found is None:
                continue
            info = patient / f"Info_{found[2]}.cfg"
            if not info.is_file():
                problems.append(f"{info}: there is no such file, so {name} has no sex, age and image quality")
            about = {"view": found[2], "phase": found[3], **(_facts(info) if info.is_file() else {})}
            image = ((PICTURE_NAME, ImageFile(path)),)
            cases.append(FoundCase(name, image, files.get(f"{name}_gt"), patient=found[1], about=about))
    splits, missing = _splits(folder.parent / "database_split", cases)
    return Listing(
        root,
        "camus",
        tuple(cases),
        "CAMUS",
        label_values={"left ventricular cavity": (1,), "myocardium": (2,), "left atrium": (3,)},
        splits=splits or None,
        problems=(*problems, *missing),
    )


def _images(root: Path) -> Path:
    return root / IMAGES if (root / IMAGES).is_dir() else root


def _facts(path: Path) -> dict[str, str]:
    """The lines `Sex: F`, `Age: 56`, `ImageQuality: Good`."""
    lines = (line.partition(":") for line in _text(path).splitlines())
    stated = {key.strip(): value.strip() for key, _, value in lines}
    return {name: stated[key] for key, name in FACTS.items() if stated.get(key)}


def _splits(folder: Path, cases: list[FoundCase]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """The published splits, of patients, as splits of cases; and which of their patients are not here."""
    here = {case.patient for case in cases}
    splits: dict[str, tuple[str, ...]] = {}
    problems: list[str] = []
    for name, file in SPLITS.items():
        if not (folder / file).is_file():
            continue
        patients = _text(folder / file).split()
        named = set(patients)
        splits[name] = tuple(case.id for case in cases if case.patient in named)
        absent = [patient for patient in patients if patient not in here]
        if absent:
            problems.append(f"{folder / file}: {len(absent)} of its patients are not here, such as {absent[0]}")
    return splits, problems


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
