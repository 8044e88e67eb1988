"""The loop of a pretraining: steps, their log, and checkpoints from which the same weights come out."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from zeusseg.files import write_atomically
from zeusseg.pretraining.config import PretrainConfig
from zeusseg.pretraining.samples import Streams
from zeusseg.pretraining.tasks import Pretraining
from zeusseg.training.machine import fast_precision, keep_freed_memory
from zeusseg.work import track

WARM_UP = 0.1
STEPS_PER_ROW = 10
LOSSES = ("cross_entropy", "dice", "attributes", "reconstruction")
COLUMNS = ("step", "total", *LOSSES, "learning_rate", "seconds")
# Batches of each stream over which a finished ResNet's batch statistics are measured.
STATISTICS_BATCHES = 25


def learning_rate(step: int, config: PretrainConfig) -> float:
    """A linear rise over the first tenth of the steps, then half a cosine down to nothing; `step` counts from 0."""
    warm_up = max(1, round(WARM_UP * config.steps))
    if step < warm_up:
        return config.learning_rate * (step + 1) / warm_up
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, config.steps - warm_up)))


def fit(model: Pretraining, streams: Streams, config: PretrainConfig, out: Path, *, progress: bool) -> float:
    """Train `model` in place, from `out/checkpoint.pt` where there is one; returns seconds, those before it included.

    Writes the checkpoint every `config.steps_per_checkpoint` steps and at the end, and `out/log.csv`.
    """
    keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device).train()
    optimizer = make_optimizer(model, config)
    first, sums, seconds_before = _restore(model, optimizer, out / "checkpoint.pt", device)
    _start_log(out / "log.csv", first)
    started = time.monotonic()
    with deterministic():
        for step in track(range(first, config.steps), "pretraining", config.steps - first, show=progress):
            rate = learning_rate(step, config)
            for group in optimizer.param_groups:
                group["lr"] = rate
            phantoms, images = streams.phantom_batch(step).to(device), streams.image_batch(step).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=fast_precision() == "bf16-mixed"):
                losses = model(phantoms, images)
            optimizer.zero_grad()
            torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            for name in LOSSES:
                sums[name] += float(losses[name].detach())
            done, seconds = step + 1, seconds_before + time.monotonic() - started
            if done % STEPS_PER_ROW == 0 or done == config.steps:
                _write_row(out / "log.csv", done, sums, rate, seconds)
                sums = dict.fromkeys(LOSSES, 0.0)
            if done % config.steps_per_checkpoint == 0 or done == config.steps:
                _save(model, optimizer, done, sums, seconds, out / "checkpoint.pt")
        measure_statistics(model, streams, config.steps, device)
    return seconds_before + time.monotonic() - started


def make_optimizer(model: nn.Module, config: PretrainConfig) -> torch.optim.AdamW:
    # Decay is for weights that multiply; gains, biases, tokens and positions keep their size.
    kept = {name for name, p in model.named_parameters() if p.ndim <= 1 or "token" in name or "position" in name}
    decayed = [p for name, p in model.named_parameters() if name not in kept]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": [p for name, p in model.named_parameters() if name in kept], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.95))


@torch.no_grad()
def measure_statistics(model: Pretraining, streams: Streams, first: int, device: torch.device) -> None:
    """Measure the batch statistics of the final weights, over whole images of both streams alike.

    Running averages would be of phantoms alone (images are shown with holes) and lag behind the weights (Wu and
    Johnson 2021, section 3). A ViT has none, and costs nothing here.
    """
    norms = [part for part in model.encoder.modules() if isinstance(part, nn.BatchNorm2d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    model.encoder.train()
    for step in range(first, first + STATISTICS_BATCHES):
        pixels = torch.cat([streams.phantom_batch(step).pixels, streams.image_batch(step).pixels])
        model.encoder(pixels.to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


@contextmanager
def deterministic() -> Iterator[None]:
    """Inside, sums are taken in one order where torch can, so that a seed repeats."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def _save(
    model: nn.Module, optimizer: torch.optim.Optimizer, step: int, sums: dict[str, float], seconds: float, path: Path
) -> None:
    state = {
        "model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "sums": sums,
        "seconds": seconds,
    }
    with write_atomically(path) as temporary:
        torch.save(state, temporary)


def _restore(
    model: nn.Module, optimizer: torch.optim.Optimizer, path: Path, device: torch.device
) -> tuple[int, dict[str, float], float]:
    """The steps taken, the losses since the last row of the log, and the seconds; nothing of each without a file."""
    if not path.is_file():
        return 0, dict.fromkeys(LOSSES, 0.0), 0.0
    state = torch.load(path, map_location=device, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"], state["sums"], state["seconds"]


def _start_log(path: Path, first: int) -> None:
    """Begin the log, or drop the rows of steps after the checkpoint, which will be taken again."""
    rows = path.read_text(encoding="utf-8").splitlines()[1:] if first and path.is_file() else []
    kept = [row for row in rows if int(row.split(",")[0]) <= first]
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in (",".join(COLUMNS), *kept)))


def _write_row(path: Path, step: int, sums: dict[str, float], rate: float, seconds: float) -> None:
    count = step % STEPS_PER_ROW or STEPS_PER_ROW
    means = [sums[name] / count for name in LOSSES]
    with path.open("a", newline="", encoding="utf-8") as file:
        values = [f"{value:.5f}" for value in (sum(means), *means)]
        csv.writer(file, lineterminator="\n").writerow([step, *values, f"{rate:.3g}", f"{seconds:.1f}"])
