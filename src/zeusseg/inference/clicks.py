"""Points and boxes that people give beside the words: from a file of voxel indices to pixels of the model's slices."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zeusseg.case import Case
from zeusseg.errors import BadInputError, UsageError
from zeusseg.inference.load import LoadedModel
from zeusseg.inference.slices import SliceStack
from zeusseg.models.clicks import INSIDE, OUTSIDE, PADDING, Clicks

Index = tuple[int, ...]
FIELDS = ("case", "target", "points", "labels", "box")
EXPECTED = "expected an object with case, target, and points (with labels) or a box"


@dataclass(frozen=True)
class TargetClicks:
    """Where a person pointed for one target of one case.

    `points` are voxel indices (i, j, k) of the file of the reference modality, as viewers show them; of a picture
    (column, row) or (column, row, 0). `labels`: 1 for a point inside of the target, 0 outside. `box` holds the indices
    of two opposite corners, both inside of it; where it spans several slices, it counts in each of them.
    """

    points: tuple[Index, ...] = ()
    labels: tuple[int, ...] = ()
    box: tuple[Index, Index] | None = None


def read_clicks(path: Path) -> dict[str, dict[str, TargetClicks]]:
    """Read a file of clicks (JSONL, one line per case and target): case to target to clicks.

    Empty lines are passed over. Raises `BadInputError` naming file and line number where a line gives no clicks or
    repeats another's case and target, and where the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # some editors put a mark in front
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: cannot be read as a file of clicks ({error})") from error
    clicks: dict[str, dict[str, TargetClicks]] = {}
    first_lines: dict[tuple[str, str], int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            case, target, given = parse_clicks(line)
        except ValueError as error:
            raise BadInputError(f"{path}, line {number}: {error}; correct the line or delete it") from error
        if (case, target) in first_lines:
            raise BadInputError(
                f"{path}, line {number}: case {case!r}, target {target!r} already stands in line "
                f"{first_lines[case, target]}; put all points into one of them"
            )
        first_lines[case, target] = number
        clicks.setdefault(case, {})[target] = given
    return clicks


def parse_clicks(line: str) -> tuple[str, str, TargetClicks]:
    """Case, target and clicks of one line. Raises `ValueError` saying what is wrong with it."""
    try:
        values = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error.msg} at column {error.colno})") from error
    if not isinstance(values, dict):
        raise ValueError(f"holds a JSON {type(values).__name__}: {EXPECTED}")
    unknown = [key for key in values if key not in FIELDS]
    if unknown:
        raise ValueError(f"has a field {unknown[0]!r}: expected {', '.join(FIELDS)}")
    for key in ("case", "target"):
        if not isinstance(values.get(key), str):
            raise ValueError(f"has {key} {values.get(key)!r}: expected text")
    points, box = values.get("points", []), values.get("box")
    if not isinstance(points, list) or not all(_is_index(point) for point in points):
        raise ValueError(f"has points {points!r}: expected a list of voxel indices such as [[120, 96, 14]]")
    labels = values.get("labels", [INSIDE] * len(points))
    if not isinstance(labels, list) or not all(type(n) is int and n in (INSIDE, OUTSIDE) for n in labels):
        raise ValueError(f"has labels {labels!r}: expected a list of 1 (inside of the target) and 0 (outside)")
    if len(labels) != len(points):
        raise ValueError(f"has {len(labels)} labels for {len(points)} points: expected one for each")
    if box is not None and not (isinstance(box, list) and len(box) == 2 and all(_is_index(corner) for corner in box)):
        raise ValueError(f"has box {box!r}: expected two opposite corners such as [[100, 80, 14], [140, 110, 14]]")
    if not points and box is None:
        raise ValueError(f"has neither points nor a box: {EXPECTED}")
    corners = None if box is None else (tuple(box[0]), tuple(box[1]))
    return values["case"], values["target"], TargetClicks(tuple(map(tuple, points)), tuple(labels), corners)


def _is_index(value: Any) -> bool:
    # JSON's true and false are whole numbers to Python.
    return isinstance(value, list) and len(value) in (2, 3) and all(type(n) is int for n in value)


