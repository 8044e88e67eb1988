"""Slices and what a frozen encoder makes of them: which records of the store they are, and how they come back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from zeusseg.inference.slices import SliceStack, Slicing
from zeusseg.inference.store import FeatureStore, Record
from zeusseg.models.neck import Features
from zeusseg.models.zeus import ZeusModel


def records_of(
    model: ZeusModel, stack: SliceStack, present: Tensor, change: str, size: tuple[int, int]
) -> Iterator[tuple[int, Record]]:
    """The records of one sample, with the slot of each: `change` says what was done to the slice, `size` (h, w) its
    size then; `present` (m,) which modalities are shown."""
    size = model.padded_size(size)
    for slot, members in model.encoder_slots(present):
        if not model.stacks:
            yield slot, Record(stack.digests[members[0]], change, size)
        else:
            together = "|".join(f"{m}:{stack.digests[m]}" for m in members)
            yield slot, Record(hashlib.sha256(together.encode()).hexdigest(), f"{change} group {slot}", size)


def read_features(store: FeatureStore, records: Sequence[tuple[int, Record]], slots: int) -> list[Tensor]:
    """The maps of one sample, (slot, channel, height, width) each in bfloat16; zeros in slots without a record."""
    maps = [torch.zeros(slots, *shape, dtype=torch.bfloat16) for shape in store.shapes(records[0][1].size)]
    for slot, record in records:
        for feature, found in zip(maps, store.read(record), strict=True):
            feature[slot] = found
    return maps


class StackFeatures:
    """The features of a whole case, for prediction: every slice as it is, and mirrored."""

    def __init__(self, store: FeatureStore, model: ZeusModel, stack: SliceStack, slicing: Slicing):
        self.store, self.model, self.stack, self.slicing = store, model, stack, slicing

    def read(self, planes: Sequence[int], images: Tensor, *, mirrored: bool) -> Features:
        """Features of `images` (b, m, c, h, w), which are those of `planes`, mirrored or not."""
        size = (images.shape[-2], images.shape[-1])
        changes = [f"plane {plane} of {self.slicing.context} whole{' mirrored' * mirrored}" for plane in planes]
        asked = [list(records_of(self.model, self.stack, self.stack.present, change, size)) for change in changes]
        shown = {
            record: self.model.encoder_image(image, self.stack.present, slot)
            for image, records in zip(images, asked, strict=True)
            for slot, record in records
        }
        missing = self.store.missing(shown)
        for _ in self.store.fill(missing, shown.__getitem__, device=str(images.device)):
            pass
        maps = [read_features(self.store, records, self.model.slots) for records in asked]
        return Features([torch.stack(scale) for scale in zip(*maps, strict=True)], size).to(images.device)
