"""Checks the lines of an instruction file against the images that they are about, and keeps the result in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from zeusseg.case import CaseSource
from zeusseg.errors import BadInputError
from zeusseg.files import write_text
from zeusseg.instruct.agreement import check, words_digest
from zeusseg.instruct.finding import FindingAttributes
from zeusseg.instruct.instruction import Instruction, read_instructions
from zeusseg.instruct.measure import measure
from zeusseg.work import each

# Measuring an image takes a part of a second, so what is checked is kept every so many cases.
KEPT_EVERY = 100


def check_file(
    source: CaseSource, out: Path, case_ids: Sequence[str], *, only_checked: bool = False, progress: bool = True
) -> tuple[list[Instruction], dict[str, str]]:
    """Check the lines of these cases whose words have no checks yet; return all lines of the file.

    `only_checked` leaves out lines that never were checked, such as those of the writer `measured`.
    The second value says, by case, why one could not be checked. Lines are read without labels, and the file is
    replaced as a whole, so a kill leaves either state.
    """
    lines = read_instructions(out)
    wanted = set(case_ids)
    unchecked = [
        line.case for line in lines
        if line.case in wanted and line.checked != words_digest(line) and (line.checked or not only_checked)
    ]  # fmt: skip
    todo = list(dict.fromkeys(unchecked))
    failures: dict[str, str] = {}
    found: dict[str, dict[str, FindingAttributes]] = {}
    for number, (case_id, measured) in enumerate(
        zip(todo, each(partial(_measure, source), todo, "checking words against images", show=progress), strict=True), 1
    ):
        if isinstance(measured, str):
            failures[case_id] = measured
        else:
            found[case_id] = measured
        if found and (number % KEPT_EVERY == 0 or number == len(todo)):
            lines = [_checked(line, found[line.case]) if line.case in found else line for line in lines]
            write_text(out, "".join(line.to_json() + "\n" for line in lines))
            found = {}
    return lines, failures


def _measure(source: CaseSource, case_id: str) -> dict[str, FindingAttributes] | str:
    """What is measured in each modality of a case, or why it cannot be."""
    try:
        case = source.read(case_id, labels=False)
        return {
            modality: measure(volume, modality=modality, spacing_known=case.spacing_known)
            for modality, volume in case.images.items()
        }
    except (BadInputError, OSError) as error:
        return f"its words could not be checked: {error}"


def _checked(line: Instruction, measured: dict[str, FindingAttributes]) -> Instruction:
    return replace(line, checks=check(line, measured), checked=words_digest(line))
