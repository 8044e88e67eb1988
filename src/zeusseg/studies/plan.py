"""What a study has to do: which models are trained on which patients, and what each of them is tested on."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zeusseg.datasets import Dataset
from zeusseg.datasets.splits import read_splits
from zeusseg.errors import UsageError
from zeusseg.models.zeus import PRETRAINED, RANDOM
from zeusseg.studies.config import StudyConfig
from zeusseg.studies.splits import study_splits
from zeusseg.training.config import TrainConfig, read_config

Splits = Mapping[str, tuple[str, ...]]
ALL_MODALITIES = "all"


@dataclass(frozen=True)
class Setting:
    """What a model is tested on: a split, and the modalities that it is shown (empty: all that a case has)."""

    split: str
    modalities: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        return "+".join(self.modalities) or ALL_MODALITIES

    @property
    def label(self) -> str:
        return f"{self.split}, {'all modalities' if not self.modalities else self.shown + ' only'}"

    @property
    def place(self) -> Path:
        return Path(self.split, *([self.shown] if self.modalities else []))

    def case_ids(self, dataset: Dataset, splits: Splits) -> list[str]:
        """The cases of the split that have any of the modalities."""
        wanted = set(self.modalities or dataset.modalities)
        return [case_id for case_id in splits[self.split] if wanted & set(dataset.files[case_id].images)]


@dataclass(frozen=True)
class Job:
    """One model of a study: an arm with a seed, and the fold it is tested on where there are folds."""

    arm: str
    seed: int
    fold: int | None
    config: TrainConfig
    splits: Splits

    @property
    def place(self) -> Path:
        """Its folder below `runs` and below `predictions`."""
        return Path(self.arm, f"seed-{self.seed}", *([] if self.fold is None else [f"fold-{self.fold}"]))

    @property
    def frozen(self) -> bool:
        """Whether its vision encoder is, so that a store of features serves it."""
        model = self.config.model
        return model.vision.startswith((PRETRAINED, RANDOM)) and not (model.lora_rank or model.unfrozen_blocks)

    @property
    def has_views(self) -> bool:
        """Whether what it is trained on can be stored too: so many views of a slice and no more."""
        return self.config.fit.views > 0 or not self.config.fit.augment

    @property
    def label(self) -> str:
        return f"{self.arm}, seed {self.seed}" + ("" if self.fold is None else f", fold {self.fold}")


@dataclass(frozen=True)
class Plan:
    """All models, seed by seed so that every arm soon has a result; what they are tested on, the question's own first.

    `sides` are the groups of cases that must not share patients or images.
    """

    jobs: tuple[Job, ...]
    settings: tuple[Setting, ...]
    sides: Splits


def make_plan(study: StudyConfig, dataset: Dataset, *, progress: bool = True) -> Plan:
    """Raises `UsageError` where a split, a modality or enough patients are not there, or training cases are tested."""
    configs = {
        (seed, arm): study.config_of(arm, seed)
        for seed in study.seeds for arm in study.arms if seed in study.seeds_of(arm)
    }  # fmt: skip
    base = study.base()
    splits: Splits = {} if study.folds and dataset.splits is None else study_splits(study, dataset, progress=progress)
    tested = [study.main_split, *study.also_on]
    for name in study.also_on if study.folds else tested:
        if not splits.get(name):
            raise UsageError(f"the split has no cases called {name!r}: it has {', '.join(sorted(splits)) or 'none'}")
    for (_, arm), config in configs.items():
        if config.train_on in tested:
            raise UsageError(f"the arm {arm!r} would be tested on {config.train_on!r}, which it is trained on")
        if config.calibrate_on in tested and config.chooses:
            raise UsageError(
                f"the arm {arm!r} would be tested on {config.calibrate_on!r}, which chooses its threshold or when it "
                "stops: name another split in calibrate_on or in test_on"
            )
        if not study.folds and not splits.get(config.train_on):
            raise UsageError(f"the arm {arm!r} is trained on {config.train_on!r}: there is {', '.join(sorted(splits))}")

        if not study.folds:
            _refuse_shared_cases(arm, config, splits, tested)

    settings = [Setting(study.main_split), *(Setting(name) for name in study.also_on)]
    settings += [Setting(study.main_split, names) for names in _subsets(study, dataset.modalities)]
    if study.folds is None:
        jobs = [Job(arm, seed, None, config, splits) for (seed, arm), config in configs.items()]
        return Plan(tuple(jobs), tuple(settings), splits)

    further = {name: splits[name] for name in study.also_on}
    folds = draw_folds(dataset, study.folds, base.fit.seed, frozenset(itertools.chain(*further.values())))
    jobs = []
    for (seed, arm), config in configs.items():
        for number, fold in enumerate(folds):
            others = tuple(itertools.chain(*(other for other in folds if other is not fold)))
            jobs.append(Job(arm, seed, number, config, {config.train_on: others, study.main_split: fold, **further}))
    sides = {f"fold-{number}": fold for number, fold in enumerate(folds)} | further
    return Plan(tuple(jobs), tuple(settings), sides)


def draw_folds(dataset: Dataset, count: int, seed: int, left_out: frozenset[str]) -> list[tuple[str, ...]]:
    """Share all labelled cases but those `left_out`, and their patients', among `count` folds of nearly equal numbers
    of patients; the same for the same seed and patients. Raises `UsageError` for fewer patients than folds."""
    elsewhere = {dataset.patients[case_id] for case_id in left_out}
    cases = [i for i in dataset.case_ids if dataset.files[i].label is not None and dataset.patients[i] not in elsewhere]
    patients = sorted({dataset.patients[case_id] for case_id in cases})
    if len(patients) < count:
        raise UsageError(f"{len(patients)} labelled patients cannot be drawn into {count} folds")
    fold_of = {patients[place]: number % count
               for number, place in enumerate(np.random.default_rng(seed).permutation(len(patients)))}  # fmt: skip
    return [tuple(i for i in cases if fold_of[dataset.patients[i]] == fold) for fold in range(count)]


def refuse_other_runs(plan: Plan, dataset: Dataset, out: Path) -> None:
    """Raise `UsageError` where a run that lies in `out` was made by another configuration, split or data set."""
    digest = dataset.digest()
    for job in plan.jobs:
        run = out / "runs" / job.place
        if not (run / "config.yaml").exists():
            continue
        reasons = _differences(read_config(run / "config.yaml"), job.config)
        kept = read_splits(run / "splits.json") if (run / "splits.json").exists() else job.splits
        if {name: tuple(ids) for name, ids in job.splits.items()} != dict(kept):
            reasons.append("the splits are others")
        facts = json.loads((run / "run.json").read_text(encoding="utf-8")) if (run / "run.json").exists() else {}
        if facts.get("data_digest", digest) != digest:
            reasons.append("the data are others")
        if reasons:
            raise UsageError(
                f"{run} was trained as another arm ({'; '.join(reasons)}): delete {out / 'runs' / job.arm} to have "
                "this arm trained anew, or name another --out"
            )


def _refuse_shared_cases(arm: str, config: TrainConfig, splits: Splits, tested: Sequence[str]) -> None:
    """In a pool of data sets a case is in several splits, under several names."""
    used = set(splits[config.train_on]) | (set(splits.get(config.calibrate_on, ())) if config.chooses else set())
    for name in tested:
        both = sorted(used & set(splits[name]))
        if both:
            raise UsageError(f"the arm {arm!r} would be tested on {both[0]!r} of {name!r}, which it is trained or "
                             "validated on under another split's name")


def _subsets(study: StudyConfig, modalities: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The sets of modalities to test with besides all of them, in the data's order, each once."""
    if study.modalities == "subsets":
        sizes = range(1, len(modalities))
        return [names for size in sizes for names in itertools.combinations(modalities, size)]
    unknown = sorted({name for names in study.modalities for name in names} - set(modalities))
    if unknown:
        raise UsageError(f"`modalities` names {unknown[0]!r}: the data have {', '.join(modalities)}")
    ordered = [tuple(name for name in modalities if name in names) for names in study.modalities]
    return [names for names in dict.fromkeys(ordered) if names and names != modalities]


def _differences(was: TrainConfig, wanted: TrainConfig) -> list[str]:
    before, after = _flat(was.model_dump(mode="json")), _flat(wanted.model_dump(mode="json"))
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return [f"{key} was {before.get(key)}, is {after.get(key)}" for key in keys]


def _flat(content: Mapping[str, object], above: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in content.items():
        flat |= _flat(value, f"{above}{key}.") if isinstance(value, Mapping) else {above + key: value}
    return flat
