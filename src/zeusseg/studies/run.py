"""A study from beginning to end: train every arm with every seed, test it, and say what was found."""

from __future__ import annotations

import itertools
import json
import math
import shlex
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean

from zeusseg.datasets import Dataset
from zeusseg.datasets.splits import read_splits
from zeusseg.errors import UsageError
from zeusseg.files import write_text
from zeusseg.metrics import Definitions
from zeusseg.report.scoring import metric_names
from zeusseg.studies.config import StudyConfig, read_study, write_study
from zeusseg.studies.language.command import LanguageTest, ask_model, probe_language
from zeusseg.studies.markdown import study_markdown
from zeusseg.studies.page import write_study_page
from zeusseg.studies.plan import Job, Plan, Setting, make_plan, refuse_other_runs
from zeusseg.studies.results import compare_arms, describe_arms
from zeusseg.studies.scores import EMPTY_IS_ONE, OVERLAPS, MaskScore, Words, score_model, scores_csv
from zeusseg.studies.table import StudyResult, arm_facts, table_csv
from zeusseg.training.run import refuse_leaks, train
from zeusseg.work import notify

# Written when the model is: a run that has it is finished.
FINISHED = "run.json"


def run_study(
    path: Path | str,
    dataset: Dataset,
    out: Path | str,
    *,
    overrides: Sequence[str] = (),
    allow_leaks: bool = False,
    progress: bool = True,
    command: str | None = None,
) -> StudyResult:
    """Train and test every arm of the study `path` with every seed (and fold), and write what was found into `out`.

    `overrides` (`key=value`) change the study's base configuration; `command` is what the tables name as the way to
    repeat it. A run, a mask or a score that is there is not made again, an unfinished training goes on from its
    checkpoint, and the checkpoints of a finished one are removed. What fails costs its model: it is listed in the
    result, the others go on. Raises `UsageError` where the study does not fit itself or the data, where its split
    leaks (unless `allow_leaks`), or where `out` holds runs of another configuration.

    Writes study.yaml, runs/ARM/seed-S[/fold-F]/ (run folders), predictions/ARM/seed-S[/fold-F]/SPLIT[/MODALITIES]/,
    instructions/, scores.csv, table.csv, table.md and report.html.
    """
    path, out = Path(path), Path(out)
    study = read_study(path, overrides)
    known = (*metric_names(dataset.spacing_known, Definitions()).values(), *(name + EMPTY_IS_ONE for name in OVERLAPS))
    unknown = [metric for metric in study.metrics if metric not in known]
    if unknown:
        raise UsageError(f"`metrics` names {unknown[0]!r}: expected some of {', '.join(known)}")
    plan = make_plan(study, dataset, progress=progress)
    refuse_other_runs(plan, dataset, out)
    if not (out / "splits.json").exists() or read_splits(out / "splits.json") != dict(plan.sides):
        if not allow_leaks and study.leaks == "refuse":
            refuse_leaks(dataset, dict(plan.sides), progress=progress)
        write_text(out / "splits.json", json.dumps(plan.sides, indent=1))
    write_text(out / "study.yaml", write_study(study))

    words = Words(out / "instructions", dataset, study.base().fit.seed, progress)
    masks, failures = _run_jobs(plan, words, out, progress)
    finished = [job for job in plan.jobs if _is_finished(out / "runs" / job.place)]
    facts = [(job, json.loads((out / "runs" / job.place / "run.json").read_text(encoding="utf-8"))) for job in finished]
    asked, unasked = _ask(study, plan, finished, dataset, out, progress)
    result = StudyResult(
        study=study,
        data=dataset.name,
        rows=tuple(describe_arms(masks, study.metrics)),
        comparisons=tuple(compare_arms(masks, study.metrics, study.compare)),
        arms=arm_facts(study, facts, masks),
        language=asked,
        failures=failures
        | unasked
        | {f"training, case {case}": reason for _, found in facts for case, reason in found["failures"].items()},
        command=command or _command(path, dataset, out, overrides),
    )
    if masks:
        write_text(out / "scores.csv", scores_csv(masks, study.metrics))
        write_text(out / "table.csv", table_csv(result))
        write_text(out / "table.md", study_markdown(result))
        write_study_page(result, masks, plan.jobs, dataset, out)
    return result


