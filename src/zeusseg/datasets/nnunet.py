"""Layout `nnunet` (raw data of nnU-Net 1 and 2): NAME_0000.nii.gz, NAME_0001.nii.gz … and labelsTr/NAME.nii.gz."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from zeusseg.datasets.listing import (
    FoundCase,
    ImageFile,
    Listing,
    image_stem,
    images_in,
    label_values,
    numbered_names,
    read_dataset_json,
)


def recognise(root: Path) -> bool:
    return (root / "dataset.json").is_file() and any((root / "imagesTr").glob("*_0000.*"))


def read(root: Path) -> Listing:
    """Cases of imagesTr, with labels of labelsTr, and of imagesTs. Raises `UsageError` for a broken dataset.json."""
    path = root / "dataset.json"
    content = read_dataset_json(root)
    channels = numbered_names(content, "channel_names" if "channel_names" in content else "modality", path)
    targets, ignore = label_values(content, path)
    problems: list[str] = []
    cases: list[FoundCase] = []
    for part in ("Tr", "Ts"):
        labels = {image_stem(file): file for file in images_in(root / f"labels{part}")}
        images: defaultdict[str, list[tuple[str, ImageFile]]] = defaultdict(list)
        for file in images_in(root / f"images{part}"):
            numbered = re.fullmatch(r"(.+)_(\d{4})", image_stem(file))
            if numbered is None or int(numbered[2]) >= len(channels):
                problems.append(f"{file}: left out: not NAME_0000 … NAME_{len(channels) - 1:04d}")
                continue
            images[numbered[1]].append((channels[int(numbered[2])], ImageFile(file)))
        cases += [FoundCase(name, tuple(files), labels.pop(name, None)) for name, files in images.items()]
        problems += [f"{file}: a label without an image" for file in labels.values()]
    return Listing(
        root,
        "nnunet",
        tuple(cases),
        str(content.get("name") or re.sub(r"^Dataset\d+_|^Task\d+_", "", root.name)),
        label_values=targets,
        ignore=ignore,
        channel_names=channels,
        problems=tuple(problems),
    )
