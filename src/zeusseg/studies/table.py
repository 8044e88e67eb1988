"""The result of a study, and its table as CSV: one row per arm, setting, target and metric, with all that was fixed."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from zeusseg.report.compare import Pair
from zeusseg.report.summary import interval, number
from zeusseg.studies.config import StudyConfig
from zeusseg.studies.plan import Job, Setting
from zeusseg.studies.results import Row, SettingPairs
from zeusseg.studies.scores import MaskScore

if TYPE_CHECKING:
    from zeusseg.studies.language.command import LanguageTest

FEW_SEEDS = 3
COLUMNS = (
    "arm", "control", "oracle", "split", "modalities", "target", "metric", "mean", "low", "high", "median", "seed_min",
    "seed_max", "seeds", "n_patients", "n_cases", "mean_with_failures", "n_patients_with_failures", "misses",
    "with_reference", "false_masks", "target_free", "failed", "steps", "batch_size", "crop", "training_cases",
    "parameters_trained", "parameters", "trainings", "seconds_per_training", "writer", "seconds_per_case",
)  # fmt: skip


@dataclass(frozen=True)
class ArmFacts:
    """How one arm was trained, as its run folders say. `crop` is (rows, columns); `seconds` is the mean of its
    `trainings`, on the machine that ran them; `cases` of each training, fewest first where they differ;
    `seconds_per_case` the median, from reading a case to its written masks; `writer` wrote its instructions."""

    name: str
    note: str
    control: bool
    oracle: bool
    changes: Mapping[str, Any]
    steps: int
    batch_size: int
    crop: tuple[int, int]
    trainings: int
    seconds: float
    cases: tuple[int, ...]
    parameters_trained: int
    parameters: int
    writer: str
    seconds_per_case: float

    @property
    def marked(self) -> str:
        """The name with what readers must not overlook."""
        marks = [word for word, there in (("control", self.control), ("oracle text", self.oracle)) if there]
        return f"{self.name} ({', '.join(marks)})" if marks else self.name


@dataclass(frozen=True)
class StudyResult:
    """What a study found.

    `rows` and `comparisons` come with the question's own setting first; `arms` are those that were trained at least
    once. `failures` says what failed (a model, a case of it) and why. `command` repeats the study. `language` is what
    the language test found, where the study has one.
    """

    study: StudyConfig
    data: str
    rows: tuple[Row, ...]
    comparisons: tuple[SettingPairs, ...]
    arms: Mapping[str, ArmFacts]
    failures: Mapping[str, str]
    command: str
    language: LanguageTest | None = None

    @property
    def settings(self) -> list[Setting]:
        return list(dict.fromkeys(row.setting for row in self.rows))

    @property
    def caveats(self) -> list[str]:
        """What a reader must know before believing a difference."""
        found = []
        if len(self.study.seeds) < FEW_SEEDS:
            found.append(f"{len(self.study.seeds)} seed(s): too few to tell arms from chance in training; take three.")
        few = [arm for arm, about in self.study.arms.items() if about.seeds and len(about.seeds) < FEW_SEEDS]
        if few and not found:
            found.append(f"Fewer than {FEW_SEEDS} seeds: {', '.join(few)}; chance in their training is not known.")
        short = [f"{row.arm} ({len(row.seeds)} of {len(self.study.seeds_of(row.arm))})"
                 for row in self.rows_of(self.settings[0])
                 if len(row.seeds) < len(self.study.seeds_of(row.arm))]  # fmt: skip
        missing = [arm for arm in self.study.arms if arm not in {row.arm for row in self.rows}]
        if short:
            found.append(f"Not all seeds are there: {', '.join(dict.fromkeys(short))}.")
        if missing:
            found.append(f"Without any result: {', '.join(missing)}.")
        return found

    def answers(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Those pairs that answer the question in sentences: by the study's first metric."""
        return [pair for pair in pairs if pair.metric == self.study.metrics[0]]

    def rows_of(self, setting: Setting) -> list[Row]:
        return [row for row in self.rows if row.setting == setting]

    def to_text(self) -> str:
        """Question, means and sentences of the main setting, for the terminal."""
        lines = [f"{self.study.name}: {self.study.question}"]
        if not self.rows:
            return "\n".join([*lines, "no arm could be trained and tested"])
        lines += self.caveats
        for row in self.rows_of(self.settings[0]):
            lines.append(
                f"  {self.arms[row.arm].marked}, {row.target}: {row.metric} {number(row.found.mean)} "
                f"[{interval(row.found)}], seeds {number(row.seed_low)} to {number(row.seed_high)}, "
                f"n = {row.found.n_patients} patients, misses {row.misses} of {row.with_reference}, false masks "
                f"{row.false_masks} of {row.target_free}, failed {row.failed}"
            )
        first = self.comparisons[0]
        lines += [pair.sentence() for pair in self.answers(first.pairs)]
        if first.with_failures:
            failed = self.answers(first.with_failures)
            lines += ["With failed masks as misses:", *(pair.sentence() for pair in failed)]
        return "\n".join(lines)


