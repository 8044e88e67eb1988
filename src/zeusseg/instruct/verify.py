"""Checks the lines of an instruction file against the images that they are about, and keeps the result in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from zeusseg.case import CaseSource, Target
from zeusseg.errors import BadInputError
from zeusseg.files import write_text
from zeusseg.instruct.agreement import check
from zeusseg.instruct.finding import FindingAttributes
from zeusseg.instruct.instruction import Instruction, read_instructions
from zeusseg.instruct.measure import measure
from zeusseg.work import each

# Measuring an image takes a part of a second, so what is checked is kept every so many cases.
KEPT_EVERY = 100


def check_file(
    source: CaseSource, out: Path, case_ids: Sequence[str], *, targets: Sequence[Target] | None = None,
    only_checked: bool = False, progress: bool = True,
) -> tuple[list[Instruction], dict[str, str]]:
    """Check the lines of these cases whose words have no checks yet; return all lines of the file.

    `targets` (the source's own, where none are given) say by their definitions what is not about the image.
    `only_checked` leaves out files of which nothing was checked, such as those of the writer `measured`. The second
    value says, by case, why one could not be checked. Cases are read without labels. The file is replaced as a whole,
    so a kill leaves either state, and read again right before, so that what people change meanwhile stays.
    """
    lines = read_instructions(out)
    wanted = set(case_ids)
    if only_checked and not any(line.checked for line in lines):
        return lines, {}
    todo = list(dict.fromkeys(line.case for line in lines if line.case in wanted and line.own_checks is None))
    definitions = {t.name: t.definition for t in (source.targets if targets is None else targets)}
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
            lines = [
                _checked(line, found[line.case], definitions) if line.case in found else line
                for line in read_instructions(out)
            ]
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


def _checked(
    line: Instruction, measured: dict[str, FindingAttributes], definitions: dict[str, str]
) -> Instruction:
    return replace(
        line, checks=check(line, measured, definitions.get(line.target, "")), checked=line.words_digest
    )
