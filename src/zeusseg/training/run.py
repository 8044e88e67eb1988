"""One training run: a folder that explains itself, from its configuration to its card."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from zeusseg.datasets import Dataset, draw_splits, dump_targets_file, find_leaks
from zeusseg.errors import BadInputError, UsageError
from zeusseg.files import write_text
from zeusseg.inference.calibration import calibrate
from zeusseg.inference.load import ENCODERS, LoadedModel, save_model
from zeusseg.inference.mirror import sided
from zeusseg.inference.slices import Slicing
from zeusseg.inference.threshold import choose_threshold
from zeusseg.instruct.instruction import Instruction
from zeusseg.instruct.write import write_instructions
from zeusseg.instruct.writers import make_writer, store_of
from zeusseg.lexicon import load_lexicon
from zeusseg.models.build import SegmentationModel, build_model
from zeusseg.models.peers import peer_class
from zeusseg.models.zeus import count_parameters
from zeusseg.training.card import write_card
from zeusseg.training.config import TrainConfig, write_config
from zeusseg.training.fit import fit
from zeusseg.training.samples import PreparedCase, prepare

PACKAGES = ("zeusseg", "torch", "lightning", "monai", "numpy", "nibabel")
PEER_PACKAGES = ("transformers", "open_clip_torch", "segmentation_models_pytorch", "timm", "torchvision")


@dataclass
class TrainedRun:
    """Where the run lies, and the cases it had to leave out with the reason."""

    folder: Path
    failures: dict[str, str]


def train(
    config: TrainConfig, dataset: Dataset, run: Path | str, *, resume: bool = False, allow_leaks: bool = False,
    store: Path | None = None, instructions: Sequence[Instruction] | None = None, progress: bool = True,
) -> TrainedRun:
    """Train one model into the folder `run`.

    `store` is a folder in which a frozen vision encoder's features are kept, for this run and others. `instructions`
    take the place of those that the configuration's writer would write; the held-out cases need some too, where they
    choose a threshold or when to stop.
    Raises `UsageError` where `run` already holds a run (unless `resume`), where the split or its training part is
    not there, where it leaks (unless `allow_leaks`), or where no training case can be used. A bad case costs that
    case, and is listed.
    """
    import torch
    from lightning.pytorch import seed_everything

    started = time.monotonic()
    run = Path(run)
    if (run / "config.yaml").exists() != resume:
        raise UsageError(
            f"nothing to resume in {run}: train without --resume" if resume
            else f"{run} already holds a run: choose another --out, or go on with --resume"
        )
    lateral = sided(dataset.targets) if config.fit.mirrors else None
    if lateral is not None:
        raise UsageError(f"the words of {lateral.name!r} say left or right, so patients cannot be mirrored: "
                         "set fit.mirror=false")
    lexicon = load_lexicon(config.lexicon.file)
    splits = run_splits(config, dataset, run)
    if not allow_leaks and not resume:
        refuse_leaks(dataset, splits, progress=progress)
    write_text(run / "config.yaml", write_config(config))
    write_text(run / "targets.yaml", dump_targets_file(dataset))
    write_text(run / "splits.json", json.dumps(splits, indent=1))

    seed_everything(config.fit.seed, verbose=False)
    ids, held_out = splits[config.train_on], held_out_of(config, splits)
    if config.chooses and not held_out:
        raise UsageError(
            f"validation cases choose the threshold, or when to stop, but the split has none called "
            f"{config.calibrate_on!r} beside {config.train_on!r}: name them in calibrate_on, or set threshold=0.5"
        )
    failures: dict[str, str] = {}
    if instructions is None:
        instructions, failures = _write(config, dataset, run, [*ids, *(held_out if config.chooses else ())], progress)
    slicing = config.slices.slicing
    own, others = set(ids), set(held_out)
    taught = [line for line in instructions if line.case in own]
    cases, unused = prepare_cases(dataset, taught, slicing, pieces=bool(config.fit.attributes))
    failures |= unused
    if not cases:
        raise UsageError(f"no training case of {dataset.root} can be used: {failures}")

    model, parts = make_model(config, dataset, run)
    if config.writer == "none":
        # Without words, words for absent or turned targets would be the only ones, and give themselves away.
        silent = config.fit.model_copy(update={"absent_targets": 0, "turned_queries": 0})
        config = config.model_copy(update={"fit": silent})
    asked = [line for line in instructions if line.case in others]
    if config.fit.steps:
        checked, unused = prepare_cases(dataset, asked, slicing) if config.fit.protocol == "transfer" else ([], {})
        failures |= unused
        if config.fit.protocol == "transfer" and not checked:
            raise UsageError(f"no validation case of {dataset.root} can be used: {failures}")
        fit(model, cases, dataset.targets, dataset.modalities, slicing, config, run, resume=resume, progress=progress,
            store=store, lexicon=lexicon, held_out=checked)
    loaded = LoadedModel(
        model, parts, dataset.modalities, dataset.targets, slicing, config.writer, config.fit.mirrors,
        clicks=config.fit.click_share > 0,
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if held_out and model.has_presence:
        loaded.calibration, unasked = calibrate(
            loaded, dataset, held_out, lexicon=lexicon, device=device, progress=progress
        )
        failures |= unasked
    if config.threshold == "validation":
        loaded.threshold, unasked = choose_threshold(loaded, dataset, asked, device=device, progress=progress)
        failures |= unasked
    else:
        loaded.threshold = config.threshold
    save_model(run / "model.safetensors", loaded)
    trainable, total = count_parameters(model)
    facts = {
        "versions": {name: version(name) for name in PACKAGES} | _peer_versions(config),
        "python": platform.python_version(),
        "seed": config.fit.seed,
        "steps": config.fit.steps,
        "data": dataset.name,
        "data_digest": dataset.digest(),
        "cases": len(cases),
        "patients": len({dataset.patients[i] for i in ids}),
        "failures": failures,
        "parameters_trained": trainable,
        "parameters": total,
        "frozen": dict(model.frozen),
        "threshold": loaded.threshold,
        "seconds": round(time.monotonic() - started, 1),
        "commit": source_commit(),
    }
    write_text(run / "run.json", json.dumps(facts, indent=1))
    write_text(run / "card.md", write_card(config, dataset, facts))
    return TrainedRun(run, failures)


def held_out_of(config: TrainConfig, splits: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The cases that a training may ask but not learn from: of `calibrate_on`, where that is another split."""
    return tuple(splits.get(config.calibrate_on, ())) if config.calibrate_on != config.train_on else ()


