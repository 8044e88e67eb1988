"""The splits of a study: the data's own or a draw, renamed and drawn from as the study says, without what leaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, model_validator

from zeusseg.datasets.leaks import find_leaks
from zeusseg.datasets.splits import draw_splits
from zeusseg.errors import UsageError
from zeusseg.settings import Part
from zeusseg.work import notify

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

    Where leaks are left out, what is trained on loses the cases that look like a validated or tested one, what is
    validated on those that look like a tested one, and tested splits stay whole. Of a split that is trained on there is
    a second one, NAME-with-leaks, which keeps them. Raises `UsageError` where a split is not there, or nothing is left.
    """
    base = study.base()
    splits = dict(dataset.splits) if dataset.splits is not None else draw_splits(dataset, base.split, base.fit.seed)
    if not study.splits and study.leaks == "refuse":
        return splits
    # Before anything is drawn: what looks alike within a split goes to one side of the draw.
    leaks = find_leaks(dataset, splits, progress=progress)
    groups = leaks.groups
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
        splits = _cleaned(study, splits, groups, leaks.unread)
    return splits


def _cleaned(
    study: StudyConfig, splits: dict[str, tuple[str, ...]], groups: Mapping[str, str], unread: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    configs = [study.base(), *(study.config_of(arm, study.seeds[0]) for arm in study.arms)]
    tested = {study.main_split, *study.also_on}
    validated = {config.calibrate_on for config in configs} - tested
    trained = {config.train_on.removesuffix(WITH_LEAKS) for config in configs} - tested - validated
    seen: set[str] = set()
    found = dict(splits)
    for names in (tested, validated, trained):
        for name in names & set(splits):
            alike = seen if names is not tested else set()
            kept = tuple(i for i in splits[name] if i not in unread and groups[i] not in alike)
            if not kept:
                raise UsageError(f"nothing of the split {name!r} is left without what looks like tested cases")
            if names is trained:
                found[name + WITH_LEAKS] = splits[name]
            if len(kept) < len(splits[name]):
                left_out = f"{len(splits[name]) - len(kept)} of {len(splits[name])} cases"
                notify(f"{left_out} are left out of {name}: like tested or validated ones, or not readable")
            found[name] = kept
        seen |= {groups[i] for name in names & set(splits) for i in found[name]}
    return found


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
