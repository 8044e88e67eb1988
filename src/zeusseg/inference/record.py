"""The file prediction.json beside the masks of a case: what they follow from, and what the model said of each."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from zeusseg.case import Case
from zeusseg.files import write_text
from zeusseg.inference.clicks import TargetClicks
from zeusseg.inference.conflicts import Conflict
from zeusseg.inference.load import LoadedModel
from zeusseg.inference.segment import SegmentedTarget
from zeusseg.inference.singled_out import SingledOut
from zeusseg.instruct.instruction import Instruction

RECORD = "prediction.json"


class Extras(NamedTuple):
    """What is written beside the masks: a label map, and the probabilities."""

    multilabel: bool
    probabilities: bool


def entry(
    line: Instruction, found: SegmentedTarget, conflicts: Sequence[Conflict], singled_out: SingledOut | None,
    file: Path, clicks: TargetClicks | None,
) -> dict[str, Any]:
    """What is kept of one target: how sure the model is, the words, how they agree with the image, and which of
    several pieces they mean."""
    values: dict[str, Any] = {
        "presence": round(found.presence, 4),
        "presence_raw": round(found.raw_presence, 4),
        "empty_reason": found.empty_reason,
        "instruction": line.text,
        "findings": dict(line.findings),
        "checks": None if line.own_checks is None else [asdict(check) for check in line.own_checks],
        "conflicts": [asdict(conflict) for conflict in conflicts],
        "singled_out": singled_out and asdict(singled_out),
        "file": file.name,
        "voxels": int(found.mask.sum()),
    }
    if line.oracle:
        values["oracle"] = True
    if clicks is not None:
        values["clicks"] = {"points": len(clicks.points), "box": clicks.box is not None}
    return values


def write_record(
    folder: Path, loaded: LoadedModel, case: Case, entries: Mapping[str, Any], key: str, seconds: float
) -> None:
    """Write the record of a case, by target, into its folder. Presence is calibrated on so many answers, or not."""
    record = {
        "case": case.id,
        "targets": entries,
        "presence_calibrated": loaded.calibration is not None,
        "presence_calibrated_on": loaded.calibration and loaded.calibration.n,
        "modalities_used": [name for name in case.images if name in loaded.modalities],
        "notices": list(case.notices),
        "versions": {name: version(name) for name in ("zeusseg", "torch")},
        "seconds": round(seconds, 2),
        "key": key,
    }
    write_text(folder / RECORD, json.dumps(record, indent=1, ensure_ascii=False))


def seconds_of(folder: Path) -> float:
    """How long the case of a folder took, from reading it to its written masks; NaN where no record says so."""
    try:
        return float(json.loads((folder / RECORD).read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, KeyError):
        return math.nan


def record_key(
    model_digest: str, lines: Sequence[Instruction], clicks: Mapping[str, TargetClicks], modalities: Sequence[str],
    extras: Extras,
) -> str:
    """What a prediction follows from; the same key means the same masks."""
    parts: list[Any] = [model_digest, [(line.target, line.text) for line in lines], list(modalities), extras]
    # Masks made without clicks keep the key that they had before there were any.
    if clicks:
        parts.append({target: asdict(given) for target, given in clicks.items()})
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def is_done(folder: Path, key: str) -> bool:
    """Whether the masks of this key lie in a folder, complete."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return record.get("key") == key and all((folder / e["file"]).is_file() for e in record["targets"].values())
