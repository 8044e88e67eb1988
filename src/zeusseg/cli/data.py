"""Commands about data: what is in a folder, what leaks, what its words are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zeusseg.cli.common import Data, Layout, Targets, app
from zeusseg.errors import UsageError


@app.command()
def info(
    data: Annotated[
        Path,
        typer.Argument(help="Folder of cases, or a known data set's name for how to obtain it.", metavar="DATA"),
    ],
    layout: Layout = None,
    targets: Targets = None,
) -> None:
    """Say what is in a folder (cases, modalities, grids, targets, problems), or where a known data set is published."""
    from zeusseg.datasets import describe, load_dataset
    from zeusseg.datasets.describe import describe_source
    from zeusseg.datasets.known import known_source

    if not data.is_dir():
        typer.echo(describe_source(known_source(str(data))))
        return
    description = describe(load_dataset(data, layout, targets, allow_leaks=True))
    typer.echo(description.to_text())
    if description.problems:
        raise typer.Exit(1)


@app.command("check-splits")
def check_splits(
    data: Data,
    out: Annotated[Path, typer.Option(help="Where pairs.csv, pairs.png, groups.json and splits.json go.")],
    trained_on: Annotated[str, typer.Option(help="The split to leave cases out of where it shares them.")] = "train",
    splits: Annotated[Path | None, typer.Option(help="splits.json in place of the data's own.")] = None,
    layout: Layout = None,
    targets: Targets = None,
) -> None:
    """Find patients and near-duplicate images on both sides of a split. Exit code 1 where there are some."""
    from zeusseg.datasets import find_leaks, load_dataset
    from zeusseg.report.leaks import write_leaks, write_mended

    dataset = load_dataset(data, layout, targets, splits_file=splits, allow_leaks=True)
    named = dataset.splits or {}
    if named and trained_on not in named:
        raise UsageError(f"there is no split {trained_on!r} to leave cases out of: there are {', '.join(named)}")
    leaks = find_leaks(dataset, named)
    typer.echo(leaks.to_text())
    write_leaks(leaks, dataset, named, out)
    typer.echo(f"groups, pairs and sheets of pictures: {out}")
    if named:
        left_out = write_mended(leaks, named, out, trained_on)
        typer.echo("splits.json leaves out " + ", ".join(f"{count} of {name}" for name, count in left_out.items()))
    if leaks.leaks or leaks.unread:
        raise typer.Exit(1)


@app.command()
def lexicon(
    term: Annotated[str, typer.Argument(help="A structure or finding, by any of its names.", metavar="TERM")],
    file: Annotated[
        Path | None, typer.Option("--lexicon", help="A file of your own terms, beside the package's.")
    ] = None,
) -> None:
    """Look a structure or finding up: its names, what defines it, and how images show it."""
    from zeusseg.lexicon import load_lexicon
    from zeusseg.lexicon.lookup import describe, near

    words = load_lexicon(file)
    found = words.find(term)
    if found is None:
        close = near(words, term)
        raise UsageError(f"the lexicon has no {term!r}" + (f"; did you mean {', '.join(close)}?" if close else ""))
    typer.echo(describe(words, found))


@app.command()
def phantoms(
    out: Annotated[Path, typer.Option(help="The data set to write; a folder that is there is refused.")],
    count: Annotated[int, typer.Option(help="Number of made-up patients.", min=1)] = 60,
    seed: Annotated[int, typer.Option(help="Another seed gives other patients.")] = 0,
    region: Annotated[str, typer.Option(help="brain or abdomen.")] = "brain",
    several: Annotated[
        bool,
        typer.Option("--several", help="Brains with none or two to four lesions, told apart by side, size or signal."),
    ] = False,
    randomise: Annotated[bool, typer.Option("--randomise", help="Vary contrast, resolution and noise widely.")] = False,
) -> None:
    """Write made-up patients, whose masks and findings are known exactly, as a data set to try everything on."""
    if out.exists():
        raise UsageError(f"{out} is there already: choose another --out")
    from zeusseg.datasets.phantom import write_phantoms

    # Words from outside: `write_phantoms` checks the region.
    write_phantoms(out, count, seed, regions=(region,), several=several, randomise=randomise)  # type: ignore[arg-type]
    typer.echo(f"{count} patients in {out}")
