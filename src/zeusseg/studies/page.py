"""report.html of a study: the answer in words, every patient and seed as a dot, the tables, and cases in all arms."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from zeusseg.datasets import Dataset
from zeusseg.files import write_text
from zeusseg.report.compare import LOWER_IS_BETTER
from zeusseg.report.page import load_template
from zeusseg.report.strip import Dot, strip_plot
from zeusseg.studies.overview import HOW_TO_READ_OVERVIEW, overview
from zeusseg.studies.pictures import draw_cases
from zeusseg.studies.plan import Job, Setting
from zeusseg.studies.results import Row
from zeusseg.studies.scores import MaskScore
from zeusseg.studies.table import StudyResult, mean_text


def write_study_page(
    result: StudyResult, masks: Sequence[MaskScore], jobs: Sequence[Job], dataset: Dataset, out: Path
) -> None:
    """Write `out`/report.html. It needs no network and names nothing of a patient but the ids."""
    main, *others = result.settings
    content = _template().render(
        result=result,
        main=main,
        further=[setting for setting in others if not setting.modalities],
        grids=_grids(result, [main, *(setting for setting in others if setting.modalities)]),
        strips=[(row, _strip(row)) for row in result.rows_of(main) if not row.metric.startswith(LOWER_IS_BETTER)],
        pictures=draw_cases([mask for mask in masks if mask.setting == main], dataset, out / "predictions", jobs),
        mean_text=mean_text,
        overview=overview(result) if result.language is not None else None,
        how_to_read_overview=HOW_TO_READ_OVERVIEW,
    )
    write_text(out / "report.html", content)


def _template() -> Any:
    """study.html, which extends the base of all reports."""
    text = files("zeusseg.studies").joinpath("study.html").read_text(encoding="utf-8")
    return load_template("base.html").environment.from_string(text)


def _strip(row: Row) -> Markup:
    """Patients as dots (averaged over seeds) and the mean of every seed, on one line."""
    patients = [Dot(value, f"{patient}: {row.metric} {value:.3f}") for patient, value in row.patients.items()]
    seeds = [Dot(value, f"seed {seed}: mean {row.metric} {value:.3f}", "seed") for seed, value in row.seeds.items()]
    return strip_plot([*patients, *seeds], row.found.mean, row.found.low, row.found.high)


def _grids(
    result: StudyResult, settings: Sequence[Setting]
) -> list[tuple[str, str, list[tuple[Setting, dict[str, Row]]]]]:
    """For each target and metric the rows of all sets of modalities by arm; nothing where there is one set only."""
    if len(settings) < 2:
        return []
    rows = {(row.target, row.metric, row.setting, row.arm): row for row in result.rows}
    found = []
    for target, metric in dict.fromkeys((row.target, row.metric) for row in result.rows):
        lines = [(setting, {arm: rows[key] for arm in result.arms if (key := (target, metric, setting, arm)) in rows})
                 for setting in settings]  # fmt: skip
        found.append((target, metric, lines))
    return found
