"""Which data a run is used on, and which cases of them a split means."""

from __future__ import annotations

from pathlib import Path

from zeusseg.datasets import Dataset, load_dataset
from zeusseg.datasets.splits import read_splits
from zeusseg.errors import UsageError


def data_for(run: Path, data: Path, layout: str | None, targets: Path | None) -> Dataset:
    """The data in its own words; in the run's, where its own name none of the model's modalities."""
    from zeusseg.inference.load import load_model

    dataset = load_dataset(data, layout, targets, allow_leaks=True)
    own = run / "targets.yaml"
    if targets is None and own.is_file() and not set(dataset.modalities) & set(load_model(run).modalities):
        return load_dataset(data, layout, own, allow_leaks=True)
    return dataset


def split_cases(dataset: Dataset, split: str | None, drawn_in: list[Path]) -> list[str]:
    """The cases of a split: as the run (or the predictions made with it) keeps it, else as the data say.

    What a run was trained with comes first: the data's own split may hold its training cases. Raises `UsageError` for
    an unknown split, and where two folders keep different ones.
    """
    if split is None:
        return list(dataset.case_ids)
    kept = [read_splits(folder / "splits.json") for folder in drawn_in if (folder / "splits.json").is_file()]
    # A run that was trained on other data says nothing of these.
    own = [splits for splits in kept if split in splits and set(splits[split]) <= set(dataset.case_ids)]
    if any(set(splits[split]) != set(own[0][split]) for splits in own):
        raise UsageError(f"split {split!r} is not the same cases in all of {', '.join(map(str, drawn_in))}")
    splits = own[0] if own else dataset.splits or (kept[0] if kept else {})
    if split not in splits:
        raise UsageError(f"there is no split {split!r}: there are {', '.join(splits) or 'none'}")
    unknown = sorted(set(splits[split]) - set(dataset.case_ids))
    if unknown:
        raise UsageError(f"split {split!r} names the case {unknown[0]!r}, which {dataset.root} does not hold")
    return list(splits[split])
