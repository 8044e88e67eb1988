"""Splits by patient: those a data set comes with, and those drawn by seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zeusseg.datasets.listing import read_json
from zeusseg.errors import UsageError

if TYPE_CHECKING:
    from zeusseg.datasets.dataset import Dataset


def read_splits(path: Path) -> dict[str, tuple[str, ...]]:
    """Read splits.json (name → case ids). Raises `UsageError` naming the file."""
    content = read_json(path)
    if not isinstance(content, dict) or not all(isinstance(ids, list) for ids in content.values()):
        raise UsageError(f"{path} must map the name of each split to a list of case ids")
    return {str(name): tuple(str(case_id) for case_id in ids) for name, ids in content.items()}


def read_groups(path: Path, case_ids: Iterable[str]) -> dict[str, str]:
    """Read groups.json (case id → group). Raises `UsageError` naming the file, or a case that is not there."""
    content = read_json(path)
    if not isinstance(content, dict) or not all(isinstance(group, str) for group in content.values()):
        raise UsageError(f"{path} must map each case id to the name of its group, as `zeusseg check-splits` writes it")
    unknown = sorted(set(content) - set(case_ids))
    if unknown:
        raise UsageError(f"{path} names the case {unknown[0]!r}, which the data do not hold")
    return {str(case_id): str(group) for case_id, group in content.items()}


def check_splits(splits: Mapping[str, Iterable[str]], patients: Mapping[str, str]) -> None:
    """Raise `UsageError` where a split names an unknown case, or two splits share a patient."""
    side: dict[str, tuple[str, str]] = {}
    for split, ids in splits.items():
        for case_id in ids:
            if case_id not in patients:
                raise UsageError(f"split {split!r} names the case {case_id!r}, which the data do not hold")
            other, other_case = side.setdefault(patients[case_id], (split, case_id))
            if other != split:
                raise UsageError(
                    f"patient {patients[case_id]!r} is on both sides: {other_case!r} in split {other!r}, "
                    f"{case_id!r} in split {split!r}; keep all cases of a patient in one split"
                )


def draw_splits(dataset: Dataset, fractions: Mapping[str, float], seed: int) -> dict[str, tuple[str, ...]]:
    """Draw splits by patient, the same for the same seed and patients.

    A value below 1 is a share of the patients, a whole number of at least 1 a count of them; where `train` is not
    named, it gets the rest, else what rounding leaves goes to the largest share. Cases without labels are left out
    where others have some. Raises `UsageError` where the values do not fit the patients there are.
    """
    labelled = [case_id for case_id in dataset.case_ids if dataset.files[case_id].label is not None]
    cases = labelled or list(dataset.case_ids)
    patients = sorted({dataset.patients[case_id] for case_id in cases})
    counts = _counts(dict(fractions), len(patients))
    order = [patients[place] for place in np.random.default_rng(seed).permutation(len(patients))]
    splits = {}
    for name, count in counts.items():
        drawn, order = set(order[:count]), order[count:]
        splits[name] = tuple(case_id for case_id in cases if dataset.patients[case_id] in drawn)
    return splits


def _counts(wanted: dict[str, float], total: int) -> dict[str, int]:
    wrong = [name for name, value in wanted.items() if value <= 0 or (value > 1 and value != int(value))]
    if wrong:
        raise UsageError(f"split {wrong[0]!r} asks for {wanted[wrong[0]]}: expected a share below 1 or a whole number")
    is_share = {name: isinstance(value, float) and value <= 1 for name, value in wanted.items()}
    counts = {name: max(1, round(value * total)) if is_share[name] else int(value) for name, value in wanted.items()}
    if "train" not in wanted:
        counts["train"] = total - sum(counts.values())
    elif all(is_share.values()) and abs(sum(wanted.values()) - 1) < 1e-6:
        counts[max(wanted, key=lambda name: wanted[name])] += total - sum(counts.values())
    if sum(counts.values()) > total or min(counts.values()) < 1:
        raise UsageError(f"cannot draw {counts} out of {total} patients: every split needs one at least")
    return counts
