"""One trained model of a study on one setting: masks, then their scores, which are kept so that they are made once."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zeusseg.datasets import Dataset
from zeusseg.files import target_file_name, write_text
from zeusseg.inference.predict import WithModalities, predict
from zeusseg.inference.record import seconds_of
from zeusseg.instruct.instruction import Instruction, read_instructions
from zeusseg.instruct.write import WrittenInstructions, write_instructions
from zeusseg.instruct.writers import make_writer, store_of
from zeusseg.report.evaluate import score_predictions
from zeusseg.report.scoring import Score
from zeusseg.report.summary import or_none
from zeusseg.studies.oracle import is_oracle, oracle_instructions
from zeusseg.studies.plan import ALL_MODALITIES, Job, Setting

KEPT = "scores.json"
# Behind the name of an overlap: a distance has another best value than 1.
EMPTY_IS_ONE = "_empty_is_1"
OVERLAPS = ("dice", "iou", "precision", "recall")


@dataclass(frozen=True)
class MaskScore:
    """The score of one mask: of which arm, with which seed (and fold), in which setting, and how many `seconds` its
    case took from reading to written masks."""

    arm: str
    seed: int
    fold: int | None
    setting: Setting
    score: Score
    seconds: float = math.nan

    def value(self, metric: str) -> float:
        """The score's value of a metric, or of one with `EMPTY_IS_ONE` behind it: where the reference is empty, 1 for
        an empty mask and 0 for any other, as many published studies have it."""
        name = metric.removesuffix(EMPTY_IS_ONE)
        if name != metric and self.score.reference_voxels == 0:
            return float(self.score.predicted_voxels == 0 and self.score.failure is None)
        return self.score.values[name]

    @property
    def reference(self) -> tuple[int, int | None, str, str]:
        """What masks of two arms have in common where they can be compared: seed, fold, case and target."""
        return (self.seed, self.fold, self.score.case, self.score.target)


@dataclass(frozen=True)
class Words:
    """The instructions of a study, written once and shared by all arms with the same writer.

    They lie in `folder`/WRITER/MODALITIES.jsonl; the answers of models that write are kept beside, for all of them.
    """

    folder: Path
    dataset: Dataset
    seed: int
    progress: bool

    def file(self, writer: str, setting: Setting) -> Path:
        return self.folder / target_file_name(writer) / f"{setting.shown}.jsonl"

    def write(self, writer: str, setting: Setting, case_ids: Sequence[str]) -> WrittenInstructions:
        """What the file holds for these cases, after what it lacked was written.

        Oracle text is made anew, and kept as it was where it is the same.
        """
        out = self.file(writer, setting)
        if is_oracle(writer):
            told, failures = oracle_instructions(writer, self.dataset, case_ids)
            kept = {(line.case, line.target): line for line in read_instructions(out)} if out.exists() else {}
            lines = [_as_kept(line, kept.get((line.case, line.target))) for line in told]
            kept |= {(line.case, line.target): line for line in lines}
            write_text(out, "".join(line.to_json() + "\n" for line in kept.values()))
            return WrittenInstructions(lines, failures)
        shown = WithModalities(self.dataset, setting.modalities or self.dataset.modalities)
        store = store_of(out.with_name(f"{ALL_MODALITIES}.jsonl"))
        made = make_writer(writer, source=self.dataset, seed=self.seed, store=store, targets=self.dataset.targets)
        return write_instructions(shown, made, out, case_ids=case_ids, progress=self.progress)


def score_model(job: Job, setting: Setting, words: Words, out: Path) -> tuple[list[MaskScore], dict[str, str]]:
    """The scores of the masks of one model, and why cases could not be scored.

    Masks go to `out`/predictions/ARM/seed-S/SPLIT[/MODALITIES]. Neither masks nor scores are made again where the
    model, the words, the cases and the data are the same. Raises as `predict` and `score_predictions` do.
    """
    dataset = words.dataset
    run, predictions = out / "runs" / job.place, out / "predictions" / job.place / setting.place
    case_ids = setting.case_ids(dataset, job.splits)
    written = words.write(job.config.writer, setting, case_ids)
    instructions = words.file(job.config.writer, setting)
    said = [(line.case, line.target, line.text) for line in written.instructions]
    parts = [_digest(run / "model.safetensors"), said, case_ids, dataset.digest()]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    kept = _read(predictions / KEPT, key)
    if kept is None:
        predicted = predict(
            run, dataset, predictions, case_ids=case_ids, instructions=instructions,
            modalities=setting.modalities or None, store=out / "store" if job.frozen else None, progress=words.progress,
            allow_oracle=is_oracle(job.config.writer),
        )  # fmt: skip
        found = score_predictions(predictions, dataset, split_ids=case_ids)
        # That there is no mask is the consequence; why there is none was said by who could not read the case.
        reasons = predicted.failures | written.failures
        kept = {
            "key": key,
            "scores": [_to_json(score, reasons.get(score.case, score.failure)) for score in found.scores],
            "unscored": dict(found.unscored),
            "seconds": {case_id: seconds_of(predictions / case_id) for case_id in predicted.done},
        }
        write_text(predictions / KEPT, json.dumps(kept, indent=1))
    seconds = kept.get("seconds", {})
    scores = [
        MaskScore(job.arm, job.seed, job.fold, setting, _from_json(content), seconds.get(content["case"], math.nan))
        for content in kept["scores"]
    ]
    return scores, kept["unscored"]


def scores_csv(masks: Iterable[MaskScore], metrics: Sequence[str]) -> str:
    """One row per number: the metrics, the voxels of reference and mask, and `failed` (1) for a mask that is missing.

    The metrics of a failed mask are a miss's.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["arm", "seed", "fold", "split", "modalities", "patient", "case", "target", "metric", "value"])
    for mask in masks:
        score, setting = mask.score, mask.setting
        numbers: dict[str, object] = {metric: f"{mask.value(metric):.6f}" for metric in metrics}
        numbers |= {"reference_voxels": score.reference_voxels, "predicted_voxels": score.predicted_voxels}
        numbers["failed"] = int(score.failure is not None)
        fold = "" if mask.fold is None else mask.fold
        about = [mask.arm, mask.seed, fold, setting.split, setting.shown, score.patient, score.case, score.target]
        writer.writerows([*about, name, value] for name, value in numbers.items())
    return text.getvalue()


def _as_kept(line: Instruction, kept: Instruction | None) -> Instruction:
    """The line that is kept, where it differs in nothing but when it was made."""
    return kept if kept is not None and replace(line, created=kept.created) == kept else line


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read(path: Path, key: str) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if content.get("key") == key else None


def _to_json(score: Score, failure: str | None) -> dict[str, Any]:
    return {
        **{name: getattr(score, name) for name in ("patient", "case", "target", "presence")},
        "failure": failure,
        "values": {metric: or_none(value) for metric, value in score.values.items()},
        "reference_voxels": score.reference_voxels,
        "predicted_voxels": score.predicted_voxels,
    }


def _from_json(content: Mapping[str, Any]) -> Score:
    values = {metric: math.nan if value is None else value for metric, value in content["values"].items()}
    return Score(**{**content, "values": values})
