"""Layout `pooled`: a folder of data sets, each of a layout of its own, as one data set.

Cases and patients are called `MEMBER__ID`, after the sub-folder. Splits of one name are put together, and each is also
there by itself, as `MEMBER-SPLIT`; a member without splits is `MEMBER-all`. The pool's own splits.json replaces all.

Targets of one name are one target. A case of a member that does not know a target counts as one without it, so what is
pooled should either be labelled alike or show other parts of the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from zeusseg.case import Case, Volume
from zeusseg.datasets.dataset import Dataset
from zeusseg.datasets.listing import FoundCase, ImageFile, Listing
from zeusseg.datasets.targets import TargetEntry, TargetsFile
from zeusseg.errors import UsageError

Splits = dict[str, tuple[str, ...]]
LAYOUT = "pooled"
# Case folders below any folder (HGG/ID) look like these, so they are no sign that the folder is a data set of its own.
_GENERIC = ("brats", "folder")


@dataclass(frozen=True, eq=False, kw_only=True)
class PooledDataset(Dataset):
    """A `Dataset` that reads its cases through its members.

    `origins` gives the member and the id there of each case, `values` the pooled value of each member's label values.
    """

    members: Mapping[str, Dataset]
    origins: Mapping[str, tuple[str, str]]
    values: Mapping[str, Mapping[int, int]]

    def read(self, case_id: str, *, labels: bool = True) -> Case:
        self._files(case_id)
        member, own_id = self.origins[case_id]
        case = self.members[member].read(own_id, labels=labels)
        pooled_labels = None if case.labels is None else self._renumbered(case_id, case.labels)
        notices = tuple(f"{member}: {notice}" for notice in case.notices)
        return Case(case_id, self.patients[case_id], case.images, pooled_labels, self.spacing_known, notices)

    def read_labels(self, case_id: str) -> Volume:
        self._files(case_id)
        member, own_id = self.origins[case_id]
        return self._renumbered(case_id, self.members[member].read_labels(own_id))

    def _renumbered(self, case_id: str, labels: Volume) -> Volume:
        values = self.values[self.origins[case_id][0]]
        low = min(values)
        table = np.zeros(max(values) - low + 1, np.min_scalar_type(max(values.values())))
        table[np.array(list(values)) - low] = list(values.values())
        array = table[labels.array.astype(np.intp) - low]
        # A targets file for the pool may name fewer targets than its members do.
        return replace(labels, array=self.label_values(array, self.files[case_id].label or self.root))


@dataclass(frozen=True, kw_only=True)
class PooledListing(Listing):
    """What the members hold, already named; `parts` are their own splits."""

    members: Mapping[str, Dataset]
    words: TargetsFile
    values: Mapping[str, Mapping[int, int]]
    parts: Mapping[str, tuple[str, ...]]

    def pool(self, dataset: Dataset) -> PooledDataset:
        """The data set that was made of this listing, with its members to read through."""
        origins = {_joined(name, own): (name, own) for name, member in self.members.items() for own in member.case_ids}
        made = {entry.name: getattr(dataset, entry.name) for entry in fields(Dataset)}
        if dataset.splits is self.splits:
            # What goes through splits by case keeps the last that holds it: that of the whole pool.
            made["splits"] = {**self.parts, **(self.splits or {})}
        return PooledDataset(**made, members=self.members, origins=origins, values=self.values)


def recognise(root: Path) -> bool:
    """Whether two sub-folders are of layouts that are told by more than folders of images."""
    return sum(_layout(folder) not in (None, *_GENERIC) for folder in _folders(root)) > 1


def read(root: Path) -> PooledListing:
    """Load every sub-folder that is a data set. Raises `UsageError` for fewer than two, and as `load_dataset` does."""
    from zeusseg.datasets.load import load_dataset

    layouts = {folder: _layout(folder) for folder in _folders(root)}
    # Who is on both sides of a split is checked once, over the whole pool.
    members = {path.name: load_dataset(path, name, allow_leaks=True) for path, name in layouts.items() if name}
    if len(members) < 2:
        raise UsageError(f"{root} holds {len(members)} data sets: expected at least two sub-folders of known layouts")
    problems = [f"{folder}: left out: of no known layout" for folder, layout in layouts.items() if not layout]
    problems += [f"{name}: {problem}" for name, dataset in members.items() for problem in dataset.problems]
    one_mask = all(dataset.labels_are_masks for dataset in members.values())
    values = _pooled_values(members)
    parts, splits = _splits(members)
    return PooledListing(
        root,
        LAYOUT,
        tuple(_case(name, dataset, own_id) for name, dataset in members.items() for own_id in dataset.case_ids),
        root.name,
        labels_are_masks=one_mask and all(set(table.values()) <= {0, 1} for table in values.values()),
        splits=splits,
        problems=tuple(problems),
        members=members,
        words=_words(members, values),
        values=values,
        parts=parts,
    )


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _layout(folder: Path) -> str | None:
    from zeusseg.datasets.load import LAYOUTS

    names = (name for name, (recognise_one, _) in LAYOUTS.items() if name != LAYOUT and recognise_one(folder))
    return next(names, None)


def _joined(member: str, own: str) -> str:
    return f"{member}__{own}"


def _case(member: str, dataset: Dataset, own_id: str) -> FoundCase:
    files = dataset.files[own_id]
    return FoundCase(
        _joined(member, own_id),
        tuple((modality, ImageFile(file.path, file.channel)) for modality, file in files.images.items()),
        files.label,
        files.more_labels,
        files.mask_values,
        patient=_joined(member, dataset.patients[own_id]),
        about=dataset.about[own_id],
    )


def _splits(members: Mapping[str, Dataset]) -> tuple[Splits, Splits]:
    """The members' own splits, and those of the pool: of one name put together, and whole members without splits."""
    parts: Splits = {}
    splits: Splits = {}
    for name, dataset in members.items():
        for split, ids in (dataset.splits or {}).items():
            parts[f"{name}-{split}"] = tuple(_joined(name, own_id) for own_id in ids)
            splits[split] = (*splits.get(split, ()), *parts[f"{name}-{split}"])
        if dataset.splits is None:
            splits[f"{name}-all"] = tuple(_joined(name, own_id) for own_id in dataset.case_ids)
    return parts, splits


