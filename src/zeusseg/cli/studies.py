"""Commands about studies, and the demonstration."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Annotated

import typer

from zeusseg.cli.common import Groups, Layout, Split, Targets, app, finish
from zeusseg.errors import UsageError


@app.command()
def study(
    study: Annotated[Path, typer.Argument(help="The study (YAML), for example configs/studies/fusion.yaml.")],
    data: Annotated[Path, typer.Option(help="Folder of labelled cases.")],
    out: Annotated[Path, typer.Option(help="Folder of the study; one that is there is gone on with.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value over the base configuration.")] = None,
    groups: Groups = None,
    splits: Annotated[Path | None, typer.Option(help="splits.json in place of the data's own.")] = None,
    allow_leaks: Annotated[
        bool, typer.Option("--allow-leaks", help="Train though images or patients lie on both sides; look for none.")
    ] = False,
    layout: Layout = None,
    targets: Targets = None,
) -> None:
    """Train and compare arms: every arm with every seed, scored the same way, with paired statistics."""
    import shlex

    from zeusseg.studies.config import read_study

    read_study(study, set_ or ())
    from zeusseg.datasets import load_dataset
    from zeusseg.studies.run import run_study

    dataset = load_dataset(
        data, layout, targets, groups_file=groups, splits_file=splits, allow_leaks=allow_leaks
    )
    result = run_study(
        study, dataset, out, overrides=set_ or (), allow_leaks=allow_leaks,
        command=shlex.join(["zeusseg", *sys.argv[1:]]),
    )
    typer.echo(result.to_text())
    if result.rows:
        typer.echo(f"tables: {out / 'table.md'}, report: {out / 'report.html'}")
    finish(dict(result.failures), done=bool(result.rows))


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Folder for everything that is made.")] = Path("demo")) -> None:
    """The whole way on phantoms: instructions, training, masks, scores, report. A few minutes on a laptop."""
    from zeusseg.demo import run_demo

    run_demo(out)


@app.command("probe-language")
def probe_language(
    models: Annotated[
        list[str],
        typer.Argument(help="One or more runs, or FILE.py:FUNCTION, then the data.", metavar="MODEL ... DATA"),
    ],
    out: Annotated[Path, typer.Option(help="Where answers, rates.csv, table.md and report.html go.")],
    split: Split = None,
    cases: Annotated[int | None, typer.Option(help="No more than so many cases, drawn by --seed.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Seed of the questions that are drawn.")] = 0,
    layout: Layout = None,
    targets: Targets = None,
) -> None:
    """Test whether words decide: swapped, absent, paraphrased, negated, on the wrong image, with attributes."""
    from zeusseg.inference.data import data_for, split_cases
    from zeusseg.studies.language.command import probe_language as probe

    if len(models) < 2:
        raise UsageError("probe-language takes one or more models, and the data last: "
                         "zeusseg probe-language RUN DATA --out DIR")
    *asked, data = models
    runs = [Path(name) for name in asked if Path(name).is_dir()]
    dataset = data_for(runs[0] if runs else Path(), Path(data), layout, targets)
    ids = split_cases(dataset, split, runs)
    if cases is not None:
        ids = sorted(random.Random(seed).sample(ids, min(cases, len(ids))))
    tested = probe(asked, dataset, ids, out, seed=seed)
    typer.echo(tested.to_text())
    typer.echo(f"report: {out / 'report.html'}")
    finish(tested.failures, done=bool(tested.rates))
