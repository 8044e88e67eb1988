"""Samples put together to batches, and which samples come next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from zeusseg.models.neck import Features
from zeusseg.models.zeus import distinct


@dataclass
class Batch:
    """`images` (b, m, c, h, w) or their features, `present` (b, m), `masks` (b, t, h, w), distinct `texts`.

    `which` (b, t) of the texts is asked for, and `targets` (b, t) tells which target of the data set each mask belongs
    to, -1 for absent words.
    """

    images: Tensor | Features
    present: Tensor
    masks: Tensor
    texts: list[str]
    which: Tensor
    targets: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch with its tensors moved to `device`."""
        self.images = self.images.to(device)
        self.present, self.masks = self.present.to(device), self.masks.to(device)
        self.which, self.targets = self.which.to(device), self.targets.to(device)
        return self


def collate(samples: Sequence[dict[str, object]]) -> Batch:
    """Samples to a batch, each distinct text once."""
    texts, which = distinct([s["texts"] for s in samples])  # type: ignore[misc]
    keys = ("present", "masks", "targets")
    present, masks, targets = (torch.stack([s[key] for s in samples]) for key in keys)  # type: ignore[misc]
    if "features" in samples[0]:
        each = [s["features"] for s in samples]
        maps = [torch.stack(scale) for scale in zip(*each, strict=True)]
        images: Tensor | Features = Features(maps, (masks.shape[-2], masks.shape[-1]))
    else:
        images = torch.stack([s["images"] for s in samples])  # type: ignore[misc]
    return Batch(images, present, masks, texts, which, targets)


def sample_loader(
    stream: Dataset[dict[str, object]], steps_taken: Callable[[], int], steps_per_round: int, batch_size: int,
    workers: int,
) -> DataLoader[dict[str, object]]:
    """The stream in batches, a round at a time, prepared by so many processes."""
    return DataLoader(
        stream, batch_size, sampler=RoundSampler(steps_taken, steps_per_round, batch_size), collate_fn=collate,
        num_workers=workers, persistent_workers=workers > 0, worker_init_fn=_one_thread,
    )


def _one_thread(worker: int) -> None:
    # A worker prepares one small slice at a time: threads of its own would only get in the model's way.
    torch.set_num_threads(1)


class RoundSampler(Sampler[int]):
    """Sample numbers of the next round of the endless stream, counted from the steps that were taken.

    `steps_taken` is asked at the start of each round. (Lightning's own count of rounds is one short after a
    resumption, so it would show samples twice.)
    """

    def __init__(self, steps_taken: Callable[[], int], steps_per_round: int, batch_size: int):
        self.steps_taken, self.steps_per_round, self.batch_size = steps_taken, steps_per_round, batch_size

    def __iter__(self) -> Iterator[int]:
        first = self.steps_taken() * self.batch_size
        return iter(range(first, first + len(self)))

    def __len__(self) -> int:
        return self.steps_per_round * self.batch_size
