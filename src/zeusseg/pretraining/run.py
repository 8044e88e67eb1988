"""One pretraining: a folder that transformers loads and that says of itself what it saw."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from zeusseg.datasets import Dataset
from zeusseg.errors import BadInputError, UsageError
from zeusseg.files import write_text
from zeusseg.pretraining.card import write_pretrain_card
from zeusseg.pretraining.config import PretrainConfig, write_pretrain_config
from zeusseg.pretraining.encoder import make_encoder, save_encoder
from zeusseg.pretraining.fit import fit
from zeusseg.pretraining.phantoms import load_phantoms
from zeusseg.pretraining.samples import Streams
from zeusseg.pretraining.slices import SlicedCase, slice_case
from zeusseg.pretraining.tasks import Pretraining
from zeusseg.training.config import FitConfig, TrainConfig
from zeusseg.training.run import run_splits, source_commit
from zeusseg.work import each

PACKAGES = ("zeusseg", "torch", "transformers", "numpy", "nibabel")


@dataclass
class PretrainedEncoder:
    """Where the weights lie, and the cases that had to be left out with the reason."""

    folder: Path
    failures: dict[str, str]


def pretrain(
    config: PretrainConfig, dataset: Dataset | None, out: Path | str, *, resume: bool = False, progress: bool = True
) -> PretrainedEncoder:
    """Pretrain one encoder into the folder `out`, from phantoms and the unlabelled images of `dataset`'s training
    patients (None: of phantoms). No label file is opened, and no other patient's image.

    Raises `UsageError` where `out` already holds a pretraining (unless `resume`), where transformers is missing, where
    the split or its training part is not there, or where no training case can be used.
    """
    started = time.monotonic()
    out = Path(out)
    if (out / "config.yaml").exists() != resume:
        raise UsageError(
            f"nothing to resume in {out}: pretrain without --resume" if resume
            else f"{out} already holds a pretraining: choose another --out, or go on with --resume"
        )
    written = write_pretrain_config(config)
    if resume and (out / "config.yaml").read_text(encoding="utf-8") != written:
        raise UsageError(f"{out} was begun with another configuration: go on with {out / 'config.yaml'}")
    torch.manual_seed(config.seed)
    model = Pretraining(make_encoder(config.encoder, config.image_size, config.encoder_config), config.image_size)
    splits = _splits(config, dataset, out)
    write_text(out / "config.yaml", written)
    images: list[SlicedCase] = []
    failures: dict[str, str] = {}
    if dataset is not None:
        write_text(out / "splits.json", json.dumps(splits, indent=1))
        images, failures = read_images(dataset, splits[config.train_on], progress=progress)
        if not images:
            raise UsageError(f"no training case of {dataset.root} can be used: {failures}")
    phantoms = load_phantoms(config.phantoms, config.seed, out / "phantoms-cache", progress=progress)
    loop_seconds = fit(model, Streams(phantoms, images or phantoms, config), config, out, progress=progress)
    save_encoder(model.encoder, out, config.image_size)
    used = [case_id for case_id in splits.get(config.train_on, ()) if case_id not in failures]
    facts: dict[str, Any] = {
        "versions": {name: version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "encoder": config.encoder,
        "parameters": sum(p.numel() for p in model.encoder.parameters()),
        "seed": config.seed,
        "steps": config.steps,
        "phantoms": config.phantoms.count,
        "data": dataset.name if dataset else None,
        "data_digest": dataset.digest() if dataset else None,
        "training_cases": used,
        "training_patients": sorted({dataset.patients[case_id] for case_id in used}) if dataset else [],
        "failures": failures,
        "loop_seconds": round(loop_seconds, 1),
        "seconds": round(time.monotonic() - started, 1),
        "commit": source_commit(),
    }
    write_text(out / "pretrain.json", json.dumps(facts, indent=1))
    write_text(out / "card.md", write_pretrain_card(config, facts))
    return PretrainedEncoder(out, failures)


def read_images(
    dataset: Dataset, case_ids: Sequence[str], *, progress: bool
) -> tuple[list[SlicedCase], dict[str, str]]:
    """Cut the images of these cases, labels unopened; those that cannot be read are listed with the reason."""

    def read(case_id: str) -> SlicedCase | str:
        try:
            return slice_case(dataset.read(case_id, labels=False), dataset.modalities)
        except BadInputError as error:
            return str(error)

    cases: list[SlicedCase] = []
    failures: dict[str, str] = {}
    for case_id, found in zip(case_ids, each(read, case_ids, "reading images", show=progress), strict=True):
        if isinstance(found, str):
            failures[case_id] = found
        else:
            cases.append(found)
    return cases, failures


def _splits(config: PretrainConfig, dataset: Dataset | None, out: Path) -> dict[str, tuple[str, ...]]:
    if dataset is None:
        return {}
    drawn_by = TrainConfig(split=config.split, train_on=config.train_on, fit=FitConfig(seed=config.seed))
    return run_splits(drawn_by, dataset, out)
