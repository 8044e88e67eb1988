"""Whether an answer is right: what a mask has in common with the reference, and what each kind of question asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from zeusseg.case import Case, Mask, Target
from zeusseg.metrics.overlap import dice
from zeusseg.studies.language.models import Answer
from zeusseg.studies.language.questions import Question

# What a paraphrase may cost against the target's own name in the same case.
TOLERANCE = 0.05
# From here on a mask counts as a mask of that target or piece.
FOUND = 0.5
# Slices so many away from the target are clear of how far exactly a reference reaches.
CLEAR_SLICES = 2


@dataclass(frozen=True)
class Slices:
    """Slices of a volume without the target, those of them that are marked all the same, and both counted only at
    least `CLEAR_SLICES` slices away from the target."""

    empty: int
    marked: int
    clear: int
    clear_marked: int


@dataclass(frozen=True)
class Judged:
    """One answered question. `dice` is with the right mask (None where that is empty), `dice_of` with every target that
    is there; `slices` is told for names in volumes; `example` is the file of the mask where it was kept."""

    case: str
    patient: str
    question: Question
    voxels: int
    presence: float | None
    dice: float | None
    dice_of: Mapping[str, float]
    conflicts: tuple[str, ...]
    right: bool
    slices: Slices | None = None
    example: str | None = None

    def to_json(self) -> dict[str, Any]:
        """One flat object, as a line of answers.jsonl holds it."""
        fields = vars(self) | {"dice_of": dict(self.dice_of)}
        question, slices = fields.pop("question"), fields.pop("slices")
        line = {"case": fields.pop("case"), "patient": fields.pop("patient"), **asdict(question), **fields}
        if slices is not None:
            line |= {
                "empty_slices": slices.empty, "marked_empty_slices": slices.marked,
                "clear_empty_slices": slices.clear, "marked_clear_empty_slices": slices.clear_marked,
            }
        return line

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Judged:
        """Undo `to_json`."""
        question = Question(
            line["kind"], line["text"], line["target"], line["about"], tuple(line["pieces"]), line["held_out"]
        )
        slices = None
        if "empty_slices" in line:
            slices = Slices(
                line["empty_slices"], line["marked_empty_slices"], line["clear_empty_slices"],
                line["marked_clear_empty_slices"],
            )
        return cls(
            line["case"], line["patient"], question, line["voxels"], line["presence"], line["dice"], line["dice_of"],
            tuple(line["conflicts"]), line["right"], slices, line["example"],
        )


def judge(
    case: Case, targets: Sequence[Target], questions: Sequence[Question], answers: Sequence[Answer],
    pieces: Mapping[str, Mapping[int, Mask]],
) -> list[Judged]:
    """Judge the answers to the questions about one case (with labels).

    `pieces` holds, for each target of an attribute question, the masks of its pieces by number.
    """
    references = {target.name: case.mask(target) for target in targets}
    there = {name: mask for name, mask in references.items() if mask.any()}
    # A text that several questions share was asked once, so they share the answer: it is measured once.
    found = {id(answer): {name: dice(answer.mask, mask) for name, mask in there.items()} for answer in answers}
    by_name: dict[str | None, float] = {
        question.target: found[id(answer)][question.target]
        for question, answer in zip(questions, answers, strict=True)
        if question.kind == "name" and question.target is not None
    }
    judged = []
    for question, answer in zip(questions, answers, strict=True):
        target, dice_of = question.target, found[id(answer)]
        value = None if target is None else dice_of.get(target)
        if target is None or value is None:
            right = not answer.mask.any()
        elif question.kind == "attribute":
            value, right = _judge_piece(question, answer.mask, pieces[target])
        else:
            right = _fits(question, dice_of, by_name)
        judged.append(
            Judged(
                case=case.id, patient=case.patient, question=question, voxels=int(np.count_nonzero(answer.mask)),
                presence=None if answer.presence is None else round(answer.presence, 4), dice=_rounded(value),
                dice_of={name: round(value, 4) for name, value in dice_of.items()}, conflicts=answer.conflicts,
                right=right, slices=_slices(case, question, answer.mask, references),
            )
        )
    return judged


def right_mask(
    case: Case, targets: Sequence[Target], question: Question, pieces: Mapping[str, Mapping[int, Mask]]
) -> Mask:
    """The mask (x, y, z) that the question asks for."""
    target = next((target for target in targets if target.name == question.target), None)
    if target is None:
        return np.zeros(case.shape, dtype=bool)
    if question.pieces:
        return _union(pieces[target.name], question.pieces)
    return case.mask(target)


def _fits(question: Question, dice_of: Mapping[str, float], by_name: Mapping[str | None, float]) -> bool:
    """Whether the mask is the right one, for kinds whose right mask is that of a target that is there."""
    target, about = str(question.target), question.about
    better = about not in dice_of or dice_of[target] > dice_of[str(about)]
    if question.kind == "swap":
        return better
    if question.kind == "name":
        return dice_of[target] >= FOUND
    as_good = dice_of[target] >= by_name[target] - TOLERANCE
    return as_good and (better or question.kind != "contrast")


def _judge_piece(question: Question, mask: Mask, pieces: Mapping[int, Mask]) -> tuple[float, bool]:
    """Dice with the pieces that are meant, and whether the mask fits one of them best of all and well enough."""
    fits = {number: dice(mask, piece) for number, piece in pieces.items()}
    value = dice(mask, _union(pieces, question.pieces))
    return value, max(fits, key=lambda number: fits[number]) in question.pieces and value >= FOUND


def _union(pieces: Mapping[int, Mask], numbers: Sequence[int]) -> Mask:
    return np.asarray(np.any([pieces[number] for number in numbers], axis=0))


def _slices(case: Case, question: Question, mask: Mask, references: Mapping[str, Mask]) -> Slices | None:
    if question.kind != "name" or question.target is None or case.shape[case.slice_axis] == 1:
        return None
    across = tuple(axis for axis in range(3) if axis != case.slice_axis)
    there, marked = references[question.target].any(axis=across), mask.any(axis=across)
    numbers = np.arange(there.size)
    away = np.abs(numbers[:, None] - np.flatnonzero(there)).min(axis=1)
    clear = away >= CLEAR_SLICES
    counts = (~there, ~there & marked, clear, clear & marked)
    return Slices(*(int(np.count_nonzero(count)) for count in counts))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