def mean_text(row: Row) -> str:
    """`0.812 [0.700 to 0.900]`."""
    bounds = interval(row.found)
    return number(row.found.mean) + (f" [{bounds}]" if bounds else "")


def arm_facts(
    study: StudyConfig, trained: Sequence[tuple[Job, Mapping[str, Any]]], masks: Sequence[MaskScore]
) -> dict[str, ArmFacts]:
    """What the run.json of every finished training says, by arm, and how long its `masks` took."""
    facts = {}
    for name, arm in study.arms.items():
        runs = [(job, found) for job, found in trained if job.arm == name]
        seconds = [mask.seconds for mask in masks if mask.arm == name and not math.isnan(mask.seconds)]
        if runs:
            config, first = runs[0][0].config, runs[0][1]
            facts[name] = ArmFacts(
                name=name, note=arm.note, control=arm.control, oracle=arm.oracle, changes=arm.changes,
                steps=config.fit.steps, batch_size=config.fit.batch_size, crop=config.slices.crop,
                trainings=len(runs), seconds=mean(found["seconds"] for _, found in runs),
                cases=tuple(sorted({found["cases"] for _, found in runs})),
                parameters_trained=first["parameters_trained"], parameters=first["parameters"],
                writer=config.writer, seconds_per_case=median(seconds) if seconds else math.nan,
            )  # fmt: skip
    return facts


def table_csv(result: StudyResult) -> str:
    """All rows. `low` and `high` bound the 95 % interval; counts are of masks over all seeds and folds."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in result.rows:
        arm, found = result.arms[row.arm], row.found
        writer.writerow({
            "arm": row.arm, "control": int(arm.control), "oracle": int(arm.oracle), "split": row.setting.split,
            "modalities": row.setting.shown, "target": row.target, "metric": row.metric,
            "mean": f"{found.mean:.6f}", "low": f"{found.low:.6f}", "high": f"{found.high:.6f}",
            "median": f"{found.median:.6f}", "seed_min": f"{row.seed_low:.6f}", "seed_max": f"{row.seed_high:.6f}",
            "seeds": len(row.seeds), "n_patients": found.n_patients, "n_cases": row.n_cases,
            "mean_with_failures": f"{row.with_failures.mean:.6f}",
            "n_patients_with_failures": row.with_failures.n_patients, "misses": row.misses,
            "with_reference": row.with_reference, "false_masks": row.false_masks, "target_free": row.target_free,
            "failed": row.failed, "steps": arm.steps, "batch_size": arm.batch_size,
            "crop": "x".join(map(str, arm.crop)), "training_cases": "-".join(map(str, arm.cases)),
            "parameters_trained": arm.parameters_trained, "parameters": arm.parameters, "trainings": arm.trainings,
            "seconds_per_training": f"{arm.seconds:.1f}", "writer": arm.writer,
            "seconds_per_case": f"{arm.seconds_per_case:.3f}",
        })  # fmt: skip
    return text.getvalue()
