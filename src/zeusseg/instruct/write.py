"""Writes the instruction file of a data set: line by line, durably, going on where an earlier run stopped."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from zeusseg.case import CaseSource, Target
from zeusseg.errors import BadInputError, UsageError
from zeusseg.files import write_text
from zeusseg.instruct.instruction import Instruction, image_digest, parse_instruction, read_instructions
from zeusseg.instruct.verify import check_file
from zeusseg.instruct.writers import Writer
from zeusseg.work import each, notify

if TYPE_CHECKING:
    from zeusseg.instruct.language.usage import Usage


@dataclass(frozen=True)
class WrittenInstructions:
    """What is in the file for the cases asked for, in their order, and why the other cases have none.

    `usage` says what was asked of models; empty where none was.
    """

    instructions: list[Instruction]
    failures: dict[str, str]
    usage: str = ""


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
    included, and only what is missing is written. A case, or a target of it, that cannot be read or written about is
    listed in `failures`; the others go on. The words of a writer with `is_checked` are then checked against the images,
    and the checks kept in their lines. What a case has cost of models' calls, tokens and seconds is a row of
    `costs_of(out)`. Raises `UsageError` where `out` holds another writer's lines, `BadInputError` where a line of it is
    broken.
    """
    wanted_targets = tuple(source.targets if targets is None else targets)
    wanted_cases = tuple(source.case_ids if case_ids is None else case_ids)
    written = {(line.case, line.target): line for line in _resume(out, writer.name)}
    _tell_of_others(out, list(written.values()), writer)
    failures: dict[str, str] = {}
    todo = _missing(written, wanted_cases, wanted_targets)
    if todo:
        notify(writer.notice)
    work = partial(_write_case, source, writer)
    results = each(work, todo, "writing instructions", show=progress, threads=writer.threads)
    for (case_id, _), (lines, problems) in zip(todo, results, strict=True):
        if problems:
            failures[case_id] = "; ".join(problems)
        if lines:
            _append(out, "".join(line.to_json() + "\n" for line in lines))
        _append_cost(costs_of(out), case_id, writer.cost_of(case_id))
        written.update({(line.case, line.target): line for line in lines})
    if writer.is_checked and out.exists():
        checked, unchecked = check_file(
            source, out, wanted_cases, targets=wanted_targets, progress=progress
        )
        written = {(line.case, line.target): line for line in checked}
        failures = unchecked | failures
    keys = [(case_id, target.name) for case_id in wanted_cases for target in wanted_targets]
    return WrittenInstructions([written[key] for key in keys if key in written], failures, writer.usage_text())


def _tell_of_others(out: Path, lines: Sequence[Instruction], writer: Writer) -> None:
    """Lines of the same writer stay, even where its prompts or its model's weights are others by now: say so."""
    own = (writer.model, writer.prompt_version)
    others = sorted({(line.model, line.prompt_version) for line in lines} - {own})
    if others:
        told = "; ".join(f"model {model or 'none'}, prompts {version}" for model, version in others)
        notify(f"{out} holds lines of other models or prompts ({told}), not of model {own[0] or 'none'}, prompts "
               f"{own[1]}; they stay as they are: delete them to have them written anew")  # fmt: skip


def costs_of(out: Path) -> Path:
    """The table beside an instruction file that says what each case has cost, one row per case and run."""
    return out.with_name(out.name + ".costs.csv")


def missing_lines(
    source: CaseSource, writer: Writer, out: Path, case_ids: Sequence[str]
) -> list[tuple[str, tuple[Target, ...]]]:
    """The cases that `out` lacks lines of, each with the targets of these. Raises as `write_instructions` does."""
    written = {(line.case, line.target): line for line in _resume(out, writer.name)}
    return _missing(written, case_ids, tuple(source.targets))


def _missing(
    written: Mapping[tuple[str, str], Instruction], case_ids: Sequence[str], targets: tuple[Target, ...]
) -> list[tuple[str, tuple[Target, ...]]]:
    lacking = {case_id: tuple(t for t in targets if (case_id, t.name) not in written) for case_id in case_ids}
    return [(case_id, found) for case_id, found in lacking.items() if found]


def _write_case(
    source: CaseSource, writer: Writer, case_and_targets: tuple[str, Sequence[Target]]
) -> tuple[list[Instruction], list[str]]:
    """The instructions of one case, and why there are none for it or for some of the targets."""
    case_id, targets = case_and_targets
    try:
        case = source.read(case_id, labels=False)
        findings = writer.findings(case)
        digest = image_digest(case)
    except (BadInputError, OSError) as error:
        return [], [str(error)]
    lines, problems = [], []
    for target in targets:
        try:
            text = writer.unite(case_id, findings, target)
        except BadInputError as error:
            problems.append(f"{target.name}: {error}")
            continue
        lines.append(
            Instruction(
                case=case_id,
                target=target.name,
                text=text,
                findings={modality: finding.text for modality, finding in findings.items()},
                writer=writer.name,
                model=writer.model,
                prompt_version=writer.prompt_version,
                image_sha256=digest,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
            )
        )
    return lines, problems


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


def _append_cost(table: Path, case_id: str, used: Usage | None) -> None:
    """A row for a case that calls were made for; what came from the store alone cost nothing."""
    if used is None or not used.calls:
        return
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    cost = asdict(used)
    if not table.exists():
        writer.writerow(["case", "created", *cost])
    writer.writerow([case_id, datetime.now(UTC).isoformat(timespec="seconds"), *cost.values()])
    _append(table, rows.getvalue())


def _append(out: Path, text: str) -> None:
    """Append whole lines and wait until the disk has them; where that fails, the file is cut back to what it was."""
    data = text.encode()
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
