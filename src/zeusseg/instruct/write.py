"""Writes the instruction file of a data set: line by line, durably, going on where an earlier run stopped."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from zeusseg.case import CaseSource, Target
from zeusseg.errors import BadInputError, UsageError
from zeusseg.files import write_text
from zeusseg.instruct.instruction import Instruction, image_digest, parse_instruction, read_instructions
from zeusseg.instruct.writers import Writer


@dataclass(frozen=True)
class WrittenInstructions:
    """What is in the file for the cases asked for, in their order, and why the other cases have none."""

    instructions: list[Instruction]
    failures: dict[str, str]


def write_instructions(
    source: CaseSource,
    writer: Writer,
    out: Path,
    *,
    targets: Sequence[Target] | None = None,
    case_ids: Sequence[str] | None = None,
    progress: bool = True,
) -> WrittenInstructions:
    """Write one instruction per case and target into `out`, and return all of them.

    Cases are read without their labels. Lines that `out` already holds are kept as they are, people's edits
    included, and only what is missing is written. A case that cannot be read or written about is listed in
    `failures`; the others go on. Raises `UsageError` where `out` holds another writer's lines, `BadInputError` where
    a line of it is broken.
    """
    wanted_targets = tuple(source.targets if targets is None else targets)
    wanted_cases = tuple(source.case_ids if case_ids is None else case_ids)
    written = {(line.case, line.target): line for line in _resume(out, writer.name)}
    failures: dict[str, str] = {}
    for case_id in _with_progress(wanted_cases, progress):
        missing = [target for target in wanted_targets if (case_id, target.name) not in written]
        if not missing:
            continue
        try:
            lines = _write_case(source, writer, case_id, missing)
        except (BadInputError, OSError) as error:
            failures[case_id] = str(error)
            continue
        _append(out, lines)
        written.update({(line.case, line.target): line for line in lines})
    keys = [(case_id, target.name) for case_id in wanted_cases for target in wanted_targets]
    return WrittenInstructions([written[key] for key in keys if key in written], failures)


def _write_case(source: CaseSource, writer: Writer, case_id: str, targets: Sequence[Target]) -> list[Instruction]:
    case = source.read(case_id, labels=False)
    findings = writer.findings(case)
    digest = image_digest(case)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return [
        Instruction(
            case=case_id,
            target=target.name,
            text=writer.unite(case_id, findings, target),
            findings={modality: finding.text for modality, finding in findings.items()},
            writer=writer.name,
            model=writer.model,
            prompt_version=writer.prompt_version,
            image_sha256=digest,
            created=created,
        )
        for target in targets
    ]


def _resume(out: Path, writer_name: str) -> list[Instruction]:
    """The lines of an earlier run; a last line that was cut off by a kill or a full disk is removed from the file."""
    if not out.exists():
        return []
    data = out.read_bytes()
    if data and not data.endswith(b"\n"):
        kept, _, last = data.rpartition(b"\n")
        write_text(out, (kept.decode() + "\n" if kept else "") + (_whole_line(last)))
    lines = read_instructions(out)
    others = sorted({line.writer for line in lines} - {writer_name})
    if others:
        raise UsageError(
            f"{out} holds instructions of the writer {', '.join(map(repr, others))}, not of {writer_name!r}: "
            "name another file, or delete this one"
        )
    return lines


def _whole_line(last: bytes) -> str:
    """The line with its line break where it is complete (editors may leave the break off), else nothing."""
    try:
        parse_instruction(last.decode())
    except ValueError:
        return ""
    return last.decode() + "\n"


def _append(out: Path, lines: Sequence[Instruction]) -> None:
    """Append whole lines and wait until the disk has them; where that fails, the file is cut back to what it was."""
    data = "".join(line.to_json() + "\n" for line in lines).encode()
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("ab", buffering=0) as file:
        before = file.tell()
        try:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
            os.fsync(file.fileno())
        except BaseException:
            file.truncate(before)
            raise


def _with_progress(case_ids: Sequence[str], progress: bool) -> Iterable[str]:
    if not progress:
        return case_ids
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    def shown() -> Iterable[str]:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            yield from bar.track(case_ids, description="writing instructions")

    return shown()
