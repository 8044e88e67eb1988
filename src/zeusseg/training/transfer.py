"""The training protocol of the transfer study of vision-language segmentation models, without its faults.

As arXiv 2308.07706 (section 4 and its published code) has it: AdamW, the learning rate divided by ten where the
validation loss has not fallen for five rounds, a stop where the validation Dice has not risen for twenty, gradients
clipped at 0.5, no augmentation, and the weights of the best round. The loss is Dice + 0.2 cross-entropy. Three things
are otherwise. The cross-entropy is of a sigmoid: theirs took a softmax over one channel, which is 1 whatever the
network says, so that it taught nothing. The sigmoid is applied once, in here. And Dice is of each picture, then
averaged: over a batch, large structures count for more, and a figure depends on who shared the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from zeusseg.inference.slices import Slicing
from zeusseg.models.peers.base import PeerModel
from zeusseg.training.batches import Batch, collate, sample_loader
from zeusseg.training.callbacks import StepLog, StepProgress
from zeusseg.training.config import FitConfig
from zeusseg.training.machine import fast_precision
from zeusseg.training.samples import PreparedCase, SampleStream, pad_to

CROSS_ENTROPY_WEIGHT = 0.2
RATE_FACTOR, RATE_PATIENCE, STOP_PATIENCE = 0.1, 5, 20
GRADIENT_CLIP = 0.5
LAST, BEST = "last", "best"
NEVER = 10**9


def transfer_loss(logits: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """`total`, `dice` and `cross_entropy` of `logits` and `masks` (b, t, h, w), masks 0 or 1.

    Soft Dice is of each picture and text; its mean is subtracted from 1.
    """
    from monai.losses import DiceLoss

    reference = masks.to(logits)
    # Its default smoothing (1e-5) keeps the Dice of a picture without the target from dividing by nothing.
    dice: Tensor = DiceLoss(sigmoid=True)(logits, reference)
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, reference)
    return {"total": dice + CROSS_ENTROPY_WEIGHT * cross_entropy, "dice": dice, "cross_entropy": cross_entropy}


def picture_dice(logits: Tensor, masks: Tensor) -> Tensor:
    """Dice (b, t) of each mask at a threshold of one half; two empty masks count as 1, as the study has it."""
    predicted, reference = (logits > 0).flatten(2), (masks > 0).flatten(2)
    common, total = (predicted & reference).sum(dim=2), predicted.sum(dim=2) + reference.sum(dim=2)
    return torch.where(total > 0, 2 * common / total.clamp(min=1), torch.ones_like(total, dtype=torch.float32))


class WholeSlices(Dataset[dict[str, object]]):
    """Every slice of the cases that is validated on, padded to one size, with one target and its own text at a time:
    each of those that are there, or all where none is. In a pool most targets are absent from every picture, and a
    model that marks nothing would otherwise validate best."""

    def __init__(self, cases: Sequence[PreparedCase], slicing: Slicing, size: tuple[int, int]):
        self.slicing, self.size = slicing, size
        self.places = [
            (case, plane, target)
            for case in cases for plane in range(len(case.stack)) for target in _asked(case.masks[:, plane])
        ]  # fmt: skip

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> dict[str, object]:
        case, plane, target = self.places[index]
        images = pad_to(case.stack.read(plane, self.slicing), self.size)
        masks = pad_to(case.masks[target : target + 1, plane], self.size)
        return {"images": images, "present": case.stack.present, "masks": masks, "texts": [case.texts[target]],
                "targets": torch.tensor([target])}  # fmt: skip


def _asked(masks: Tensor) -> list[int]:
    """The targets that one slice's masks (target, row, column) hold, or all of them where it holds none."""
    there: list[int] = masks.flatten(1).any(dim=1).nonzero()[:, 0].tolist()
    return there or list(range(len(masks)))


