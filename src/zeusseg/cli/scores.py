"""Commands about scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zeusseg.cli.common import Data, Empty, Groups, Layout, Split, Surface, Targets, Tolerances, app
from zeusseg.errors import UsageError

if TYPE_CHECKING:
    from zeusseg.metrics import Definitions


@app.command()
def evaluate(
    predictions: Annotated[
        Path, typer.Argument(help="Folder of masks: CASE/TARGET.nii.gz, or label maps CASE.nii.gz of any program.")
    ],
    data: Data,
    out: Annotated[Path, typer.Option(help="Where scores.csv, summary.json and report.html go.")],
    split: Split = None,
    surface: Surface = "border",
    tolerances: Tolerances = "2",
    empty: Empty = "nan",
    pages: Annotated[bool, typer.Option("--pages", help="Also write a page per case, with its picture.")] = False,
    groups: Groups = None,
    layout: Layout = None,
    targets: Targets = None,
) -> None:
    """Score masks against the labels, with intervals, and make the report."""
    from zeusseg.datasets import load_dataset
    from zeusseg.inference.data import split_cases
    from zeusseg.report.evaluate import evaluate as evaluate_predictions

    dataset = load_dataset(data, layout, targets, groups_file=groups, allow_leaks=True)
    evaluation = evaluate_predictions(
        predictions, dataset, out, split_ids=split_cases(dataset, split, [predictions]),
        definitions=_definitions(surface, tolerances, empty), pages=pages,
    )
    typer.echo(evaluation.to_text())
    typer.echo(f"report: {out / 'report.html'}")
    if evaluation.failures or evaluation.unscored:
        raise typer.Exit(1)


@app.command()
def compare(
    folders: Annotated[
        list[Path], typer.Argument(help="Two or more folders of masks, then the data.", metavar="A B ... DATA")
    ],
    out: Annotated[Path, typer.Option(help="Where comparison.json, patients.csv and comparison.html go.")] = Path(
        "comparison"
    ),
    metrics: Annotated[str, typer.Option(help="Metrics to compare, as in scores.csv: dice,hd95_mm,...")] = "dice",
    split: Split = None,
    surface: Surface = "border",
    tolerances: Tolerances = "2",
    empty: Empty = "nan",
    groups: Groups = None,
    layout: Layout = None,
    targets: Targets = None,
) -> None:
    """Say which of several folders of masks is better, by how much, and how surely."""
    from zeusseg.datasets import load_dataset
    from zeusseg.inference.data import split_cases
    from zeusseg.report.compare import compare as compare_predictions

    if len(folders) < 3:
        raise UsageError("compare takes two or more folders of masks, and the data last: zeusseg compare A B DATA")
    *predictions, data = folders
    dataset = load_dataset(data, layout, targets, groups_file=groups, allow_leaks=True)
    comparison = compare_predictions(
        predictions, dataset, out, split_ids=split_cases(dataset, split, predictions),
        definitions=_definitions(surface, tolerances, empty), metrics=metrics.split(","),
    )
    typer.echo(comparison.to_text())
    typer.echo(f"report: {out / 'comparison.html'}")
    if any(found.failures or found.unscored for found in comparison.evaluations.values()):
        raise typer.Exit(1)


def _definitions(surface: str, tolerances: str, empty: str) -> Definitions:
    from zeusseg.metrics import Definitions

    try:
        limits = tuple(float(tolerance) for tolerance in tolerances.split(","))
    except ValueError as error:
        raise UsageError(f"--tolerances takes distances such as 1,2, not {tolerances!r}") from error
    try:
        # Words from outside: `Definitions` checks them.
        return Definitions(surface, limits, empty)  # type: ignore[arg-type]
    except ValueError as error:
        raise UsageError(str(error)) from error
