"""One predicted case against its reference: a score per target, or the reason why there is none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zeusseg.case import Mask, Target, Volume
from zeusseg.errors import BadInputError
from zeusseg.files import target_file_name
from zeusseg.metrics import compute_scores

if TYPE_CHECKING:
    from zeusseg.datasets.dataset import Dataset

NSD_TOLERANCE = 2


@dataclass(frozen=True)
class Score:
    """How one target of one case was met.

    `values` has a number per metric (`dice`, `iou`, `hd95_mm`, `nsd_2mm`, or `…voxels` where the spacing is unknown),
    NaN where the reference is empty. `failure` is the reason why there is no mask; the values are then a miss's.
    """

    patient: str
    case: str
    target: str
    values: Mapping[str, float]
    reference_voxels: int
    predicted_voxels: int
    presence: float | None = None
    failure: str | None = None

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


@dataclass(frozen=True)
class PredictionRecord:
    """What prediction.json says of a case; empty where there is no such file. `problem` says what is wrong with it."""

    targets: Mapping[str, TargetRecord] = field(default_factory=dict)
    modalities_used: tuple[str, ...] = ()
    problem: str | None = None

    def target(self, name: str) -> TargetRecord:
        return self.targets.get(name, TargetRecord())


def metric_names(spacing_known: bool) -> dict[str, str]:
    """From the names of `metrics.compute_scores` to those of the tables, which carry the unit."""
    unit = "mm" if spacing_known else "voxels"
    return {"dice": "dice", "iou": "iou", "hd95": f"hd95_{unit}", "nsd": f"nsd_{NSD_TOLERANCE}{unit}"}


def read_prediction_record(folder: Path) -> PredictionRecord:
    """Read `folder/prediction.json`. Masks can be scored without it, so what is wrong is said, not raised."""
    path = folder / "prediction.json"
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        targets = {
            str(name): TargetRecord(
                presence=None if entry.get("presence") is None else float(entry["presence"]),
                empty_reason=entry.get("empty_reason"),
                instruction=str(entry.get("instruction") or ""),
                findings={str(modality): str(text) for modality, text in (entry.get("findings") or {}).items()},
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


def has_mask(predictions: Path, case_id: str, target: Target) -> bool:
    """Whether a mask file of this target was written for this case, readable or not."""
    stem = target_file_name(target.name)
    return any((predictions / case_id / f"{stem}{suffix}").exists() for suffix in (".nii.gz", ".png"))


def read_mask(predictions: Path, case_id: str, target: Target, like: Volume) -> Mask:
    """The predicted mask (x, y, z) on the grid of `like`. Raises `BadInputError` saying why there is none."""
    from zeusseg import io

    if not (predictions / case_id).is_dir():
        raise BadInputError(f"there is no prediction of this case (no folder {predictions / case_id})")
    if not has_mask(predictions, case_id, target):
        raise BadInputError(f"there is no mask of {target.name!r} in {predictions / case_id}")
    return io.read_mask(predictions / case_id / target_file_name(target.name), like)


def score_case(
    predictions: Path, dataset: Dataset, case_id: str, targets: Sequence[Target], record: PredictionRecord
) -> list[Score]:
    """Score every target of one case. Raises `BadInputError` where its reference cannot be read."""
    labels, like, spacing = _reference(dataset, case_id)
    names = metric_names(dataset.spacing_known)
    scores = []
    for target in targets:
        reference = np.isin(labels.array, target.values)
        failure = None
        try:
            prediction = read_mask(predictions, case_id, target, like)
        except BadInputError as error:
            prediction, failure = np.zeros_like(reference), str(error)
        found = compute_scores(prediction, reference, spacing, NSD_TOLERANCE)
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
            )
        )
    return scores


def _reference(dataset: Dataset, case_id: str) -> tuple[Volume, Volume, tuple[float, float, float]]:
    """Labels, the volume whose grid predictions are on, and the spacing that distances are measured with."""
    from zeusseg import io

    try:
        case = dataset.read(case_id)
    except BadInputError:
        # A broken image is why a case fails in prediction; its labels still say what was missed.
        path = dataset.files[case_id].label
        if path is None:
            raise
        labels = io.read_labels(path)
        if dataset.labels_are_masks:
            labels = replace(labels, array=(labels.array != 0).astype(np.uint8))
        return labels, labels, labels.spacing_mm if dataset.spacing_known else (1.0, 1.0, 1.0)
    if case.labels is None:
        raise BadInputError(f"case {case_id!r} has no labels to score against")
    return case.labels, case.reference, case.spacing_mm
