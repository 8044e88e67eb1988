"""What leaks from one split into another: patients on both sides, and images that look alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zeusseg.datasets.similar import SimilarPair, find_similar, group_cases
from zeusseg.errors import UsageError

if TYPE_CHECKING:
    from zeusseg.datasets.dataset import Dataset


@dataclass(frozen=True)
class Leaks:
    """What `find_leaks` found.

    `pairs` are all cases that look alike, within a split or not; `across` those that lie in two splits, with the names
    of these. `shared_patients` maps a patient in several splits to them. `groups` maps each case to its group: cases
    of one patient or alike. `unread` are cases that could not be looked at.
    """

    pairs: tuple[SimilarPair, ...]
    across: tuple[tuple[SimilarPair, str, str], ...]
    shared_patients: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, str]
    unread: Mapping[str, str]

    @property
    def leaks(self) -> bool:
        return bool(self.across or self.shared_patients)

    def to_text(self) -> str:
        """A few lines: what leaks, and what else is worth knowing."""
        identical = [pair for pair in self.pairs if pair.identical]
        lines = [
            f"{len(self.groups)} cases in {len(set(self.groups.values()))} groups; {len(self.pairs)} pairs look alike, "
            f"{len(identical)} of them are identical",
            f"across splits: {len(self.across)} pairs and {len(self.shared_patients)} patients",
        ]
        lines += [f"patient {name!r} is in {' and '.join(splits)}" for name, splits in self.shared_patients.items()]
        lines += [
            f"{pair.first!r} in {a} and {pair.second!r} in {b} look alike (correlation {pair.correlation:.3f})"
            + (", the same image" if pair.identical else "")
            for pair, a, b in self.across
        ]
        lines += [
            f"{pair.first!r} and {pair.second!r} are the same image with different labels"
            for pair in identical if pair.labels_differ
        ]  # fmt: skip
        return "\n".join([*lines, *(f"not looked at: {case}: {reason}" for case, reason in self.unread.items())])


def find_leaks(dataset: Dataset, splits: Mapping[str, Sequence[str]], *, progress: bool = True) -> Leaks:
    """Compare every case with every other one, of the data set where `splits` is empty, else of the splits."""
    side = {case_id: name for name, ids in splits.items() for case_id in ids}
    case_ids = [case_id for case_id in dataset.case_ids if not splits or case_id in side]
    pairs, unread = find_similar(dataset, case_ids, progress=progress)
    in_splits: dict[str, set[str]] = {}
    for case_id, name in side.items():
        in_splits.setdefault(dataset.patients[case_id], set()).add(name)
    return Leaks(
        pairs=tuple(pairs),
        across=tuple(
            (pair, side[pair.first], side[pair.second])
            for pair in pairs
            if pair.first in side and side[pair.first] != side[pair.second]
        ),
        shared_patients={name: tuple(sorted(found)) for name, found in in_splits.items() if len(found) > 1},
        groups=group_cases(case_ids, dataset.patients, pairs),
        unread=unread,
    )


def without_leaks(splits: Mapping[str, Sequence[str]], groups: Mapping[str, str], keep: str) -> dict[str, list[str]]:
    """The splits with whole groups: what `keep` (the split that is trained on) shares with others is left out of it.

    Groups that several of the other splits share stay in the first of these. In a pool of data sets the same case may
    be in several splits: it stays in all of them, or, where it is trained on, in none. Raises `UsageError` where `keep`
    is no split, or nothing of it is left.
    """
    if keep not in splits:
        raise UsageError(f"there is no split {keep!r} to leave cases out of: there are {', '.join(splits)}")
    trained = set(splits[keep])
    others = [name for name in splits if trained.isdisjoint(splits[name])]
    taken: dict[str, str] = {}
    cleaned: dict[str, list[str]] = {}
    for name in dict.fromkeys([*others, keep, *splits]):
        cleaned[name] = [
            case for case in splits[name]
            if (first := taken.setdefault(groups[case], name)) == name or case in cleaned[first]
        ]  # fmt: skip
    if not cleaned[keep]:
        raise UsageError(f"every case of {keep!r} looks like one of another split: draw the splits anew by groups.json")
    return {name: cleaned[name] for name in splits}
