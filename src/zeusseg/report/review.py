"""The review page: pictures and words of every case on one page, where people correct the words."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from zeusseg.errors import BadInputError
from zeusseg.files import write_text
from zeusseg.instruct.instruction import Check, Instruction, read_instructions
from zeusseg.instruct.language.sheet import contact_sheet
from zeusseg.report.page import load_template
from zeusseg.work import each

if TYPE_CHECKING:
    from zeusseg.case import CaseSource

# A sheet of this width is legible, and a hundred cases of four modalities make a page of about ten megabytes.
WIDTH, QUALITY = 560, 75


@dataclass(frozen=True)
class ReviewedCase:
    """The sheets of a case (modality to data URI; none where its images cannot be read) and its lines."""

    id: str
    sheets: Mapping[str, str]
    lines: tuple[Instruction, ...]

    @property
    def modalities(self) -> list[str]:
        """Those with a sheet, then those that only words speak of."""
        told = [modality for line in self.lines for modality in line.findings]
        return list(dict.fromkeys([*self.sheets, *told]))

    def finding(self, modality: str) -> str:
        return next((line.findings[modality] for line in self.lines if modality in line.findings), "")

    def checks(self, modality: str) -> list[Check]:
        """What was checked of a modality's finding, which all lines share."""
        checked = next((line.own_checks for line in self.lines if line.own_checks is not None), ())
        return [check for check in checked if check.place == modality]


def write_review(
    source: CaseSource, out: Path, *, case_ids: Sequence[str] | None = None, progress: bool = True
) -> tuple[Path, dict[str, str]]:
    """Write `OUT.review.html` for the lines of the instruction file `out`, those of `case_ids` alone where given.

    Returns the page, and why cases have no pictures. Raises `BadInputError` where `out` cannot be read or has no line
    for these cases.
    """
    asked_for = None if case_ids is None else set(case_ids)
    lines: dict[str, list[Instruction]] = {}
    for line in read_instructions(out):
        if asked_for is None or line.case in asked_for:
            lines.setdefault(line.case, []).append(line)
    wanted = list(lines)
    if not wanted:
        raise BadInputError(f"{out} has no line for any of these cases: write instructions first")
    cases = []
    failures: dict[str, str] = {}
    sheets = each(partial(_sheets, source), wanted, "drawing", show=progress)
    for case_id, drawn in zip(wanted, sheets, strict=True):
        if isinstance(drawn, str):
            failures[case_id] = drawn
        cases.append(ReviewedCase(case_id, {} if isinstance(drawn, str) else drawn, tuple(lines[case_id])))
    page = out.with_name(out.name + ".review.html")
    write_text(page, load_template("review.html").render(cases=cases, name=out.name))
    return page, failures


def _sheets(source: CaseSource, case_id: str) -> dict[str, str] | str:
    try:
        case = source.read(case_id, labels=False)
        return {modality: _small(contact_sheet(case, modality).pictures[0]) for modality in case.images}
    except (BadInputError, OSError) as error:
        return f"its pictures could not be drawn: {error}"


def _small(png: bytes) -> str:
    from PIL import Image

    image = Image.open(io.BytesIO(png))
    image.thumbnail((WIDTH, WIDTH))
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
