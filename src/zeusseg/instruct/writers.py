"""Every writer by its name, as it is given on the command line and in configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from zeusseg.case import Case, CaseSource, Target
from zeusseg.errors import UsageError
from zeusseg.instruct.controls import FileWriter, NameWriter, NoneWriter, ShuffledWriter
from zeusseg.instruct.finding import Finding
from zeusseg.instruct.measured import MeasuredWriter


class Writer(Protocol):
    """Writes what it sees in each modality of a case, and unites it into one instruction per target."""

    @property
    def name(self) -> str:
        """The writer as `make_writer` takes it, for the instruction file."""
        ...

    @property
    def model(self) -> str: ...

    @property
    def prompt_version(self) -> str: ...

    def findings(self, case: Case) -> dict[str, Finding]:
        """Findings by modality. Raises `ValueError` for a case with labels, `BadInputError` for a bad case."""
        ...

    def unite(self, case_id: str, findings: Mapping[str, Finding], target: Target) -> str:
        """The instruction for one target. Raises `BadInputError` where this case and target cannot have one."""
        ...


def _file(argument: str, source: CaseSource | None, seed: int) -> Writer:
    if not argument:
        raise UsageError("the writer 'file' needs a path: write file:instructions.jsonl")
    return FileWriter(Path(argument))


def _shuffled(argument: str, source: CaseSource | None, seed: int) -> Writer:
    if source is None:
        raise UsageError("the writer 'shuffled' needs the data set whose patients it swaps: pass source=")
    return ShuffledWriter(source, seed)


WRITERS: dict[str, Callable[[str, CaseSource | None, int], Writer]] = {
    "measured": lambda argument, source, seed: MeasuredWriter(),
    "none": lambda argument, source, seed: NoneWriter(),
    "name": lambda argument, source, seed: NameWriter(),
    "file": _file,
    "shuffled": _shuffled,
}


def make_writer(spec: str, *, source: CaseSource | None = None, seed: int = 0) -> Writer:
    """The writer that a name such as `measured` or `file:instructions.jsonl` stands for.

    `source` is the data set that is written about; only `shuffled` needs it, and `seed` too. Raises `UsageError`
    for an unknown name (listing the known ones), a missing argument, or an argument to a writer that takes none.
    """
    name, colon, argument = spec.partition(":")
    if name not in WRITERS:
        raise UsageError(f"unknown writer {spec!r}: expected one of {', '.join(WRITERS)} (file as file:PATH)")
    if colon and name != "file":
        raise UsageError(f"the writer {name!r} takes no argument, but {spec!r} was given")
    return WRITERS[name](argument, source, seed)
