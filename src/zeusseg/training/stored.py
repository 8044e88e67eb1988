"""The stream of samples, with what the frozen encoder makes of each from a store in place of its images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from zeusseg.errors import UsageError
from zeusseg.inference.features import read_features, records_of
from zeusseg.inference.store import FeatureStore, Record
from zeusseg.models.zeus import ZeusModel
from zeusseg.training.samples import Look, SampleStream
from zeusseg.work import notify, track

# Augmented slices kept while the modalities of their case are encoded; a large slice of four modalities takes 3 MB.
SHOWN_AT_MOST = 256


class _Wanted(NamedTuple):
    """Which sample asked for a record first, and what of it the encoder is to see."""

    case: int
    sample: int
    present: Tensor
    slot: int


class StoredStream(SampleStream):
    """Sample i is that of `SampleStream` with the same arguments; it brings `features` instead of `images`."""

    store: FeatureStore
    model: ZeusModel

    def __getitem__(self, index: int) -> dict[str, object]:
        rng = np.random.default_rng([self.fit.seed, index])
        look = self.draw(rng)
        present = self.draw_modalities(look, rng)
        # Before the masks are made: that changes the state of the look's draws, which is part of the key.
        records = self.records(look, present)
        turned = self.turn(look, present, rng)
        _, masks = self.show(look, turned, images=False)
        features = read_features(self.store, records, self.model.slots)
        return {"features": features, **self.ask(look, turned, masks, present, rng)}

    def records(self, look: Look, present: Tensor) -> list[tuple[int, Record]]:
        """The records of the store that a look is made of, by slot."""
        _, rows, columns = look.window
        change = f"plane {look.plane} of {self.slicing.context} crop {rows.start}+{columns.start}"
        if self.fit.augment:
            # What augmentation will draw follows from the state of its generator alone.
            change += f"{' mirrored' * look.mirrored} augmented {look.rng.bit_generator.state['state']['state']:x}"
        return list(records_of(self.model, self.cases[look.case].stack, present, change, self.crop))

    def fill(self, first: int, device: str, *, progress: bool) -> None:
        """Compute what the samples from number `first` on will need and the store lacks.

        Says beforehand how much disk that takes. Raises `UsageError` where there is not so much, or where every sample
        would be a look of its own (`fit.views` 0).
        """
        if self.fit.augment and not self.fit.views:
            raise UsageError("a store of features needs so many views of each slice and no more: set fit.views, for "
                             "example to 4, or fit.augment to false")
        needed: dict[Record, _Wanted] = {}
        for index in range(first, len(self)):
            rng = np.random.default_rng([self.fit.seed, index])
            look = self.draw(rng)
            present = self.draw_modalities(look, rng)
            for slot, record in self.records(look, present):
                needed.setdefault(record, _Wanted(look.case, index, present, slot))
        # Case by case: what is drawn of a slice then serves all of its modalities.
        missing = self.store.missing(sorted(needed, key=lambda record: needed[record].case))
        cost = self.store.announce(missing)
        if progress:
            notify(cost)
        shown: dict[tuple[int, str], Tensor] = {}

        def make(record: Record) -> Tensor:
            wanted = needed[record]
            place = (wanted.case, record.key)
            if place not in shown:
                if len(shown) >= SHOWN_AT_MOST:
                    shown.clear()
                shown[place] = self.show(self.draw(np.random.default_rng([self.fit.seed, wanted.sample])))[0]
            return self.model.encoder_image(shown[place], wanted.present, wanted.slot)

        done = self.store.fill(missing, make, device=device)
        for _ in track((None for count in done for _ in range(count)), "encoding", len(missing), show=progress):
            pass


def stored_stream(stream: SampleStream, store: FeatureStore, model: ZeusModel) -> StoredStream:
    """The same samples, of features from the store."""
    stored = StoredStream(
        stream.cases, stream.targets, stream.modalities, stream.slicing, stream.crop, stream.fit,
        subset_of_view=stream.subset_of_view,
    )
    stored.store, stored.model = store, model
    return stored
