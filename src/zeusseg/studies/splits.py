"""The splits of a study: the data's own or a draw, renamed and drawn from as the study says, without what leaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, model_validator

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
    """A split made `of` another one, or of several together: a `share` of its cases, drawn with their like, which it
    then lacks, or (None) all of them, in its place."""

    of: str | tuple[str, ...]
    share: float | None = Field(default=None, gt=0, lt=1)

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.of,) if isinstance(self.of, str) else self.of

    @model_validator(mode="after")
    def _draws_of_one(self) -> DrawnSplit:
        if not self.sources or (self.share is not None and len(self.sources) > 1):
            raise ValueError("a share is drawn of one split: put several together first, without a share")
        return self


def study_splits(study: StudyConfig, dataset: Dataset, *, progress: bool = True) -> dict[str, tuple[str, ...]]:
    """The data's own splits, else one draw for all arms and seeds, since only then can arms be paired by patient; then
    those that the study draws from them, one after the other. Where it draws any, those that it does not use are left
    out: in a pool of data sets they hold the same cases once more.

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
        missing = [source for source in drawn.sources if not splits.get(source)]
        if missing:
            raise UsageError(f"the split {name!r} is made of {missing[0]!r}: there is {', '.join(sorted(splits))}")
        if drawn.share is None:
            together = (case_id for source in drawn.sources for case_id in splits.pop(source))
            splits[name] = tuple(dict.fromkeys(together))
        else:
            source = drawn.sources[0]
            splits[name], splits[source] = _draw(splits[source], groups, drawn.share, base.fit.seed)
    if study.splits:
        splits = {name: ids for name, ids in splits.items() if name in _used(study)}
    if study.leaks == "leave out":
        trained = base.train_on
        cleaned = {name: tuple(ids) for name, ids in without_leaks(splits, groups, trained).items()}
        splits = {**cleaned, trained + WITH_LEAKS: splits[trained]}
    return splits


def _used(study: StudyConfig) -> set[str]:
    """The names of the splits that some arm is trained, validated or tested on."""
    configs = [study.base(), *(study.config_of(arm, study.seeds[0]) for arm in study.arms)]
    names = {name for config in configs for name in (config.train_on, config.calibrate_on)}
    return names | {study.main_split, *study.also_on}


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