def make_model(config: TrainConfig, dataset: Dataset, run: Path) -> tuple[SegmentationModel, dict[str, Any]]:
    """The configuration's model before it is trained, and the parts that `build_model` takes.

    Raises `UsageError` where it cannot be built, or is a peer and some case has several images.
    """
    peer = config.model.peer
    if peer is None:
        parts: dict[str, Any] = {
            "modalities": len(dataset.modalities),
            "channels": config.slices.slicing.channels,
            **config.model.parts,
        }
        try:
            return build_model(parts, run / ENCODERS), parts
        except ValueError as error:
            raise UsageError(f"the configuration's model cannot be built: {error}") from error
    several = next((case_id for case_id, files in dataset.files.items() if len(files.images) > 1), None)
    if several is not None:
        raise UsageError(f"the model {peer.name} reads one image, but the case {several!r} of {dataset.root} has "
                         f"{', '.join(dataset.files[several].images)}: name one of them in a targets file")
    model = peer_class(peer.name).load(peer.weights, peer.changes, frozen=peer.frozen)
    return model, {"peer": peer.name, "settings": model.settings}


def _peer_versions(config: TrainConfig) -> dict[str, str]:
    """The libraries that a peer is made of, those that are installed."""
    if config.model.peer is None:
        return {}
    return {name: version(name) for name in PEER_PACKAGES if find_spec(name.removesuffix("_torch"))}


def _write(
    config: TrainConfig, dataset: Dataset, run: Path, case_ids: Sequence[str], progress: bool
) -> tuple[list[Instruction], dict[str, str]]:
    """The instructions that the configuration's writer has for these cases, and why some have none."""
    out = run / "instructions.jsonl"
    writer = make_writer(config.writer, source=dataset, seed=config.fit.seed, store=store_of(out))
    written = write_instructions(dataset, writer, out, case_ids=case_ids, progress=progress)
    return written.instructions, dict(written.failures)


def run_splits(config: TrainConfig, dataset: Dataset, run: Path) -> dict[str, tuple[str, ...]]:
    """The split of this run: the one it was begun with, else the data's own, else a new draw by patient."""
    if (run / "splits.json").exists():
        splits = {name: tuple(ids) for name, ids in json.loads((run / "splits.json").read_text()).items()}
    elif dataset.splits is not None:
        splits = dict(dataset.splits)
    else:
        splits = draw_splits(dataset, config.split, config.fit.seed)
    if not splits.get(config.train_on):
        raise UsageError(f"the split has no cases called {config.train_on!r}: it has {', '.join(sorted(splits))}")
    return splits


def refuse_leaks(dataset: Dataset, splits: dict[str, tuple[str, ...]], *, progress: bool) -> None:
    """Raise `UsageError` where images of two splits look alike, or one patient is in both."""
    leaks = find_leaks(dataset, splits, progress=progress)
    if leaks.leaks:
        examples = [f"{pair.first!r} in {a} and {pair.second!r} in {b}" for pair, a, b in leaks.across[:3]]
        examples += [f"patient {name!r} in {' and '.join(found)}" for name, found in leaks.shared_patients.items()][:3]
        raise UsageError(
            f"the split of {dataset.root} leaks: {len(leaks.across)} pairs of images look alike across splits and "
            f"{len(leaks.shared_patients)} patients are on both sides ({'; '.join(examples)}). Look at them with "
            "`zeusseg check-splits`, and train with the --splits or --groups that it writes, or with --allow-leaks"
        )


def prepare_cases(
    dataset: Dataset, instructions: Sequence[Instruction], slicing: Slicing, *, pieces: bool = False
) -> tuple[list[PreparedCase], dict[str, str]]:
    """Read and cut every case that has instructions; those that cannot be used are listed with the reason."""
    texts = {(line.case, line.target): line.text for line in instructions}
    cases, failures = [], {}
    for case_id in dict.fromkeys(line.case for line in instructions):
        try:
            case = dataset.read(case_id)
            untold = [target.name for target in dataset.targets if (case_id, target.name) not in texts]
            if untold:
                raise BadInputError(f"case {case_id!r} has no instruction for {', '.join(untold)}")
            words = [texts[case_id, target.name] for target in dataset.targets]
            cases.append(prepare(case, dataset.targets, words, dataset.modalities, slicing, pieces=pieces))
        except BadInputError as error:
            failures[case_id] = str(error)
    return cases, failures


def source_commit() -> str | None:
    """The commit of the source tree, where zeusseg runs from one."""
    import subprocess

    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
