"""The splits of a study: the data's own or a draw, renamed and drawn from as the study says, without what leaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from zeusseg.datasets.leaks import find_leaks, without_leaks
from zeusseg.datasets.splits import draw_splits
from zeusseg.errors import UsageError
from zeusseg.settings import Part

if TYPE_CHECKING:
    from zeusseg.datasets import Dataset
    from zeusseg.studies.config import StudyConfig

# What the training split is called with those cases that look like others of a tested or validated split.
WITH_LEAKS = "-with-leaks"


class DrawnSplit(Part):
    """A split made `of` another one: a `share` of its cases, drawn with their like, or (None) all of them."""

    of: str
    share: float | None = Field(default=None, gt=0, lt=1)


def study_splits(study: StudyConfig, dataset: Dataset, *, progress: bool = True) -> dict[str, tuple[str, ...]]:
    """The data's own splits, else one draw for all arms and seeds, since only then can arms be paired by patient; then
    those that the study draws from them, one after the other.

    Where leaks are left out, the training split loses the cases that look like one of another split, and a second one,
    NAME-with-leaks, keeps them. Raises `UsageError` where a split is not there, or nothing is left of one.
    """
    base = study.base()
    splits = dict(dataset.splits) if dataset.splits is not None else draw_splits(dataset, base.split, base.fit.seed)
    if not study.splits and study.leaks == "refuse":
        return splits
    # Before anything is drawn: what looks alike within a split goes to one side of the draw.
    groups = find_leaks(dataset, splits, progress=progress).groups
    for name, drawn in study.splits.items():
        if not splits.get(drawn.of):
            raise UsageError(f"the split {name!r} is drawn of {drawn.of!r}: there is {', '.join(sorted(splits))}")
        if drawn.share is None:
            splits[name] = splits.pop(drawn.of)
        else:
            splits[name], splits[drawn.of] = _draw(splits[drawn.of], groups, drawn.share, base.fit.seed)
    if study.leaks == "leave out":
        trained = base.train_on
        cleaned = {name: tuple(ids) for name, ids in without_leaks(splits, groups, trained).items()}
        splits = {**cleaned, trained + WITH_LEAKS: splits[trained]}
    return splits


def _draw(
    case_ids: Sequence[str], groups: Mapping[str, str], share: float, seed: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Whole groups until they hold the share of the cases, and the rest, both in the order of `case_ids`."""
    names = sorted({groups[case_id] for case_id in case_ids})
    drawn: set[str] = set()
    wanted = share * len(case_ids)
    for place in np.random.default_rng(seed).permutation(len(names)):
        if sum(groups[case_id] in drawn for case_id in case_ids) >= wanted:
            break
        drawn.add(names[place])
    taken = tuple(case_id for case_id in case_ids if groups[case_id] in drawn)
    rest = tuple(case_id for case_id in case_ids if groups[case_id] not in drawn)
    if not rest:
        raise UsageError(f"a share of {share} leaves nothing of {len(case_ids)} cases that look alike: take less")
    return taken, rest
