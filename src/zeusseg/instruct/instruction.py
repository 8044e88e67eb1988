"""The instruction file: one JSON line per case and target, made to be read and edited by people."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from zeusseg.case import Case
from zeusseg.errors import BadInputError


@dataclass(frozen=True)
class Check:
    """One thing that a text states about an image, beside what was measured there.

    `place` is the modality whose finding states it, or "instruction"; `about` is "side", "size" and the like, `verdict`
    "agrees", "differs", or "not found" where nothing stands out that it could be said of.
    """

    place: str
    statement: str
    about: str
    said: str
    measured: str
    verdict: str


@dataclass(frozen=True)
class Instruction:
    """The text that conditions one target's mask in one case, with its provenance.

    `findings` maps a modality to what was seen in it; `image_sha256` identifies the images that were looked at;
    `oracle` marks text made from a reference mask; `created` is ISO 8601 in UTC; `text_before` is what a writer had
    written before a person edited `text`. `checks` are the statements that were checked against the image (None: not
    checked), and `checked` the digest of the words that they are of. `others` are fields of the file that somebody else
    put there; they are kept.
    """

    case: str
    target: str
    text: str
    findings: Mapping[str, str] = field(default_factory=dict)
    writer: str = ""
    model: str = ""
    prompt_version: str = ""
    image_sha256: str = ""
    oracle: bool = False
    created: str = ""
    text_before: str | None = None
    checks: tuple[Check, ...] | None = None
    checked: str = ""
    others: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words_digest(self) -> str:
        """A digest of text and findings: where `checked` is another, the checks are of words that are gone."""
        words = json.dumps([self.text, dict(self.findings)])
        return hashlib.sha256(words.encode()).hexdigest()[:16]

    @property
    def own_checks(self) -> tuple[Check, ...] | None:
        """The checks of these very words; None where they were not checked, or edited since."""
        return self.checks if self.checked == self.words_digest else None

    def edited(self, text: str) -> Instruction:
        """The same instruction in a person's words; the writer's own words are kept in `text_before`.

        >>> Instruction("a", "liver", "the liver").edited("the left lobe").text_before
        'the liver'
        """
        return replace(self, text=text, text_before=self.text if self.text_before is None else self.text_before)

    def to_json(self) -> str:
        """One line of the instruction file, without the line break."""
        absent = {"text_before": None, "checks": None, "checked": ""}
        values = {key: value for key, value in asdict(self).items() if key not in absent or value != absent[key]}
        return json.dumps(values | values.pop("others"), ensure_ascii=False)


def read_instructions(path: Path) -> list[Instruction]:
    """Read an instruction file. A line needs `case`, `target` and `text`; empty lines are passed over.

    Raises `BadInputError` naming file and line number where a line is no instruction or repeats another's case and
    target, and where the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # some editors put a mark in front
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: cannot be read as an instruction file ({error})") from error
    instructions: list[Instruction] = []
    first_lines: dict[tuple[str, str], int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            instruction = parse_instruction(line)
        except ValueError as error:
            raise BadInputError(f"{path}, line {number}: {error}; correct the line or delete it") from error
        key = (instruction.case, instruction.target)
        if key in first_lines:
            raise BadInputError(
                f"{path}, line {number}: case {key[0]!r}, target {key[1]!r} already stands in line {first_lines[key]}; "
                "delete one of them"
            )
        first_lines[key] = number
        instructions.append(instruction)
    return instructions


def parse_instruction(line: str) -> Instruction:
    """One line of an instruction file. Raises `ValueError` saying what is wrong with it."""
    try:
        values = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error.msg} at column {error.colno})") from error
    if not isinstance(values, dict):
        raise ValueError(f"holds a JSON {type(values).__name__}, expected an object with case, target and text")
    _check_types(values)
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"holds half of a character ({error.object[error.start : error.end]!r})") from error
    known = {f.name for f in fields(Instruction)} - {"others"}
    others = {key: value for key, value in values.items() if key not in known}
    values = {key: value for key, value in values.items() if key in known}
    if values.get("checks") is not None:
        values["checks"] = tuple(Check(**check) for check in values["checks"])
    return Instruction(**values, others=others)


def image_digest(case: Case) -> str:
    """SHA-256 over the names, grids and voxels of a case's images (never its labels), as hexadecimal digits."""
    digest = hashlib.sha256()
    for name, volume in case.images.items():
        digest.update(f"{name} {volume.array.dtype.str} {volume.array.shape} ".encode())
        digest.update(np.round(volume.affine, 6).tobytes())
        digest.update(np.ascontiguousarray(volume.array).data)
    return digest.hexdigest()


def _check_types(values: dict[str, Any]) -> None:
    missing = [key for key in ("case", "target", "text") if key not in values]
    if missing:
        raise ValueError(f"lacks {', '.join(missing)}: expected an object with case, target and text")
    for key in ("case", "target", "text", "writer", "model", "prompt_version", "image_sha256", "created", "checked"):
        if not isinstance(values.get(key, ""), str):
            raise ValueError(f"has {key} {values[key]!r}: expected text")
    if not isinstance(values.get("text_before"), str | None):
        raise ValueError(f"has text_before {values['text_before']!r}: expected text or null")
    if not isinstance(values.get("oracle", False), bool):
        raise ValueError(f"has oracle {values['oracle']!r}: expected true or false")
    checks, expected = values.get("checks"), {f.name for f in fields(Check)}
    if checks is not None and not (isinstance(checks, list) and all(
        isinstance(check, dict) and set(check) == expected and all(isinstance(part, str) for part in check.values())
        for check in checks
    )):  # fmt: skip
        raise ValueError(f"has checks that are no list of objects with {', '.join(sorted(expected))}")
    findings = values.get("findings", {})
    if not isinstance(findings, dict) or not all(isinstance(text, str) for text in findings.values()):
        raise ValueError(f"has findings {findings!r}: expected an object of modality and text")