class TransferModule(LightningModule):
    """A peer as the protocol trains it."""

    def __init__(self, model: PeerModel, fit: FitConfig):
        super().__init__()
        self.model, self.fit_config = model, fit

    def training_step(self, batch: Batch, index: int) -> Tensor:
        losses = transfer_loss(self._masks(batch), batch.masks)
        parts = {f"train/{name}": value.detach() for name, value in losses.items()}
        self.log_dict(parts | {"train/presence": torch.zeros(())}, batch_size=len(batch.masks))
        self.log("loss", losses["total"].detach(), prog_bar=True, logger=False)
        return losses["total"]

    def validation_step(self, batch: Batch, index: int) -> None:
        logits = self._masks(batch)
        size = len(batch.masks)
        self.log("val/loss", transfer_loss(logits, batch.masks)["total"], batch_size=size)
        self.log("val/dice", picture_dice(logits, batch.masks).mean(), batch_size=size)

    def on_validation_end(self) -> None:
        # By itself lightning steps it after the round's checkpoint, which would then lack what the round said.
        schedule: Any = self.lr_schedulers()
        schedule.step(self.trainer.callback_metrics["val/loss"])

    def _masks(self, batch: Batch) -> Tensor:
        return self.model(batch.images, batch.present, self.model.encode_text(batch.texts), batch.which).masks

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, index: int) -> Batch:
        return batch.to(device)

    def configure_optimizers(self) -> Any:
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(
            trained, lr=self.fit_config.learning_rate, weight_decay=self.fit_config.weight_decay
        )
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=RATE_FACTOR, patience=RATE_PATIENCE)
        by_hand = {"scheduler": schedule, "monitor": "val/loss", "frequency": NEVER}
        return {"optimizer": optimizer, "lr_scheduler": by_hand}


def fit_transfer(
    model: PeerModel, stream: SampleStream, held_out: Sequence[PreparedCase], fit: FitConfig, run: Path, *,
    resume: bool, workers: int, progress: bool,
) -> None:
    """Train `model` in place on the samples of `stream`; it ends with the weights that did best on `held_out`.

    A round is `fit.steps_per_round` steps; the training ends after `fit.steps`, or where the protocol stops it. With
    `resume` it goes on from the last round.
    """
    loader = sample_loader(stream, lambda: trainer.global_step, fit.steps_per_round, fit.batch_size, workers)
    sizes = [stream.crop, *((case.stack.images.shape[2], case.stack.images.shape[3]) for case in held_out)]
    size = (max(rows for rows, _ in sizes), max(columns for _, columns in sizes))
    validation = DataLoader(WholeSlices(held_out, stream.slicing, size), fit.batch_size, collate_fn=collate)
    checkpoints = run / "checkpoints"
    stopping = EarlyStopping("val/dice", mode="max", patience=STOP_PATIENCE, check_on_train_epoch_end=False)
    keep = {"dirpath": checkpoints, "enable_version_counter": False}
    trainer = Trainer(
        devices=1,
        max_steps=fit.steps,
        max_epochs=-1,
        precision=fast_precision(),
        gradient_clip_val=GRADIENT_CLIP,
        deterministic="warn",
        logger=TensorBoardLogger(run, name="tensorboard", version=""),
        log_every_n_steps=10,
        num_sanity_val_steps=0,
        callbacks=[
            stopping,
            ModelCheckpoint(filename=BEST, monitor="val/dice", mode="max", **keep),
            ModelCheckpoint(filename=LAST, save_on_train_epoch_end=True, **keep),
            StepLog(run / "log.csv"),
            *([StepProgress(fit.steps)] if progress else []),
        ],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = TransferModule(model, fit)
    last = checkpoints / f"{LAST}.ckpt"
    goes_on = resume and last.is_file()
    # Killed after it had stopped, or after its last step: it is not to learn any more.
    if not (goes_on and _has_ended(last, stopping, fit.steps)):
        trainer.fit(module, loader, validation, ckpt_path=last if goes_on else None, weights_only=True)
    best = torch.load(checkpoints / f"{BEST}.ckpt", map_location="cpu", weights_only=True)
    module.load_state_dict(best["state_dict"])


def _has_ended(checkpoint: Path, stopping: EarlyStopping, steps: int) -> bool:
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    waited = state["callbacks"][stopping.state_key]["wait_count"]
    return bool(state["global_step"] >= steps or waited >= stopping.patience)
