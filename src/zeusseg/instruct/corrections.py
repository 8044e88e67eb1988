"""Takes back what people corrected in an instruction file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zeusseg.files import write_text
from zeusseg.instruct.instruction import read_instructions


@dataclass(frozen=True)
class Corrections:
    """How many lines got other words, and why others were not taken."""

    changed: int
    failures: dict[str, str]


def take_corrections(out: Path, corrected: Path) -> Corrections:
    """Put the texts of `corrected` into the lines of `out`; what a writer had written is kept in `text_before`.

    `corrected` is an instruction file, or has only `case`, `target` and `text` in each line, for all or for some of the
    lines. What is the same already is left as it is. A line that says what it was `before` is taken only where it still
    is: somebody else may have corrected it since. Raises `BadInputError` where either file cannot be read.
    """
    lines = {(line.case, line.target): line for line in read_instructions(out)}
    changed, failures = 0, {}
    for line in read_instructions(corrected):
        key = (line.case, line.target)
        known = lines.get(key)
        if known is None:
            failures[f"{line.case}, {line.target}"] = f"{out} has no line for it"
        elif not line.text.strip() and known.text.strip():
            failures[f"{line.case}, {line.target}"] = f"its text is empty: to be rid of the line, delete it in {out}"
        elif line.text != known.text and line.others.get("before", known.text) != known.text:
            failures[f"{line.case}, {line.target}"] = f"{out} says other words by now: {known.text!r}"
        elif line.text != known.text:
            lines[key] = known.edited(line.text)  # its checks are of other words now; the next check makes them anew
            changed += 1
    if changed:
        write_text(out, "".join(line.to_json() + "\n" for line in lines.values()))
    return Corrections(changed, failures)

