"""One predicted case against its reference: a score per target, or the reason why there is none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Mask, Target, Volume
from zeusseg.errors import BadInputError
from zeusseg.instruct.instruction import Check
from zeusseg.metrics import Definitions, brier_score, compute_scores, expected_calibration_error
from zeusseg.report.masks import PredictedMasks

if TYPE_CHECKING:
    from zeusseg.datasets.dataset import Dataset

MM3_PER_ML = 1000.0
# Voxels that are surely background fill most of an image and would make every model look calibrated.
CERTAINLY_OUTSIDE = 0.01

@dataclass(frozen=True)
class Score:
    """How one target of one case was met.

    `values` has a number per metric, by its name in the tables (`metric_names`), NaN where the reference is empty and
    the definitions leave such cases out. `calibration` has `ece` and `brier` of the voxels' probabilities where these
    were written, and `notice` says why they could not be used. `failure` is the reason why there is no mask; the values
    are then a miss's.
    """

    patient: str
    case: str
    target: str
    values: Mapping[str, float]
    reference_voxels: int
    predicted_voxels: int
    presence: float | None = None
    failure: str | None = None
    calibration: Mapping[str, float] = field(default_factory=dict)
    notice: str | None = None

    @property
    def missed(self) -> bool:
        """The target is there and a mask was written, but an empty one."""
        return self.failure is None and self.reference_voxels > 0 and self.predicted_voxels == 0

    @property
    def false_mask(self) -> bool:
        """A mask was predicted where the target is not."""
        return self.reference_voxels == 0 and self.predicted_voxels > 0


@dataclass(frozen=True)
class TargetRecord:
    """What prediction.json says of one target."""

    presence: float | None = None
    empty_reason: str | None = None
    instruction: str = ""
    findings: Mapping[str, str] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class PredictionRecord:
    """What prediction.json says of a case; empty where there is no such file. `problem` says what is wrong with it."""

    targets: Mapping[str, TargetRecord] = field(default_factory=dict)
    modalities_used: tuple[str, ...] = ()
    problem: str | None = None

    def target(self, name: str) -> TargetRecord:
        return self.targets.get(name, TargetRecord())


def metric_names(spacing_known: bool, definitions: Definitions) -> dict[str, str]:
    """From the names of `metrics.compute_scores` to those of the tables, which carry the unit.

    >>> list(metric_names(True, Definitions()).values())[4:8]
    ['hd95_mm', 'assd_mm', 'nsd_2mm', 'volume_difference_ml']
    """
    unit = "mm" if spacing_known else "voxels"
    with_unit = {name: f"{name}{unit}" for name in definitions.measures if name.startswith("nsd_")}
    with_unit |= {name: f"{name}_{unit}" for name in ("hd95", "assd")}
    with_unit["volume_difference"] = f"volume_difference_{'ml' if spacing_known else 'voxels'}"
    return {name: with_unit.get(name, name) for name in definitions.measures}


def read_prediction_record(folder: Path) -> PredictionRecord:
    """Read `folder/prediction.json`. Masks can be scored without it, so what is wrong is said, not raised."""
    path = folder / "prediction.json"
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        targets = {
            str(name): TargetRecord(
                presence=_presence(entry.get("presence")),
                empty_reason=entry.get("empty_reason"),
                instruction=str(entry.get("instruction") or ""),
                findings={str(modality): str(text) for modality, text in (entry.get("findings") or {}).items()},
                checks=tuple(Check(**check) for check in entry.get("checks") or ()),
            )
            for name, entry in content.get("targets", {}).items()
        }
        return PredictionRecord(targets, tuple(str(name) for name in content.get("modalities_used", ())))
    except FileNotFoundError:
        return PredictionRecord(
            problem=f"{path} is missing: the mask was scored, its instruction and presence are unknown"
        )
    except (OSError, ValueError, TypeError, AttributeError) as error:
        return PredictionRecord(
            problem=f"{path} cannot be read ({' '.join(str(error).split())}): only the masks were used"
        )


def _presence(told: Any) -> float | None:
    if told is not None and not 0 <= float(told) <= 1:
        raise ValueError(f"presence {told} is not between 0 and 1")
    return None if told is None else float(told)


def score_case(
    predictions: Path,
    dataset: Dataset,
    case_id: str,
    targets: Sequence[Target],
    record: PredictionRecord,
    definitions: Definitions,
) -> list[Score]:
    """Score every target of one case. Raises `BadInputError` where its reference cannot be read."""
    labels, like, spacing = _reference(dataset, case_id)
    names = metric_names(dataset.spacing_known, definitions)
    masks = PredictedMasks(predictions, case_id, like, dataset)
    scores = []
    for target in targets:
        reference = np.isin(labels.array, target.values)
        failure = notice = None
        calibration: dict[str, float] = {}
        try:
            prediction = masks.read(target)
        except BadInputError as error:
            prediction, failure = np.zeros_like(reference), str(error)
        try:
            calibration = _calibration(masks.probability(target), reference)
        except BadInputError as error:
            notice = f"probabilities left out: {error}"
        found = compute_scores(prediction if failure is None else _miss(reference), reference, spacing, definitions)
        if dataset.spacing_known:
            found["volume_difference"] /= MM3_PER_ML
        scores.append(
            Score(
                patient=dataset.patients[case_id],
                case=case_id,
                target=target.name,
                values={names[metric]: value for metric, value in found.items()},
                reference_voxels=int(np.count_nonzero(reference)),
                predicted_voxels=int(np.count_nonzero(prediction)),
                presence=record.target(target.name).presence,
                failure=failure,
                calibration=calibration,
                notice=notice,
            )
        )
    return scores


def _miss(reference: Mask) -> Mask:
    """A mask that stands for one that failed: empty where the target is there, and not empty where it is not.

    Where two empty masks score 1, an empty one would reward a program for every target-free case that it failed on.
    """
    mask = np.zeros_like(reference)
    mask.flat[0] = not reference.any()
    return mask


def _calibration(probability: NDArray[np.float32] | None, reference: Mask) -> dict[str, float]:
    """ECE and Brier score over the voxels of the reference and those that are not surely outside."""
    if probability is None:
        return {}
    asked = reference | (probability > CERTAINLY_OUTSIDE)
    found, true = probability[asked], reference[asked]
    return {"ece": expected_calibration_error(found, true), "brier": brier_score(found, true)}


def _reference(dataset: Dataset, case_id: str) -> tuple[Volume, Volume, tuple[float, float, float]]:
    """Labels, the volume whose grid predictions are on, and the spacing that distances are measured with."""
    try:
        case = dataset.read(case_id)
    except BadInputError:
        # A broken image is why a case fails in prediction; its labels still say what was missed.
        labels = dataset.read_labels(case_id)
        return labels, labels, labels.spacing_mm if dataset.spacing_known else (1.0, 1.0, 1.0)
    if case.labels is None:
        raise BadInputError(f"case {case_id!r} has no labels to score against")
    return case.labels, case.reference, case.spacing_mm
