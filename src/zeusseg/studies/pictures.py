"""Cases of a study as pictures: the same slice once for every arm, with the reference's outline and the arm's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zeusseg.case import Case, Target
from zeusseg.datasets import Dataset
from zeusseg.errors import BadInputError
from zeusseg.report.masks import PredictedMasks
from zeusseg.report.pictures import CasePicture, panel_edge, picture_of
from zeusseg.studies.plan import Job
from zeusseg.studies.scores import MaskScore


@dataclass(frozen=True)
class ArmPicture:
    """What one arm outlined; `picture` is None where its mask cannot be read."""

    arm: str
    dice: float
    picture: CasePicture | None


@dataclass(frozen=True)
class CaseRow:
    """One case and target in every arm. `kind` says why it is shown, `seed` of which models."""

    kind: str
    case: str
    target: str
    modality: str
    seed: int
    arms: tuple[ArmPicture, ...]


def draw_cases(masks: Sequence[MaskScore], dataset: Dataset, predictions: Path, jobs: Sequence[Job]) -> list[CaseRow]:
    """The median and the worst case of each target by the mean Dice of all arms, with the models of the first seed.

    `masks` are those of one setting, `predictions` the folder above the arms' own. A case whose images cannot be read
    is left out.
    """
    seed = masks[0].seed
    places = {(job.arm, job.fold): job.place for job in jobs if job.seed == seed}
    scored = [mask for mask in masks if mask.seed == seed and mask.score.reference_voxels]
    chosen = [(kind, found) for target in dict.fromkeys(mask.score.target for mask in scored)
              for kind, found in _choose([mask for mask in scored if mask.score.target == target])]  # fmt: skip
    edge = panel_edge(sum(len(found) for _, found in chosen))
    rows = []
    for kind, found in chosen:
        target = next(target for target in dataset.targets if target.name == found[0].score.target)
        try:
            case = dataset.read(found[0].score.case)
        except BadInputError:
            continue
        drawn = []
        for mask in found:
            folder = predictions / places[mask.arm, mask.fold] / mask.setting.place
            drawn.append(ArmPicture(mask.arm, mask.score.values["dice"], _draw(case, target, folder, dataset, edge)))
        rows.append(CaseRow(kind, case.id, target.name, next(iter(case.images)), seed, tuple(drawn)))
    return rows


def _choose(masks: Sequence[MaskScore]) -> list[tuple[str, list[MaskScore]]]:
    """The masks of the median case and of the worst one; of an even number the lower of the two in the middle."""
    by_case: dict[str, list[MaskScore]] = {}
    for mask in masks:
        by_case.setdefault(mask.score.case, []).append(mask)
    ranked = sorted(by_case.values(), key=lambda found: float(np.mean([mask.score.values["dice"] for mask in found])))
    middle = (len(ranked) - 1) // 2
    return [("median", ranked[middle]), *([("worst", ranked[0])] if middle > 0 else [])]


def _draw(case: Case, target: Target, folder: Path, dataset: Dataset, edge: int) -> CasePicture | None:
    """The reference modality on the slice where the reference covers most, whatever was predicted elsewhere."""
    reference = case.mask(target)
    try:
        prediction = PredictedMasks(folder, case.id, case.reference, dataset).read(target)
    except BadInputError:
        return None
    across = tuple(axis for axis in range(3) if axis != case.slice_axis)
    shown: list[slice | int] = [slice(None)] * 3
    shown[case.slice_axis] = int(np.argmax(reference.sum(axis=across)))
    here = np.zeros_like(reference)
    here[tuple(shown)] = True
    alone = case.with_modalities([next(iter(case.images))])
    return picture_of(alone, reference & here, prediction & here, edge)
