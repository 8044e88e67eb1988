"""The model as lightning trains it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from zeusseg.models.build import SegmentationModel
from zeusseg.models.clicks import Clicks
from zeusseg.models.zeus import ZeusOutput
from zeusseg.training.batches import Batch
from zeusseg.training.clicks import correction_clicks, drawn_boxes
from zeusseg.training.config import FitConfig
from zeusseg.training.lexicon import LexiconTask
from zeusseg.training.losses import MaskLoss, average

WARM_UP = 0.05
BOX_SHARE = 0.5
# Sets the draws of clicks apart from those of samples, which start from the same seed.
CLICKS = 1
# What is not forgotten within a few steps need not be said in each.
LEXICON_EVERY = 3
# The numbers below are those of the batches that the text encoder began with.
FIRST_BATCH = 1_000_000


class TrainingModule(LightningModule):
    """AdamW with a linear warm-up and a cosine descent to nothing over the run's steps.

    With a `lexicon`, its loss is added with `lexicon_weight`, lest the text encoder forget what images do not teach.
    """

    def __init__(
        self, model: SegmentationModel, fit: FitConfig, lexicon: LexiconTask | None = None, lexicon_weight: float = 0.0
    ):
        super().__init__()
        self.model, self.fit_config, self.loss = model, fit, MaskLoss()
        self.lexicon, self.lexicon_weight = lexicon, lexicon_weight

    def training_step(self, batch: Batch, index: int) -> Tensor:
        encoded = self.model.encode_text(batch.texts)
        output = self.model(batch.images, batch.present, encoded, batch.which)
        losses = self.loss(output, batch.masks, batch.targets)
        rng = np.random.default_rng([self.fit_config.seed, CLICKS, self.global_step])
        clicks = self._correction(output, batch, rng)
        if clicks is not None:
            corrected = self.model(batch.images, batch.present, encoded, batch.which, clicks)
            losses = average(losses, self.loss(corrected, batch.masks, batch.targets))
        parts = {f"train/{name}": value.detach() for name, value in vars(losses).items()}
        total = losses.total
        if self.lexicon is not None and self.global_step % LEXICON_EVERY == 0:
            learnt = self.lexicon.loss(self.model.encode_text, FIRST_BATCH + self.global_step)
            total = total + self.lexicon_weight * learnt
            parts["train/lexicon"] = learnt.detach()
        self.log_dict(parts, batch_size=len(batch.masks))
        self.log("loss", total.detach(), prog_bar=True, logger=False)
        return total

    def _correction(self, output: ZeusOutput, batch: Batch, rng: np.random.Generator) -> Clicks | None:
        """Words first, then a click to correct their mask: in `fit.click_share` of the steps, half of them with a box.

        What a person corrects is a target that is there, or a mask of what is not: absent words get clicks as well.
        """
        if rng.random() >= self.fit_config.click_share:
            return None
        clicks = correction_clicks(output.masks, batch.masks)
        if rng.random() < BOX_SHARE:
            generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
            clicks = replace(clicks, boxes=drawn_boxes(batch.masks, generator))
        return clicks

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, index: int) -> Batch:
        return batch.to(device)

    def configure_optimizers(self) -> Any:
        # Decay is for weights that multiply; gains, biases and embeddings keep their size.
        trained = [p for p in self.model.parameters() if p.requires_grad]
        decayed = [p for p in trained if p.ndim > 1]
        kept = [p for p in trained if p.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": self.fit_config.weight_decay}, {"params": kept, "weight_decay": 0.0}],
            lr=self.fit_config.learning_rate,
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.fit_config.learning_rate, total_steps=self.fit_config.steps + 1, pct_start=WARM_UP,
            cycle_momentum=False, final_div_factor=1e3,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
