"""Folders of masks of the same cases against each other, patient by patient: is one better, by how much, how surely."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeusseg.errors import UsageError
from zeusseg.files import write_text
from zeusseg.metrics import Definitions, PairedComparison, Summary, compare_paired, holm, summarize
from zeusseg.report.evaluate import Evaluation, score_predictions
from zeusseg.report.scoring import metric_names
from zeusseg.report.summary import interval, number, or_none

if TYPE_CHECKING:
    from zeusseg.datasets.dataset import Dataset

ALL = "all targets"
SIGNIFICANT = 0.05
LOWER_IS_BETTER = ("hd95", "assd", "volume_difference")


@dataclass(frozen=True)
class Pair:
    """`first` against `second` in one target and metric.

    `p_holm` is corrected for all comparisons of the metric, of which there are `of`.
    """

    first: str
    second: str
    target: str
    metric: str
    paired: PairedComparison
    p_holm: float
    of: int = 1

    @property
    def better(self) -> str | None:
        """The better one, where both the corrected test and the interval say so; None where that is not shown."""
        found = self.paired
        if not self.p_holm < SIGNIFICANT or not (found.low > 0 or found.high < 0):
            return None
        first_is_better = (found.difference < 0) == self.metric.startswith(LOWER_IS_BETTER)
        return self.first if first_is_better else self.second

    def sentence(self) -> str:
        """What was found, in words: the difference with its interval, n, and whether it can be believed."""
        found = self.paired
        where = "" if self.target == ALL else f" on {self.target}"
        if not found.n_patients:
            return f"{self.first} and {self.second} have no patient in common{where}."
        low, high = sorted((abs(found.low), abs(found.high))) if self.better else (found.low, found.high)
        low_said, high_said = (_amount(bound, self.metric) for bound in (low, high))
        bounds = "" if math.isnan(low) else f", 95 % interval {low_said} to {high_said}"
        if self.better is not None:
            other = self.second if self.better == self.first else self.first
            size = f"{_amount(abs(found.difference), self.metric)} {_unit(self.metric)}"
            said = f"{self.better} is better than {other}{where} by {size}{bounds}"
        else:
            size = f"{_amount(found.difference, self.metric)} {_unit(self.metric)}"
            said = (
                f"No difference between {self.first} and {self.second} is shown{where}: the first less the second is "
                f"{size}{bounds}"
            )
        corrected = f", Holm-corrected for {self.of}" if self.of > 1 else ""
        test = f"Wilcoxon p = {self.p_holm:.2g}{corrected}, effect {found.effect:+.2f}"
        return f"{said}, {found.n_patients} patients ({test})."

    def to_json(self) -> dict[str, Any]:
        found = {name: or_none(value) for name, value in vars(self.paired).items()}
        return {
            "first": self.first, "second": self.second, "target": self.target, "metric": self.metric, **found,
            "p_holm": or_none(self.p_holm), "better": self.better,
            "sentence": self.sentence(),
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Comparison:
    """The result of `compare`.

    `pairs` are over the masks that both sides have; `with_failures` over all that have a reference, failed ones as
    misses (empty where nothing failed). `patients` holds the value of every patient: (name, target, metric, patient).
    """

    data: str
    evaluations: Mapping[str, Evaluation]
    metrics: tuple[str, ...]
    pairs: tuple[Pair, ...]
    with_failures: tuple[Pair, ...]
    patients: Mapping[tuple[str, str, str], Mapping[str, float]]

    def means(self) -> list[tuple[str, str, str, Summary]]:
        """(name, target, metric, summary) over the patients that every folder has a mask of."""
        found = []
        for (name, target, metric), values in self.patients.items():
            found.append((name, target, metric, summarize(list(values), list(values.values()))))
        return found

    def to_text(self) -> str:
        """The sentences, the means and what failed, for the terminal."""
        lines = [pair.sentence() for pair in self.pairs]
        if self.with_failures:
            lines += ["With failed masks as misses:", *(pair.sentence() for pair in self.with_failures)]
        lines.append(f"Means over the patients that all have a mask of ({self.measured_by()}):")
        for name, target, metric, found in self.means():
            lines.append(
                f"  {name}, {target}: {metric} {number(found.mean)} [{interval(found)}], n = {found.n_patients}"
            )
        for name, evaluation in self.evaluations.items():
            lines += [f"failed in {name}: {found.case}: {found.reason}" for found in evaluation.failures]
        lines += [f"not scored: {case}: {reason}" for case, reason in self.unscored.items()]
        lines += [f"left out, since not every folder has it: {target}" for target in self.targets_left_out]
        return "\n".join(lines)

    def measured_by(self) -> str:
        """The definitions, where measures have several."""
        definitions = next(iter(self.evaluations.values())).definitions
        empty = "two empty masks score 1 (--empty one)" if definitions.empty == "one" else "empty references left out"
        return f"surface: {definitions.surface}; {empty}"

    @property
    def unscored(self) -> dict[str, str]:
        """The cases without a usable reference, and why; they are the same for every folder."""
        return dict(next(iter(self.evaluations.values())).unscored)

    @property
    def targets_left_out(self) -> list[str]:
        """Targets that some folder has masks of and another has not."""
        there = dict.fromkeys(target for found in self.evaluations.values() for target in found.targets)
        return [target for target in there if target not in _targets(self.evaluations)]

    def to_json(self) -> dict[str, Any]:
        """The content of comparison.json."""
        definitions = next(iter(self.evaluations.values())).definitions
        return {
            "data": self.data,
            "folders": {name: str(found.predictions) for name, found in self.evaluations.items()},
            "surface": definitions.surface,
            "empty": definitions.empty,
            "interval": "95 % BCa bootstrap over patients, 9999 draws, seed 0",
            "test": "Wilcoxon signed-rank, two-sided; p_holm corrected over all pairs and targets of a metric",
            "effect": "matched-pairs rank-biserial correlation",
            "unscored": self.unscored,
            "targets_left_out": self.targets_left_out,
            "means": [
                {
                    "folder": name, "target": target, "metric": metric, "mean": found.mean, "median": found.median,
                    "interval_95": [or_none(found.low), or_none(found.high)], "n_patients": found.n_patients,
                }
                for name, target, metric, found in self.means()
            ],
            "pairs": [pair.to_json() for pair in self.pairs],
            "pairs_with_failures_as_misses": [pair.to_json() for pair in self.with_failures],
            "failed": {
                name: [{"case": f.case, "targets": list(f.targets), "reason": f.reason} for f in found.failures]
                for name, found in self.evaluations.items()
            },
        }


def compare(
    predictions: Sequence[Path],
    dataset: Dataset,
    out: Path,
    *,
    split_ids: Sequence[str] | None = None,
    definitions: Definitions | None = None,
    metrics: Sequence[str] = ("dice",),
) -> Comparison:
    """Score two or more folders of masks and compare each pair of them over the same patients.

    `metrics` are names of `scoring.metric_names`. Writes `out`/comparison.json, patients.csv and comparison.html.
    Raises `UsageError` for fewer than two folders, an unknown metric, or a folder that cannot be scored at all.
    """
    from zeusseg.report.compare_page import write_comparison_page

    if len(predictions) < 2:
        raise UsageError(f"{len(predictions)} folder of masks cannot be compared: give two or more, then the data")
    known = tuple(metric_names(dataset.spacing_known, definitions or Definitions()).values())
    unknown = [metric for metric in metrics if metric not in known]
    if unknown:
        raise UsageError(f"unknown metric {unknown[0]!r}: expected some of {', '.join(known)}")
    evaluations = {
        name: score_predictions(folder, dataset, split_ids=split_ids, definitions=definitions)
        for name, folder in zip(_names(predictions), predictions, strict=True)
    }
    failed = any(found.failures for found in evaluations.values())
    patients = {
        (name, target, metric): values
        for metric in metrics
        for target in _targets(evaluations)
        for name, values in _by_patient(evaluations, list(evaluations), target, metric, failures=False).items()
    }
    comparison = Comparison(
        data=dataset.name,
        evaluations=evaluations,
        metrics=tuple(metrics),
        pairs=_pairs(evaluations, metrics, failures=False),
        with_failures=_pairs(evaluations, metrics, failures=True) if failed else (),
        patients=patients,
    )
    write_text(out / "comparison.json", json.dumps(comparison.to_json(), indent=2, ensure_ascii=False) + "\n")
    write_text(out / "patients.csv", _csv(comparison))
    write_comparison_page(comparison, out / "comparison.html")
    return comparison


def _names(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart."""
    parts = [folder.resolve().parts for folder in folders]
    if len(set(parts)) < len(parts):
        raise UsageError(f"the same folder was given twice: {', '.join(map(str, folders))}")
    depth = next(d for d in range(1, max(map(len, parts)) + 1) if len({p[-d:] for p in parts}) == len(parts))
    return ["/".join(p[-depth:]) for p in parts]


