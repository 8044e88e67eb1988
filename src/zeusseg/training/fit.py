"""The loop: lightning's Trainer over the stream of samples, with logs, a progress bar and checkpoints."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from joblib import cpu_count
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from zeusseg.case import Target
from zeusseg.inference.slices import Slicing
from zeusseg.inference.store import feature_store
from zeusseg.lexicon import Lexicon
from zeusseg.models.build import SegmentationModel
from zeusseg.models.peers.base import PeerModel
from zeusseg.models.text import SubwordTextEncoder
from zeusseg.models.zeus import ZeusModel
from zeusseg.training.batches import sample_loader
from zeusseg.training.callbacks import StepLog, StepProgress
from zeusseg.training.config import TrainConfig
from zeusseg.training.lexicon import LexiconTask, learn_lexicon
from zeusseg.training.machine import fast_precision, keep_freed_memory
from zeusseg.training.module import TrainingModule
from zeusseg.training.samples import PreparedCase, SampleStream
from zeusseg.training.stored import stored_stream
from zeusseg.training.transfer import fit_transfer

LAST = "last"


def fit(
    model: SegmentationModel, cases: Sequence[PreparedCase], targets: Sequence[Target], modalities: Sequence[str],
    slicing: Slicing, config: TrainConfig, run: Path, *, resume: bool, progress: bool, store: Path | None = None,
    lexicon: Lexicon | None = None, held_out: Sequence[PreparedCase] = (),
) -> None:
    """Train `model` in place; it ends with the averaged weights. With `resume`, goes on from the last checkpoint.

    By the protocol "transfer", `held_out` cases say when to stop, and which weights it ends with.

    A text encoder that is trained learns the `lexicon` first (the package's, where none is given).

    With `store`, what its frozen vision encoder makes of all samples is computed first, or was before, and is kept
    there. Raises `UsageError` where the model has no encoder that is wholly frozen.

    Writes `run/checkpoints/last.ckpt` after every round and logs to `run/tensorboard` and `run/log.csv`.
    """
    keep_freed_memory()
    quiet_lightning()
    options = config.fit
    stream = SampleStream(
        cases, targets, modalities, slicing, config.slices.crop, options,
        lexicon=lexicon, subset_of_view=options.views > 0 and model.stacks,
    )
    workers = loader_workers(cpu_count(), torch.cuda.is_available())
    if isinstance(model, PeerModel) and options.protocol == "transfer":
        fit_transfer(model, stream, held_out, options, run, resume=resume, workers=workers, progress=progress)
        return
    if store is not None and isinstance(model, ZeusModel):
        stream = stored_stream(stream, feature_store(store, model), model)
        stream.fill(0, "cuda" if torch.cuda.is_available() else "cpu", progress=progress)
    loader = sample_loader(
        stream, lambda: trainer.global_step, options.steps_per_round, options.batch_size, workers
    )
    text = model.text if isinstance(model, ZeusModel) and config.writer != "none" else None
    task = LexiconTask(targets, lexicon, options.seed) if isinstance(text, SubwordTextEncoder) else None
    module = TrainingModule(model, options, task if config.lexicon.weight else None, config.lexicon.weight)
    checkpoints = run / "checkpoints"
    trainer = Trainer(
        devices=1,
        max_steps=options.steps,
        max_epochs=-1,
        precision=fast_precision(),
        gradient_clip_val=1.0,
        # Sums over threads come in any order otherwise, and a seed would repeat only to the third decimal.
        deterministic="warn",
        logger=TensorBoardLogger(run, name="tensorboard", version=""),
        log_every_n_steps=10,
        callbacks=[
            EMAWeightAveraging(decay=options.average_decay),
            ModelCheckpoint(
                checkpoints, filename=LAST, save_top_k=1, enable_version_counter=False, save_on_train_epoch_end=True
            ),
            StepLog(run / "log.csv"),
            *([StepProgress(options.steps)] if progress else []),
        ],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    checkpoint = checkpoints / f"{LAST}.ckpt"
    # A run that was stopped before its first checkpoint starts again from its first step.
    goes_on = resume and checkpoint.is_file()
    if goes_on:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        if state["global_step"] >= options.steps:
            # Killed after its last step: lightning would not enter its loop, at whose end it hands the averages over.
            module.load_state_dict(state["state_dict"])
            return
    elif task is not None and text is not None:
        learn_lexicon(text, task, config.lexicon.steps, progress=progress)
    trainer.fit(module, loader, ckpt_path=checkpoint if goes_on else None, weights_only=True)


def loader_workers(cores: int, gpu: bool) -> int:
    """Processes that prepare samples; the samples are the same for any number of them.

    Beside a GPU the cores have nothing else to do. On the CPU they take cores from the model: with two cores, a step
    of the lower-grade glioma model takes 0.73 s without such a process and 0.80 to 0.87 s with one.
    """
    return min(8, cores - 1) if gpu else cores // 4


def quiet_lightning() -> None:
    """Lightning's advice (more workers, more loggers) is for another kind of user; warnings of ours still show."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
