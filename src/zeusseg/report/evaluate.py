"""Score a folder of predictions against a data set: scores.csv, summary.json and report.html."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeusseg.case import Target
from zeusseg.errors import BadInputError, UsageError
from zeusseg.files import write_text
from zeusseg.metrics.scores import Definitions
from zeusseg.metrics.statistics import RESAMPLES
from zeusseg.report.masks import has_mask
from zeusseg.report.scoring import PredictionRecord, Score, metric_names, read_prediction_record, score_case
from zeusseg.report.summary import TargetSummary, interval, number, summarize_scores
from zeusseg.work import each

if TYPE_CHECKING:
    from zeusseg.datasets.dataset import Dataset

INTERVAL = f"95 % bootstrap interval of the mean over patients (BCa, {RESAMPLES} draws, seed 0)"


@dataclass(frozen=True)
class Failure:
    """A case without a usable mask of some targets, and why."""

    case: str
    targets: tuple[str, ...]
    reason: str


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of `evaluate`.

    `targets` has a summary per target name and `overall` one over all of them. `scores` holds failed cases too (see
    `Score.failure`). `unscored` are the cases without a usable reference, with the reason; they are in no mean.
    `not_predicted` are targets of the data set that no case has a mask of: they were not asked for and are in no mean.
    `notices` say what could not be shown. `records` holds prediction.json of each scored case.
    """

    data: str
    predictions: Path
    case_ids: tuple[str, ...]
    spacing_known: bool
    definitions: Definitions
    scores: tuple[Score, ...]
    targets: Mapping[str, TargetSummary]
    overall: TargetSummary
    unscored: Mapping[str, str]
    not_predicted: tuple[str, ...]
    notices: tuple[str, ...]
    records: Mapping[str, PredictionRecord]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics' names as in the tables, with their unit."""
        return tuple(metric_names(self.spacing_known, self.definitions).values())

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The cases that lack a usable mask; targets that lack it for the same reason are named together."""
        targets: dict[tuple[str, str], list[str]] = {}
        for score in self.scores:
            if score.failure is not None:
                targets.setdefault((score.case, score.failure), []).append(score.target)
        return tuple(Failure(case, tuple(names), reason) for (case, reason), names in targets.items())

    def to_json(self) -> dict[str, Any]:
        """The content of summary.json."""
        return {
            "data": self.data,
            "predictions": str(self.predictions),
            "n_cases": len(self.case_ids),
            "n_patients": len({score.patient for score in self.scores}),
            "unit": "mm" if self.spacing_known else "voxels",
            "surface": self.definitions.surface,
            "nsd_tolerances": list(self.definitions.tolerances),
            "empty": self.definitions.empty,
            "interval": INTERVAL,
            "targets": {name: found.to_json() for name, found in self.targets.items()},
            "all_targets": self.overall.to_json(),
            "failed": [{"case": f.case, "targets": list(f.targets), "reason": f.reason} for f in self.failures],
            "unscored": [{"case": case, "reason": reason} for case, reason in self.unscored.items()],
            "not_predicted": list(self.not_predicted),
            "notices": list(self.notices),
        }

    def to_text(self) -> str:
        """A few lines for the terminal: the mean Dice of each target with its interval, and what went wrong."""
        rows = [*self.targets.items()] + ([("all targets", self.overall)] if len(self.targets) > 1 else [])
        lines = []
        for name, row in rows:
            dice, with_failures = row.predicted["dice"], row.failures_as_misses["dice"].over_patients
            mean = dice.over_patients
            lines.append(
                f"{name}: Dice {number(mean.mean)} [{interval(mean)}], median {number(mean.median)}, "
                f"n = {mean.n_patients} patients, {dice.n_cases} cases; "
                f"with failed ones as misses {number(with_failures.mean)}, n = {with_failures.n_patients}; "
                f"misses {row.misses} of {row.with_reference}, false masks {row.false_masks} of {row.target_free}"
            )
        if self.definitions.empty == "one":
            lines.append("two empty masks score 1, and a mask where there is none 0 (--empty one)")
        lines += [f"failed: {found.case}: {found.reason}" for found in self.failures]
        lines += [f"not scored: {case}: {reason}" for case, reason in self.unscored.items()]
        lines += [f"not predicted, so not scored: {name}" for name in self.not_predicted]
        return "\n".join(lines)


def evaluate(
    predictions: Path,
    dataset: Dataset,
    out: Path,
    *,
    split_ids: Sequence[str] | None = None,
    definitions: Definitions | None = None,
    pages: bool = False,
) -> Evaluation:
    """Score a folder of masks (see `score_predictions`) and write scores.csv, summary.json and report.html into `out`.

    With `pages`, also `out/cases/CASE.html` with the picture, words and numbers of each case.
    """
    from zeusseg.report.page import write_page, write_pages

    evaluation = score_predictions(predictions, dataset, split_ids=split_ids, definitions=definitions)
    write_text(out / "scores.csv", _csv(evaluation))
    write_text(out / "summary.json", json.dumps(evaluation.to_json(), indent=2, ensure_ascii=False) + "\n")
    if pages:
        write_pages(evaluation, dataset, out / "cases")
    write_page(evaluation, dataset, out / "report.html", pages=pages)
    return evaluation


def score_predictions(
    predictions: Path,
    dataset: Dataset,
    *,
    split_ids: Sequence[str] | None = None,
    definitions: Definitions | None = None,
) -> Evaluation:
    """Score `predictions/CASE/TARGET.nii.gz|.png`, or label maps `predictions/CASE.nii.gz|.png`, against the labels.

    `split_ids` are the cases to score (default: all of the data set). A case whose mask is missing or broken is
    listed and the others go on; so is a case without usable labels. Raises `UsageError` where the folder, a case id
    or every prediction is missing, or where no case could be scored.
    """
    definitions = definitions or Definitions()
    case_ids = tuple(dataset.case_ids if split_ids is None else split_ids)
    unknown = sorted(set(case_ids) - set(dataset.case_ids))
    if unknown:
        raise UsageError(f"{dataset.name} has no case {unknown[0]!r}: expected ids such as {dataset.case_ids[0]!r}")
    targets = _predicted_targets(predictions, dataset, case_ids)
    # Other programs write no prediction.json at all, which is nothing to complain of.
    told = any(predictions.glob("*/prediction.json"))
    scores: list[Score] = []
    unscored: dict[str, str] = {}
    records: dict[str, PredictionRecord] = {}
    notices: list[str] = []
    results = each(partial(_try_case, predictions, dataset, targets, definitions), case_ids, "scoring")
    for case_id, (record, found) in zip(case_ids, results, strict=True):
        if isinstance(found, str):
            unscored[case_id] = found
            continue
        scores += found
        records[case_id] = record
        notices += [score.notice for score in found if score.notice]
        if told and record.problem and any(score.failure is None for score in found):
            notices.append(record.problem)
    if not scores:
        raise UsageError(f"no case of {dataset.name} could be scored; the first: {next(iter(unscored.values()))}")
    metrics = tuple(metric_names(dataset.spacing_known, definitions).values())
    return Evaluation(
        data=dataset.name,
        predictions=predictions,
        case_ids=case_ids,
        spacing_known=dataset.spacing_known,
        definitions=definitions,
        scores=tuple(scores),
        targets={target.name: summarize_scores(scores, metrics, target.name) for target in targets},
        overall=summarize_scores(scores, metrics),
        unscored=unscored,
        not_predicted=tuple(target.name for target in dataset.targets if target not in targets),
        notices=tuple(notices),
        records=records,
    )


def _try_case(
    predictions: Path, dataset: Dataset, targets: Sequence[Target], definitions: Definitions, case_id: str
) -> tuple[PredictionRecord, list[Score] | str]:
    """What was recorded of one case, and its scores or the reason why there are none."""
    record = read_prediction_record(predictions / case_id)
    try:
        return record, score_case(predictions, dataset, case_id, targets, record, definitions)
    except BadInputError as error:
        return record, str(error)


def _predicted_targets(predictions: Path, dataset: Dataset, case_ids: Sequence[str]) -> tuple[Target, ...]:
    """The data set's targets that at least one case has a mask of. Raises `UsageError` where there is none."""
    if not predictions.is_dir():
        raise UsageError(
            f"there is no folder {predictions}: expected CASE/TARGET.nii.gz, as `zeusseg predict` writes them, or one "
            "label map per case, CASE.nii.gz"
        )
    found = tuple(t for t in dataset.targets if any(has_mask(predictions, case_id, t) for case_id in case_ids))
    if not found:
        files = [*predictions.glob("*"), *predictions.glob("*/*")]
        there = sorted({path.name for path in files if path.suffix in {".gz", ".nii", ".png"}})
        raise UsageError(
            f"{predictions} has no mask of {', '.join(repr(target.name) for target in dataset.targets)} for any of the "
            f"{len(case_ids)} cases asked for; the masks in it are {', '.join(there[:8]) or 'none'}"
        )
    return found


def _csv(evaluation: Evaluation) -> str:
    """One row per number. Failed cases have none: summary.json lists them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["patient", "case", "target", "metric", "value"])
    for score in evaluation.scores:
        if score.failure is not None:
            continue
        presence = math.nan if score.presence is None else score.presence
        rows = {**score.values, **score.calibration, "presence": presence}
        counts = {"reference_voxels": score.reference_voxels, "predicted_voxels": score.predicted_voxels}
        for metric, value in {**rows, **counts}.items():
            shown = value if isinstance(value, int) else f"{value:.6f}"
            writer.writerow([score.patient, score.case, score.target, metric, shown])
    return text.getvalue()