@dataclass
class StackClicks:
    """The clicks of one case by (plane, target number): points (row, column, label), boxes (top, left, bottom, right).

    In pixels of the slices as the model sees them; a pixel's centre has whole numbers.
    """

    targets: int
    points: dict[tuple[int, int], list[tuple[float, float, int]]] = field(default_factory=dict)
    boxes: dict[tuple[int, int], tuple[float, float, float, float]] = field(default_factory=dict)

    def read(self, planes: Sequence[int]) -> Clicks | None:
        """The clicks in these planes, a sample each; None where there are none in any of them."""
        wanted = [(plane, target) for plane in planes for target in range(self.targets)]
        most = max(len(self.points.get(key, ())) for key in wanted)
        if not most and not any(key in self.boxes for key in wanted):
            return None
        padding, no_box = (0.0, 0.0, PADDING), (np.nan,) * 4
        marks = [(self.points.get(key, []) + [padding] * most)[:most] for key in wanted]
        shape = (len(planes), self.targets)
        points = torch.tensor(marks, dtype=torch.float32).reshape(*shape, most, 3)
        boxes = torch.tensor([self.boxes.get(key, no_box) for key in wanted], dtype=torch.float32)
        return Clicks(points[..., :2], points[..., 2].long(), boxes.reshape(*shape, 4))


def stack_clicks(
    case: Case, stack: SliceStack, targets: Sequence[str], given: Mapping[str, TargetClicks]
) -> StackClicks:
    """Where the slices of a case have the clicks that were given for its targets (by name).

    Raises `UsageError` where one is given for none of `targets`, `BadInputError` for a point outside the image.
    """
    refuse_unknown_targets(case.id, targets, given)
    found = StackClicks(len(targets))
    scale = np.array(stack.images.shape[2:4]) / stack.planes_shape[1:]
    for number, target in enumerate(targets):
        clicks = given.get(target, TargetClicks())
        for point, label in zip(clicks.points, clicks.labels, strict=True):
            plane, *pixel = _place(case, stack.axis, point, target)
            row, column = (np.array(pixel) + 0.5) * scale - 0.5
            found.points.setdefault((plane, number), []).append((float(row), float(column), label))
        if clicks.box is not None:
            corners = np.array([_place(case, stack.axis, corner, target) for corner in clicks.box])
            first, last = corners.min(axis=0), corners.max(axis=0)
            # The outer edges of its pixels stay where they are; a box that is then less than a pixel is its middle.
            low, high = first[1:] * scale, (last[1:] + 1) * scale - 1
            middle = (low + high) / 2
            box = (*np.minimum(low, middle).tolist(), *np.maximum(high, middle).tolist())
            for plane in range(first[0], last[0] + 1):
                found.boxes[plane, number] = box
    return found


def refuse_untrained(loaded: LoadedModel) -> None:
    """Raise `UsageError` where a model has not learnt what clicks mean."""
    if not loaded.clicks:
        raise UsageError("clicks are given, but the run was not trained with any: train with fit.click_share above 0 "
                         "(0.5, say), or leave the clicks out")


def refuse_unknown_targets(case_id: str, targets: Sequence[str], given: Mapping[str, TargetClicks]) -> None:
    """Raise `UsageError` where clicks are given for a target that no words are for."""
    unknown = next((target for target in given if target not in targets), None)
    if unknown is not None:
        raise UsageError(f"clicks are given for the target {unknown!r} of case {case_id!r}, which has no instruction: "
                         f"there are {', '.join(targets)}")


def _place(case: Case, axis: int, index: Index, target: str) -> tuple[int, int, int]:
    """Plane, row and column (as `planes.cut` lays them) of a voxel of the file."""
    grid = case.reference.file_grid
    picture = grid.kind == "picture"
    voxel = (*index, 0) if picture and len(index) == 2 else index
    size = grid.shape[:2] if picture else grid.shape
    if len(voxel) != 3 or not all(0 <= n < length for n, length in zip(voxel, grid.shape, strict=True)):
        raise BadInputError(
            f"case {case.id!r}, target {target!r}: the point {list(index)} is not in the image, which has "
            f"{'x'.join(map(str, size))} {'pixels (columns, rows)' if picture else 'voxels'}; indices start at 0"
        )
    inside = np.rint(np.linalg.inv(case.reference.affine) @ grid.affine @ [*voxel, 1]).astype(int)
    first, second = (n for n in range(3) if n != axis)
    return int(inside[axis]), case.shape[second] - 1 - int(inside[second]), case.shape[first] - 1 - int(inside[first])