def _run_jobs(plan: Plan, words: Words, out: Path, progress: bool) -> tuple[list[MaskScore], dict[str, str]]:
    """The scores of all models, by setting and then by arm, and what failed."""
    masks: list[MaskScore] = []
    failures: dict[str, str] = {}
    clock = Clock()
    for number, job in enumerate(plan.jobs):
        todo = [other.arm for other in plan.jobs[number:] if not _is_finished(out / "runs" / other.place)]
        if progress and todo:
            notify(f"{job.label}: model {number + 1} of {len(plan.jobs)}, {len(todo)} to be trained{clock.left(todo)}")
        started = time.monotonic()
        try:
            trained = _train(job, words, out)
            for setting in plan.settings:
                found, unscored = score_model(job, setting, words, out)
                masks += found
                failures |= {f"{setting.label}, case {case}": reason for case, reason in unscored.items()}
            if trained:
                clock.took(job.arm, time.monotonic() - started)
        except Exception as error:  # whatever breaks one model, such as too little memory, must not cost the others
            failures[job.label] = f"{type(error).__name__}: {' '.join(str(error).split())}"
    order = {arm: place for place, arm in enumerate(dict.fromkeys(job.arm for job in plan.jobs))}
    settings = {setting: place for place, setting in enumerate(plan.settings)}
    masks.sort(key=lambda mask: (settings[mask.setting], order[mask.arm]))
    failures |= {
        f"{mask.arm}, seed {mask.seed}, {mask.setting.label}, case {mask.score.case}": mask.score.failure
        for mask in masks
        if mask.score.failure is not None
    }
    return masks, failures


def _ask(
    study: StudyConfig, plan: Plan, finished: Sequence[Job], dataset: Dataset, out: Path, progress: bool
) -> tuple[LanguageTest | None, dict[str, str]]:
    """What the language test finds of the finished models, where the study has them take it, and what failed."""
    if not study.language or not finished:
        return None, {}
    ids = plan.settings[0].case_ids(dataset, finished[0].splits)
    seed, folder = study.base().fit.seed, out / "language"
    failures: dict[str, str] = {}
    asked = []
    for job in finished:
        run = str(out / "runs" / job.place)
        try:
            # One by one: one model's weights at a time, and what breaks costs that model.
            ask_model(run, dataset, ids, folder, seed=seed, progress=progress)
            asked.append(run)
        except Exception as error:  # as in `_run_jobs`
            failures[f"language test, {job.label}"] = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if not asked:
        return None, failures
    test = probe_language(asked, dataset, ids, folder, seed=seed, progress=False)
    return test, failures | {f"language test, {what}": why for what, why in test.failures.items()}


def _train(job: Job, words: Words, out: Path) -> bool:
    """Train a model that is not finished yet; whether there was anything to do."""
    run = out / "runs" / job.place
    todo = not _is_finished(run)
    if todo:
        resume = (run / "config.yaml").exists()
        own = replace(words.dataset, splits=dict(job.splits))
        lines = []
        for split in dict.fromkeys((job.config.train_on, job.config.calibrate_on)):
            lines += words.write(job.config.writer, Setting(split), job.splits.get(split, ())).instructions
        write_text(run / "instructions.jsonl", "".join(line.to_json() + "\n" for line in lines))
        store = out / "store" if job.frozen and job.has_views else None
        train(
            job.config, own, run, resume=resume, allow_leaks=True, store=store, instructions=lines,
            progress=words.progress,
        )  # fmt: skip
    # They are many times the size of the model, and a study that wants another model trains it from the beginning.
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    return todo


def _is_finished(run: Path) -> bool:
    return (run / FINISHED).exists()


class Clock:
    """How long a study still takes, by what its models took so far: arms differ, seeds of an arm hardly do."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    def took(self, arm: str, seconds: float) -> None:
        self.seconds.setdefault(arm, []).append(seconds)

    def left(self, arms: Sequence[str]) -> str:
        """The time that one more model of each of `arms` takes, for people; nothing before one is done."""
        known = list(itertools.chain(*self.seconds.values()))
        if not known:
            return ""
        left_s = sum(mean(self.seconds.get(arm, known)) for arm in arms)
        return f", about {math.ceil(left_s / 60)} min left"


def _command(path: Path, dataset: Dataset, out: Path, overrides: Sequence[str]) -> str:
    words = ["zeusseg", "study", str(path), "--data", str(dataset.root), "--out", str(out)]
    return shlex.join([*words, *(word for override in overrides for word in ("--set", override))])
