"""Seconds per epoch of training with the feature store and without, and whether the losses are the same.

`python benchmarks/feature_store.py [--epochs 3] [--encoders vit-b,sam-vit-b]`

Phantoms of 256 x 256 in plane, three modalities, hybrid fusion, no augmentation, batches of 4; encoders of the sizes of
ViT-B/16 and of SAM's ViT-B, frozen, with random weights (their time is the same whatever they were trained on). Both
trainings run in this process, one after the other, from one seed. An epoch is as many samples as there are slices; the
first one with the store includes computing the features.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from pathlib import Path

import numpy as np

from zeusseg.datasets import Dataset, load_dataset
from zeusseg.datasets.phantom import write_phantoms
from zeusseg.inference.store import gigabytes
from zeusseg.training import callbacks
from zeusseg.training.config import TrainConfig
from zeusseg.training.run import train

SIDE, PLANES, CASES, BATCH = 256, 8, 3, 4
MODALITIES = ("t1", "t1ce", "flair")


def write_encoder(name: str, folder: Path) -> Path:
    """The configuration of an encoder, which is all that random weights need."""
    from transformers import SamVisionConfig, ViTConfig

    config = {"vit-b": ViTConfig, "sam-vit-b": SamVisionConfig}[name](image_size=SIDE)
    config.save_pretrained(folder)
    return folder


def configure(encoder: Path, steps: int) -> TrainConfig:
    return TrainConfig.model_validate({
        "writer": "name",
        "model": {"fusion": "hybrid", "vision": f"random:{encoder}", "vision_channels": [16, 32, 64], "norm": "group",
                  "width": 64},
        "slices": {"crop": [SIDE, SIDE]},
        "fit": {"steps": steps, "batch_size": BATCH, "augment": False, "mirror": False, "modality_dropout": 0.0,
                "foreground": 0.0, "absent_targets": 1, "steps_per_round": steps},
    })  # fmt: skip


def rows(run: Path) -> tuple[list[float], list[float]]:
    """Loss of every step, and seconds since the first step began."""
    with (run / "log.csv").open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    return [float(row["total"]) for row in found], [float(row["seconds"]) for row in found]


def measure(name: str, dataset: Dataset, folder: Path, epochs: int) -> str:
    """One row of the table."""
    per_epoch = CASES * PLANES // BATCH
    config = configure(write_encoder(name, folder / name), epochs * per_epoch)
    losses, seconds, whole = {}, {}, {}
    for kind, store in (("without", None), ("with", folder / f"{name}-store")):
        started = time.perf_counter()
        run = train(config, dataset, folder / f"{name}-{kind}", store=store, allow_leaks=True).folder
        whole[kind] = time.perf_counter() - started
        losses[kind], ends = rows(run)
        seconds[kind] = np.diff([0.0, *ends[per_epoch - 1 :: per_epoch]])
    # Reading data and writing instructions are in both; what is left of the difference is computing the features.
    filling = whole["with"] - seconds["with"].sum() - (whole["without"] - seconds["without"].sum())
    # Each epoch against each, so that the spread of both is seen; the very first steps also warm up.
    ratios = [plain / stored for plain in seconds["without"][1:] for stored in seconds["with"][1:]]
    gap = max(abs(a - b) / b for a, b in zip(losses["with"], losses["without"], strict=True))
    held = sum(path.stat().st_size for path in (folder / f"{name}-store").rglob("*.features"))
    return (
        f"| {name} | {np.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f}) | "
        f"{np.median(seconds['without'][1:]):.1f} | {np.median(seconds['with'][1:]):.2f} | "
        f"{filling + seconds['with'][0]:.1f} | {gigabytes(held)} | {gap:.1e} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--encoders", default="vit-b,sam-vit-b")
    given = parser.parse_args()
    callbacks.EVERY = 1
    print(f"{CASES * PLANES} slices of {SIDE} x {SIDE}, {len(MODALITIES)} modalities, {given.epochs} epochs")
    print("| encoder | epochs without / with (2nd and later) | s without | s with | s first with, features computed | "
          "disk | largest relative difference of a step's loss |")  # fmt: skip
    print("| --- " * 7 + "|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        spacing = (0.75, 0.75, 8.0)
        write_phantoms(folder / "data", CASES, 1, modalities=MODALITIES, splits={"train": 1.0},
                       shape=(SIDE, SIDE, PLANES), spacing_mm=spacing)  # fmt: skip
        dataset = load_dataset(folder / "data")
        for name in given.encoders.split(","):
            print(measure(name, dataset, folder, given.epochs), flush=True)


if __name__ == "__main__":
    main()
