"""Answers to look at: of each kind of question a few right and a few wrong ones, outlined on a slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from zeusseg.case import Case, Mask, Target
from zeusseg.datasets import Dataset
from zeusseg.errors import BadInputError
from zeusseg.io import read_mask
from zeusseg.report.pictures import CasePicture, panel_edge, picture_of
from zeusseg.studies.language.ask import prepare_case
from zeusseg.studies.language.judge import Judged, right_mask


@dataclass(frozen=True)
class Example:
    """One answer. `picture` has the right mask as its reference and the answer as its prediction; None where a file
    cannot be read any more."""

    judged: Judged
    modality: str
    picture: CasePicture | None


def draw_examples(
    judged: Mapping[str, Sequence[Judged]], folders: Mapping[str, Path], dataset: Dataset, seed: int
) -> dict[str, dict[str, list[Example]]]:
    """For each kind of question and each model its kept examples, wrong ones first.

    `judged` and `folders` (with the kept masks) are by model. A case that several examples show is read once.
    """
    kept = [(model, one) for model, found in judged.items() for one in found if one.example is not None]
    edge = panel_edge(len(kept))
    drawn: list[tuple[str, Example]] = []
    for case_id in dict.fromkeys(one.case for _, one in kept):
        here = [(model, one) for model, one in kept if one.case == case_id]
        drawn += _draw(dataset, case_id, [(model, folders[model], one) for model, one in here], seed, edge)
    examples: dict[str, dict[str, list[Example]]] = {}
    for model, example in drawn:
        examples.setdefault(example.judged.question.kind, {}).setdefault(model, []).append(example)
    for by_model in examples.values():
        for found in by_model.values():
            found.sort(key=lambda example: example.judged.right)
    return examples


def _draw(
    dataset: Dataset, case_id: str, kept: Sequence[tuple[str, Path, Judged]], seed: int, edge: int
) -> list[tuple[str, Example]]:
    try:
        asked = prepare_case(dataset.read(case_id), dataset.targets, seed)
    except BadInputError:
        return [(model, Example(one, "", None)) for model, _, one in kept]
    drawn = []
    for model, folder, one in kept:
        picture = None
        try:
            answer = read_mask(folder / str(one.example), asked.case.reference)
            right = right_mask(asked.case, asked.targets, one.question, asked.pieces)
            picture = _picture(asked.case, asked.targets, right, answer, edge)
        except BadInputError:
            pass  # somebody removed the mask; what was judged is still said
        drawn.append((model, Example(one, next(iter(asked.case.images)), picture)))
    return drawn


def _picture(case: Case, targets: Sequence[Target], right: Mask, answer: Mask, edge: int) -> CasePicture:
    """The reference modality on the slice where the right mask covers most; else the answer; else a target."""
    axis = case.slice_axis
    masks = (right, answer, *(case.mask(target) for target in targets))
    shown = next((mask for mask in masks if mask.any()), None)
    index = case.shape[axis] // 2
    if shown is not None:
        index = int(np.argmax(shown.sum(axis=tuple(other for other in range(3) if other != axis))))
    # `picture_of` chooses the slice by what masks cover; of a case of one slice it has no choice.
    part = [slice(None)] * 3
    part[axis] = slice(index, index + 1)
    place = tuple(part)
    name, volume = next(iter(case.images.items()))
    alone = replace(case, images={name: replace(volume, array=volume.array[place])}, labels=None)
    picture = picture_of(alone, right[place], answer[place], edge)
    plane = picture.plane.replace("slice 1 of 1", f"slice {index + 1} of {case.shape[axis]}")
    return replace(picture, plane=plane)
