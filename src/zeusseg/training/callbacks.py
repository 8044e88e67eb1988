"""What a run shows and keeps while it trains: a progress bar with time left, and a log that survives resumption."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

EVERY = 10


class StepProgress(Callback):
    """A bar over the steps of the whole run (lightning's own counts one round), with loss, rate and time left."""

    def __init__(self, steps: int):
        self.steps = steps

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("train"), BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]:.3f}"),
            TimeRemainingColumn(),
        )
        self.progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self.task = self.progress.add_task("train", total=self.steps, completed=trainer.global_step, loss=float("nan"))
        self.progress.start()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        loss = float(trainer.callback_metrics.get("loss", float("nan")))
        self.progress.update(self.task, completed=trainer.global_step, loss=loss)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.progress.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if hasattr(self, "progress"):
            self.progress.stop()


class StepLog(Callback):
    """Appends the mean losses of every ten steps to `log.csv`; lightning's CSV logger would start the file anew."""

    columns = ("step", "total", "dice", "cross_entropy", "presence", "learning_rate", "seconds")

    def __init__(self, path: Path):
        self.path = path
        self.sums: dict[str, float] = {}
        self.count = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started = time.monotonic()
        if trainer.global_step == 0 or not self.path.exists():
            with self.path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerow(self.columns)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        for name in self.columns[1:5]:
            self.sums[name] = self.sums.get(name, 0.0) + float(trainer.callback_metrics[f"train/{name}"])
        self.count += 1
        if trainer.global_step % EVERY and trainer.global_step != trainer.max_steps:
            return
        means = [f"{self.sums[name] / self.count:.5f}" for name in self.columns[1:5]]
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        with self.path.open("a", newline="", encoding="utf-8") as file:
            seconds = f"{time.monotonic() - self.started:.1f}"
            csv.writer(file).writerow([trainer.global_step, *means, f"{rate:.3g}", seconds])
        self.sums, self.count = {}, 0
