"""The command line. Thin: each command checks its words, imports what it needs, and calls a function of its name."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

# In the order in which the help lists their commands.
from zeusseg.cli import data, instruct, models, scores, studies  # noqa: F401
from zeusseg.cli.common import app
from zeusseg.errors import UsageError


def main() -> NoReturn:
    """The entry point: a wrong call is one line on stderr and exit code 2."""
    try:
        app()
    except UsageError as error:
        typer.echo(f"zeusseg: {error}", err=True)
        sys.exit(2)
    sys.exit(0)