def _pooled_values(members: Mapping[str, Dataset]) -> dict[str, dict[int, int]]:
    """Each member's label values as the pool's: one value for each set of targets that a voxel may belong to.

    Such a set keeps the value of the first member that has it, unless another set has taken that value.
    """
    pooled: dict[frozenset[str], int] = {frozenset(): 0}
    taken = {0}
    tables: dict[str, dict[int, int]] = {}
    for name, dataset in members.items():
        tables[name] = {0: 0}
        named: dict[int, set[str]] = {value: set() for value in dataset.words.ignore}
        for target in dataset.targets:
            for value in target.values:
                named.setdefault(value, set()).add(target.name)
        for value in sorted(named):
            targets = frozenset(named[value])
            if targets not in pooled:
                pooled[targets] = value if value > 0 and value not in taken else max(taken) + 1
                taken.add(pooled[targets])
            tables[name][value] = pooled[targets]
    return tables


def _words(members: Mapping[str, Dataset], values: Mapping[str, Mapping[int, int]]) -> TargetsFile:
    """The targets in the members' words. A name or synonym stays with the first target that has it."""
    entries: dict[str, TargetEntry] = {}
    owners = {target.name.casefold() for dataset in members.values() for target in dataset.targets}
    for name, dataset in members.items():
        for target in dataset.targets:
            known = entries.get(target.name, TargetEntry(values=[0]))
            new = [word for word in target.synonyms if word.casefold() not in owners]
            owners |= {word.casefold() for word in new}
            mapped = {values[name][value] for value in target.values}
            entries[target.name] = TargetEntry(
                values=sorted({*known.values, *mapped} - {0}),
                synonyms=[*known.synonyms, *new],
                definition=known.definition or target.definition,
            )
    # A member's case names its images by their modalities, so these need no other words.
    modalities = {modality: [modality] for dataset in members.values() for modality in dataset.modalities}
    spacing_known = all(dataset.spacing_known for dataset in members.values())
    return TargetsFile(targets=entries, modalities=modalities, spacing="known" if spacing_known else "unknown")