def _targets(evaluations: Mapping[str, Evaluation]) -> list[str]:
    """Targets that every folder has, and all of them together where they are several."""
    first, *others = evaluations.values()
    shared = [name for name in first.targets if all(name in other.targets for other in others)]
    if not shared:
        raise UsageError("the folders have no target in common: " + "; ".join(
            f"{name} has {', '.join(found.targets)}" for name, found in evaluations.items()
        ))  # fmt: skip
    return [*shared, ALL] if len(shared) > 1 else shared


def _pairs(evaluations: Mapping[str, Evaluation], metrics: Sequence[str], *, failures: bool) -> tuple[Pair, ...]:
    pairs: list[Pair] = []
    for metric in metrics:
        found = []
        for target, (first, second) in itertools.product(_targets(evaluations), itertools.combinations(evaluations, 2)):
            values = _by_patient(evaluations, [first, second], target, metric, failures=failures)
            paired = compare_paired(list(values[first].values()), list(values[second].values()))
            found.append(Pair(first, second, target, metric, paired, math.nan))
        corrected = holm([pair.paired.p for pair in found])
        pairs += [replace(pair, p_holm=p, of=len(found)) for pair, p in zip(found, corrected, strict=True)]
    return tuple(pairs)


def _by_patient(
    evaluations: Mapping[str, Evaluation], names: Sequence[str], target: str, metric: str, *, failures: bool
) -> dict[str, dict[str, float]]:
    """For each of the folders, the mean value of each patient over the masks that all of them have."""
    targets = set(_targets(evaluations)) - {ALL} if target == ALL else {target}
    tables = []
    for name in names:
        tables.append({
            (score.patient, score.case, score.target): _size(score.values[metric], metric)
            for score in evaluations[name].scores
            if score.target in targets and not math.isnan(score.values[metric]) and (failures or score.failure is None)
        })  # fmt: skip
    shared: dict[str, list[tuple[str, str, str]]] = {}
    for key in tables[0]:
        if all(key in table for table in tables):
            shared.setdefault(key[0], []).append(key)
    return {
        name: {patient: sum(table[key] for key in keys) / len(keys) for patient, keys in shared.items()}
        for name, table in zip(names, tables, strict=True)
    }


def _size(value: float, metric: str) -> float:
    """Volume differences have a direction; which mask is better is told by their size."""
    return abs(value) if metric.startswith("volume_difference") else value


def _amount(value: float, metric: str) -> str:
    """A difference as readers say it: shares in points of 100, distances and volumes in their unit."""
    return f"{value:.2f}" if metric.startswith(LOWER_IS_BETTER) else f"{100 * value:.1f}"


def _unit(metric: str) -> str:
    if metric.startswith(LOWER_IS_BETTER):
        name, _, unit = metric.rpartition("_")
        return f"{unit} ({name})"
    return f"{'DSC' if metric == 'dice' else metric} points"


def _csv(comparison: Comparison) -> str:
    """One row per patient, target and metric, one column per folder."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(comparison.evaluations)
    writer.writerow(["patient", "target", "metric", *names])
    for metric in comparison.metrics:
        for target in _targets(comparison.evaluations):
            columns = [comparison.patients[name, target, metric] for name in names]
            writer.writerows(
                [patient, target, metric, *(f"{column[patient]:.6f}" for column in columns)] for patient in columns[0]
            )
    return text.getvalue()
