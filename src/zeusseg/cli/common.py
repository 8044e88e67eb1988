"""What commands have in common: the program, the words of their options, and how they end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Segment medical images from instructions written from the images themselves. Research software, not for "
    "clinical use. Exit code 0: all done; 1: done except for the cases that are listed; 2: nothing done.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Data = Annotated[Path, typer.Argument(help="Folder of cases; its layout is recognised.", metavar="DATA")]
Layout = Annotated[str | None, typer.Option(help="Name of the layout, where recognition is wrong.")]
Targets = Annotated[Path | None, typer.Option("--targets", help="YAML that names targets, modalities and patients.")]
Split = Annotated[str | None, typer.Option(help="Only the cases of this split.")]
Groups = Annotated[Path | None, typer.Option(help="groups.json of check-splits: cases that belong together.")]
Surface = Annotated[str, typer.Option(help="border (voxels) or elements (by area), for surface measures.")]
Tolerances = Annotated[str, typer.Option(help="Tolerances of the surface Dice in mm, for example 1,2.")]
Store = Annotated[Path | None, typer.Option(help="Folder for a frozen encoder's features: each is computed once.")]
Empty = Annotated[str, typer.Option(help="What two empty masks score: nan (left out of means) or one.")]


def finish(failures: dict[str, str], *, done: bool) -> None:
    """List what was left out, and exit 1 for some or 2 for all of it."""
    for case_id, reason in failures.items():
        typer.echo(f"left out: {case_id}: {reason}", err=True)
    if failures:
        raise typer.Exit(1 if done else 2)
