"""From what was found to what it is called: modalities, labels, targets and patients of a listing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from zeusseg.case import Target
from zeusseg.datasets.listing import FoundCase, ImageFile, Listing
from zeusseg.datasets.names import MODALITY_WORDS, modality_of, words_of
from zeusseg.datasets.targets import TargetEntry, TargetsFile
from zeusseg.datasets.values import label_values_found, split_label

_FIRST_LABELS = 32


@dataclass(frozen=True)
class CaseFiles:
    """The files of one case. `problem` says why they cannot be used, where they cannot.

    `more_labels` and `mask_values` are as in `FoundCase`.
    """

    images: dict[str, ImageFile]
    label: Path | None = None
    problem: str | None = None
    more_labels: tuple[Path, ...] = ()
    mask_values: tuple[int, ...] = ()


def complete(words: TargetsFile, listing: Listing) -> tuple[TargetsFile, list[str]]:
    """Fill in what the targets files left open, from dataset.json, file names and label values; and notes on that."""
    update: dict[str, object] = {}
    notes: list[str] = []
    if not words.modalities:
        update["modalities"] = _modality_words(listing, words)
    if not words.targets and listing.label_values:
        update["targets"] = {name: TargetEntry(values=list(v)) for name, v in listing.label_values.items()}
    elif not words.targets:
        values = sorted(label_values_found(listing, tuple(words.label), _FIRST_LABELS) - {0, *words.ignore})
        update["targets"] = {f"label {value}": TargetEntry(values=[value]) for value in values}
        if values:
            source = "in masks" if listing.labels_are_masks else f"in the first {_FIRST_LABELS} label files"
            notes.append(f"nothing names the targets: took one per value {source}; name them with --targets FILE")
    ignore = {*words.ignore, *listing.ignore}
    update["ignore"] = sorted(_sums(ignore) - {0} if listing.labels_are_bits else ignore)
    if not words.name:
        update["name"] = listing.name
    return words.model_copy(update=update), notes


def case_files(case: FoundCase, listing: Listing, words: TargetsFile) -> tuple[CaseFiles, list[str]]:
    """The files of a case by modality, in reference order; and notes on files that were left out."""
    named, labels = split_label(case, listing, tuple(words.label))
    by_modality: dict[str, list[ImageFile]] = {key: [] for key in words.modalities}
    notes = []
    for name, file in named:
        key = modality_of(name, words.modalities)
        if key is None:
            notes.append(f"{file.path}: {name!r} is none of the modalities {', '.join(words.modalities)}; left out")
        else:
            by_modality[key].append(file)
    problem = None
    for what, files in [*by_modality.items(), ("labels", labels)]:
        if len(files) > 1:
            paths = ", ".join(str(file.path) for file in files)
            problem = f"case {case.id!r}: {len(files)} files for {what}: {paths}; tell them apart in a targets file"
    images = {key: files[0] for key, files in by_modality.items() if files}
    if not images:
        problem = f"case {case.id!r}: no image that is one of the modalities {', '.join(words.modalities)}"
    label = labels[0].path if labels else None
    return CaseFiles(images, label, problem, case.more_labels, case.mask_values), notes


def named_targets(words: TargetsFile, listing: Listing) -> tuple[Target, ...]:
    """The targets that the words name. Where these give bits, each target has all values that hold one of its bits."""
    targets = words.as_targets()
    if not listing.labels_are_bits:
        return targets
    every = sorted(_sums({value for target in targets for value in target.values} | set(words.ignore)) - {0})
    return tuple(
        replace(target, values=tuple(value for value in every if any(value & bit for bit in target.values)))
        for target in targets
    )


def _sums(bits: Iterable[int]) -> set[int]:
    """All values that have no other bits than these."""
    sums = {0}
    for value in bits:
        sums |= {known | value for known in sums}
    return sums


def _modality_words(listing: Listing, words: TargetsFile) -> dict[str, list[str]]:
    """The usual words, and for names that these miss or confuse within one case the names themselves.

    The usual words of modalities that this folder lacks are kept, so that a run's targets file does not take another
    folder's `t1_post` for its `t1`.
    """
    own: dict[str, list[str]] = {}
    for case in listing.cases:
        names = [name for name, _ in split_label(case, listing, tuple(words.label))[0]]
        times = Counter(modality_of(name, MODALITY_WORDS) for name in names)
        for name in names:
            key = modality_of(name, MODALITY_WORDS)
            if (key is None or times[key] > 1) and words_of(name):
                own["_".join(words_of(name))] = [" ".join(words_of(name))]
    return {**MODALITY_WORDS, **{key: own[key] for key in sorted(own) if key not in MODALITY_WORDS}}
