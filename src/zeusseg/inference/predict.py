"""From a run and a folder of cases to a folder of masks: each case by itself, so that a bad one costs only itself."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zeusseg.case import Array, Case, CaseSource, Target, Volume
from zeusseg.errors import BadInputError, UsageError
from zeusseg.files import target_file_name
from zeusseg.inference.clicks import TargetClicks, read_clicks, refuse_unknown_targets, refuse_untrained
from zeusseg.inference.conflicts import find_conflicts
from zeusseg.inference.load import LoadedModel, load_model
from zeusseg.inference.record import Extras, entry, is_done, record_key, write_record
from zeusseg.inference.segment import SegmentedTarget, segment
from zeusseg.inference.singled_out import single_out
from zeusseg.inference.store import FeatureStore, feature_store
from zeusseg.instruct.instruction import Instruction, read_instructions
from zeusseg.instruct.write import write_instructions
from zeusseg.instruct.writers import make_writer, store_of
from zeusseg.io import PROBABILITY, write_mask, write_probability, write_volume
from zeusseg.models.zeus import ZeusModel
from zeusseg.work import track

TEXT_TARGET = "text"


@dataclass
class Predictions:
    """Where the masks lie, the cases that were predicted (now or by an earlier call), and why the others were not."""

    folder: Path
    done: list[str]
    failures: dict[str, str]


@dataclass(frozen=True)
class WithModalities:
    """A source of cases that shows only some modalities, and never labels."""

    source: CaseSource
    names: tuple[str, ...]

    @property
    def targets(self) -> tuple[Target, ...]:
        return self.source.targets

    @property
    def case_ids(self) -> tuple[str, ...]:
        return self.source.case_ids

    def read(self, case_id: str, *, labels: bool = True) -> Case:
        return self.source.read(case_id, labels=False).with_modalities(self.names)


def predict(
    run: Path | str,
    source: CaseSource,
    out: Path | str,
    *,
    case_ids: Sequence[str] | None = None,
    instructions: Path | None = None,
    text: str | None = None,
    clicks: Path | None = None,
    modalities: Sequence[str] | None = None,
    multilabel: bool = False,
    probabilities: bool = False,
    store: Path | None = None,
    allow_oracle: bool = False,
    progress: bool = True,
) -> Predictions:
    """Write a mask per case and target under `out`, with `prediction.json` beside them.

    The words come from `instructions` (a file), or from `text` (one target called "text", word for word), or from
    the run's own writer. `clicks` (a file, `inference.clicks`) puts points and boxes beside them. With `multilabel` a
    label map is written too, with `probabilities` what each voxel's probability is (`io.write_probability`). A case
    predicted before with the same model, words, clicks and modalities is not done again. `store` is a folder in which
    a frozen vision encoder's features are kept, for this run and others.
    Raises `UsageError` where the run, the instruction file, the clicks or a modality cannot be used, and for oracle
    text, which only a study allows.
    """
    run, out = Path(run), Path(out)
    loaded = load_model(run)
    shown = WithModalities(source, _modalities(loaded, modalities))
    ids = list(source.case_ids if case_ids is None else case_ids)
    clicked = {} if clicks is None else _clicks(loaded, source, clicks)
    lines, failures = _instructions(loaded, shown, out, ids, instructions, text, allow_oracle, progress)
    for case_id in ids:
        if lines[case_id]:
            refuse_unknown_targets(case_id, [line.target for line in lines[case_id]], clicked.get(case_id, {}))
    model_digest = hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    extras = Extras(multilabel, probabilities)
    features = None
    if store is not None and isinstance(loaded.model, ZeusModel):
        features = feature_store(store, loaded.model)
    done = []
    usable = [case_id for case_id in ids if lines[case_id]]
    for case_id in track(usable, "segmenting", len(usable), show=progress):
        given = clicked.get(case_id, {})
        key = record_key(model_digest, lines[case_id], given, shown.names, extras)
        if not is_done(out / case_id, key):
            try:
                _predict_case(loaded, shown, case_id, lines[case_id], given, out, key, extras, device, features)
            except BadInputError as error:
                failures[case_id] = str(error)
                continue
        done.append(case_id)
    return Predictions(out, done, failures)


def _modalities(loaded: LoadedModel, wanted: Sequence[str] | None) -> tuple[str, ...]:
    unknown = sorted(set(wanted or ()) - set(loaded.modalities))
    if unknown:
        raise UsageError(f"the model knows no modality {unknown[0]!r}: it knows {', '.join(loaded.modalities)}")
    return tuple(m for m in loaded.modalities if wanted is None or m in wanted)


def _clicks(loaded: LoadedModel, source: CaseSource, path: Path) -> dict[str, dict[str, TargetClicks]]:
    """The clicks of each case, none for a case that is not there."""
    refuse_untrained(loaded)
    try:
        clicks = read_clicks(path)
    except BadInputError as error:
        raise UsageError(str(error)) from error
    unknown = next((case_id for case_id in clicks if case_id not in source.case_ids), None)
    if unknown is not None:
        raise UsageError(f"{path}: gives clicks for the case {unknown!r}, which the data do not hold")
    return clicks


def _instructions(
    loaded: LoadedModel, source: CaseSource, out: Path, ids: Sequence[str], path: Path | None, text: str | None,
    allow_oracle: bool, progress: bool,
) -> tuple[dict[str, list[Instruction]], dict[str, str]]:
    """The instructions of each case, and why a case has none."""
    if text is not None:
        return {case_id: [Instruction(case_id, TEXT_TARGET, text, writer="text")] for case_id in ids}, {}
    failures: dict[str, str] = {}
    if path is not None:
        try:
            found = read_instructions(path)
        except BadInputError as error:
            raise UsageError(str(error)) from error
    else:
        file = out / "instructions.jsonl"
        writer = make_writer(loaded.writer, source=source, store=store_of(file), targets=loaded.targets)
        written = write_instructions(source, writer, file, targets=loaded.targets, case_ids=ids, progress=progress)
        found, failures = written.instructions, dict(written.failures)
    oracle = next((line for line in found if line.oracle), None)
    if oracle is not None and not allow_oracle:
        raise UsageError(
            f"the instruction for case {oracle.case!r}, target {oracle.target!r} is oracle text (made from the "
            "reference mask): only `zeusseg study` may use it"
        )
    lines: dict[str, list[Instruction]] = {case_id: [] for case_id in ids}
    for line in found:
        lines.get(line.case, []).append(line)
    for case_id in ids:
        if not lines[case_id]:
            failures.setdefault(case_id, f"case {case_id!r} has no instruction" + (f" in {path}" if path else ""))
    return lines, failures


def _predict_case(
    loaded: LoadedModel, source: CaseSource, case_id: str, lines: Sequence[Instruction],
    clicks: Mapping[str, TargetClicks], out: Path, key: str, extras: Extras, device: str, store: FeatureStore | None,
) -> None:
    started = time.monotonic()
    case = source.read(case_id, labels=False)
    texts = {line.target: line.text for line in lines}
    segmented = segment(loaded, case, texts, device=device, store=store, clicks=clicks)
    # A click says which piece is meant better than words do.
    unclicked = {target: words for target, words in texts.items() if target not in clicks}
    chosen = single_out(loaded, case, unclicked, segmented, device=device, store=store)
    conflicts = find_conflicts(
        loaded, case, texts, device=device, store=store, segmented=segmented, by_name=chosen.by_name
    )
    folder = out / case_id
    entries: dict[str, Any] = {}
    for line in lines:
        found = chosen.answers[line.target]
        file = write_mask(folder / target_file_name(line.target), found.mask, case.reference)
        entries[line.target] = entry(
            line, found, conflicts[line.target], chosen.told.get(line.target), file, clicks.get(line.target)
        )
        if extras.probabilities:
            stem = folder / f"{target_file_name(line.target)}{PROBABILITY}"
            write_probability(stem, found.probability, case.reference)
    if extras.multilabel:
        labels = multilabel_map(chosen.answers, loaded.targets)
        write_volume(folder / f"labels{_suffix(case.reference)}", labels, case.reference, labels.dtype)
    # Written last: a case whose record is there is complete.
    write_record(folder, loaded, case, entries, key, time.monotonic() - started)


def multilabel_map(segmented: Mapping[str, SegmentedTarget], targets: Sequence[Target]) -> Array:
    """One label map (x, y, z) of the data set's own values; where masks overlap the more probable wins.

    A region that unites several values has no value of its own and is left to its parts. Raises `UsageError` where
    no target has a value of its own.
    """
    single = [t for t in targets if t.name in segmented and len(t.values) == 1]
    if not single:
        raise UsageError("--multilabel needs a target with a label value of its own: none of these targets has one")
    probabilities = np.stack([np.where(segmented[t.name].mask, segmented[t.name].probability, 0.0) for t in single])
    values = np.array([0, *(t.values[0] for t in single)])
    best = np.where(probabilities.max(axis=0) > 0, probabilities.argmax(axis=0) + 1, 0)
    return values[best].astype(np.uint8 if values.max() < 256 else np.uint16)


def _suffix(reference: Volume) -> str:
    return ".png" if reference.file_grid.kind == "picture" else ".nii.gz"
