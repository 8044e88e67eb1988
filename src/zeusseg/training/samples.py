"""The endless stream of training samples: a slice, some of its modalities, and instructions that are right or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset, Sampler

from zeusseg.case import Case, Target
from zeusseg.inference.mirror import mirror_words
from zeusseg.inference.slices import SliceStack, Slicing, stack_masks, stack_slices
from zeusseg.instruct.rewording import absent_text, reword, without_findings
from zeusseg.models.neck import Features
from zeusseg.models.zeus import distinct
from zeusseg.training.augmentation import augment
from zeusseg.training.config import FitConfig

# More targets than this per slice cost time and teach little: those in the slice come first, then a draw of the rest.
TARGETS_PER_SLICE = 6
# The first modality of a data set is the one that its masks were drawn on. Samples without it teach least, since the
# target can hardly be seen there, and samples of it alone are what patients with missing modalities look like most.
REFERENCE = 0
REFERENCE_DROPOUT = 0.15
# Stored views are the same for every seed of the loop, so that all seeds of a study share them.
VIEWS_SEED = 20250407


@dataclass
class PreparedCase:
    """A training case in memory. `masks` (target, plane, row, column) uint8; `texts` one instruction per target."""

    stack: SliceStack
    masks: Tensor
    texts: tuple[str, ...]
    planes_of_target: tuple[tuple[int, ...], ...]
    planes_of_tissue: tuple[int, ...]


class Look(NamedTuple):
    """One way to show a slice: of which case, cut how, and with which draws still to come for its augmentation.

    `subset` draws the modalities where they belong to the look.
    """

    case: int
    plane: int
    targets: tuple[int, ...]
    window: tuple[EllipsisType, slice, slice]
    mirrored: bool
    rng: np.random.Generator
    subset: np.random.Generator


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


def prepare(
    case: Case, targets: Sequence[Target], texts: Sequence[str], modalities: Sequence[str], slicing: Slicing
) -> PreparedCase:
    """Cut a labelled case into slices. Raises `BadInputError` where it has no labels."""
    stack = stack_slices(case, modalities, slicing)
    masks = stack_masks(case, [case.mask(target) for target in targets], slicing)
    filled = masks.flatten(2).any(dim=2)
    # Planes without contrast (air above the head) teach nothing that the others do not.
    contrast = stack.images[stack.present].float().flatten(2).std(dim=2).amax(dim=0)
    tissue = (contrast > 0.2 * contrast.max()) | filled.any(dim=0)
    return PreparedCase(
        stack, masks, tuple(texts), tuple(tuple(f.nonzero()[:, 0].tolist()) for f in filled),
        tuple(tissue.nonzero()[:, 0].tolist()),
    )


class SampleStream(Dataset[dict[str, object]]):
    """Sample number i is the same in every process and after every resumption: it follows from the seed and i."""

    def __init__(
        self,
        cases: Sequence[PreparedCase],
        targets: Sequence[Target],
        modalities: Sequence[str],
        slicing: Slicing,
        crop: tuple[int, int],
        fit: FitConfig,
        *,
        subset_of_view: bool = False,
    ):
        """`subset_of_view`: what is dropped belongs to a view, since the encoder sees all modalities at once."""
        self.cases, self.targets, self.modalities = list(cases), tuple(targets), tuple(modalities)
        self.slicing, self.crop, self.fit, self.subset_of_view = slicing, crop, fit, subset_of_view

    def __len__(self) -> int:
        return self.fit.steps * self.fit.batch_size

    def __getitem__(self, index: int) -> dict[str, object]:
        rng = np.random.default_rng([self.fit.seed, index])
        look = self.draw(rng)
        images, masks = self.show(look)
        present = self.draw_modalities(look, rng)
        return {"images": images, **self.ask(look, masks, present, rng)}

    def draw(self, rng: np.random.Generator) -> Look:
        """A slice, and how it is to be shown: anew for every sample, or in one of the slice's few views."""
        number = int(rng.integers(len(self.cases)))
        case = self.cases[number]
        plane = self._draw_plane(case, rng)
        subset = rng
        if self.fit.views:
            image = int(case.stack.digests[int(case.stack.present.nonzero()[0, 0])][:15], 16)
            view = [VIEWS_SEED, image, plane, int(rng.integers(self.fit.views))]
            rng, subset = np.random.default_rng([*view, 0]), np.random.default_rng([*view, 1])
        chosen = self._draw_targets(case, plane, rng)
        window = self._draw_window(case, plane, chosen, rng)
        mirrored = self.fit.augment and self.fit.mirror and rng.random() < 0.5
        return Look(number, plane, tuple(chosen), window, bool(mirrored), rng, subset)

    def show(self, look: Look, *, images: bool = True) -> tuple[Tensor, Tensor]:
        """The images (m, c, h, w) and masks (t, h, w) of a look; without `images`, those are empty and cost nothing."""
        case = self.cases[look.case]
        masks = pad_to(case.masks[list(look.targets), look.plane], self.crop)[look.window]
        shown = pad_to(case.stack.read(look.plane, self.slicing), self.crop)[look.window] if images else torch.empty(0)
        if look.mirrored:
            shown, masks = shown.flip(-1) if images else shown, masks.flip(-1)
        return augment(shown, masks, look.rng) if self.fit.augment else (shown, masks)

    def ask(self, look: Look, masks: Tensor, present: Tensor, rng: np.random.Generator) -> dict[str, object]:
        """What goes beside the images: masks, those of absent words among them, words, and modalities."""
        case, chosen = self.cases[look.case], look.targets
        # Words about a dropped modality would tell what the model is to do without.
        dropped = [name for name, kept in zip(self.modalities, present.tolist(), strict=True) if not kept]
        texts = [without_findings(case.texts[t], self.targets[t], dropped) for t in chosen]
        written = [mirror_words(text) if look.mirrored else text for text in texts]
        texts = [reword(text, self.targets[t], rng) for text, t in zip(written, chosen, strict=True)]
        texts += [absent_text(self.targets, rng, written[0]) for _ in range(self.fit.absent_targets)]
        empty = masks.new_zeros(self.fit.absent_targets, *masks.shape[1:])
        asked = torch.tensor([*chosen, *[-1] * self.fit.absent_targets])
        return {"present": present, "masks": torch.cat([masks, empty]), "texts": texts, "targets": asked}

    def _draw_plane(self, case: PreparedCase, rng: np.random.Generator) -> int:
        somewhere = [planes for planes in case.planes_of_target if planes]
        if somewhere and rng.random() < self.fit.foreground:
            planes = somewhere[rng.integers(len(somewhere))]
            return planes[rng.integers(len(planes))]
        return case.planes_of_tissue[rng.integers(len(case.planes_of_tissue))]

    def _draw_targets(self, case: PreparedCase, plane: int, rng: np.random.Generator) -> list[int]:
        order = rng.permutation(len(self.targets)).tolist()
        # A stable sort: targets in the slice first, each group in random order.
        order.sort(key=lambda t: not case.masks[t, plane].any())
        return sorted(order[:TARGETS_PER_SLICE])

    def _draw_window(
        self, case: PreparedCase, plane: int, chosen: Sequence[int], rng: np.random.Generator
    ) -> tuple[EllipsisType, slice, slice]:
        """A crop of the slice; where the slice holds targets, more often than not around one of their pixels."""
        masks = pad_to(case.masks[list(chosen), plane], self.crop)
        rows, columns = masks.shape[-2:]
        centre = np.array([rng.integers(rows), rng.integers(columns)])
        inside = masks.any(dim=0).nonzero()
        if len(inside) and rng.random() < 0.7:
            centre = inside[rng.integers(len(inside))].numpy() + rng.integers(-20, 21, size=2)
        top = int(np.clip(centre[0] - self.crop[0] // 2, 0, rows - self.crop[0]))
        left = int(np.clip(centre[1] - self.crop[1] // 2, 0, columns - self.crop[1]))
        return (..., slice(top, top + self.crop[0]), slice(left, left + self.crop[1]))

    def draw_modalities(self, look: Look, rng: np.random.Generator) -> Tensor:
        """Drop each modality on its own, the reference more seldom; where all would go, all stay."""
        rng = look.subset if self.subset_of_view else rng
        present = self.cases[look.case].stack.present
        there = present.nonzero()[:, 0].tolist()
        chances = [self.fit.modality_dropout * (REFERENCE_DROPOUT if m == REFERENCE else 1.0) for m in there]
        kept = [m for m, chance in zip(there, chances, strict=True) if rng.random() >= chance]
        return torch.zeros_like(present).index_fill(0, torch.tensor(kept or there), True)


def pad_to(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Pad rows and columns evenly, with the lowest value, to at least `size`."""
    rows, columns = (max(0, s - n) for s, n in zip(size, image.shape[-2:], strict=True))
    if not rows and not columns:
        return image
    edges = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    return functional.pad(image, edges, value=float(image.min()))


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
