"""The endless stream of training samples: a slice, some of its modalities, and instructions that are right or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from zeusseg.case import Case, Target
from zeusseg.inference.mirror import mirror_words
from zeusseg.inference.slices import SliceStack, Slicing, stack_masks, stack_slices
from zeusseg.instruct.absent import absent_name, absent_text
from zeusseg.instruct.knowledge import known_targets
from zeusseg.instruct.rewording import findings_of, reword, without_findings
from zeusseg.lexicon import Lexicon
from zeusseg.training.augmentation import augment
from zeusseg.training.config import FitConfig
from zeusseg.training.turned import Pieces, Turned, draw_turned, find_pieces

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
    """A training case in memory. `masks` (target, plane, row, column) uint8; `texts` one instruction per target.

    `pieces`: what each target consists of, where the training asks for pieces by what tells them apart.
    """

    stack: SliceStack
    masks: Tensor
    texts: tuple[str, ...]
    planes_of_target: tuple[tuple[int, ...], ...]
    planes_of_tissue: tuple[int, ...]
    pieces: Pieces | None = None


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


def prepare(
    case: Case, targets: Sequence[Target], texts: Sequence[str], modalities: Sequence[str], slicing: Slicing,
    *, pieces: bool = False,
) -> PreparedCase:
    """Cut a labelled case into slices, with the `pieces` of its targets. Raises `BadInputError` without labels."""
    stack = stack_slices(case, modalities, slicing)
    masks = stack_masks(case, [case.mask(target) for target in targets], slicing)
    filled = masks.flatten(2).any(dim=2)
    # Planes without contrast (air above the head) teach nothing that the others do not.
    contrast = stack.images[stack.present].float().flatten(2).std(dim=2).amax(dim=0)
    tissue = (contrast > 0.2 * contrast.max()) | filled.any(dim=0)
    return PreparedCase(
        stack, masks, tuple(texts), tuple(tuple(f.nonzero()[:, 0].tolist()) for f in filled),
        tuple(tissue.nonzero()[:, 0].tolist()), find_pieces(case, targets, slicing) if pieces else None,
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
        lexicon: Lexicon | None = None,
        subset_of_view: bool = False,
    ):
        """`lexicon` rewords (the package's, where none is given). `subset_of_view`: what is dropped belongs to a view,
        since the encoder sees all modalities at once."""
        self.cases, self.targets, self.modalities = list(cases), tuple(targets), tuple(modalities)
        self.slicing, self.crop, self.fit, self.subset_of_view = slicing, crop, fit, subset_of_view
        self.lexicon, self.known = lexicon, known_targets(self.targets, lexicon)

    def __len__(self) -> int:
        return self.fit.steps * self.fit.batch_size

    def __getitem__(self, index: int) -> dict[str, object]:
        rng = np.random.default_rng([self.fit.seed, index])
        look = self.draw(rng)
        present = self.draw_modalities(look, rng)
        turned = self.turn(look, present, rng)
        images, masks = self.show(look, turned)
        return {"images": images, **self.ask(look, turned, masks, present, rng)}

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
        mirrored = self.fit.mirrors and rng.random() < 0.5
        return Look(number, plane, tuple(chosen), window, bool(mirrored), rng, subset)

    def turn(self, look: Look, present: Tensor, rng: np.random.Generator) -> tuple[Turned, ...]:
        """The queries about a look that turn its targets' masks: as many as there are to be, or fewer."""
        case = self.cases[look.case]
        there = [t for t in look.targets if case.masks[t, look.plane].any()]
        shown = [name for name, kept in zip(self.modalities, present.tolist(), strict=True) if kept]
        drawn = (
            draw_turned(there, len(self.targets), case.pieces, look.plane, shown, self.fit.attributes, rng,
                        mirrored=look.mirrored, hold_out=self.fit.hold_out)
            for _ in range(self.fit.turned_queries)
        )
        return tuple(query for query in drawn if query is not None)

    def show(self, look: Look, turned: Sequence[Turned] = (), *, images: bool = True) -> tuple[Tensor, Tensor]:
        """The images (m, c, h, w) and masks (t, h, w) of a look, those of the `turned` queries after its targets'.

        Without `images`, those are empty and cost nothing.
        """
        case = self.cases[look.case]
        whole = case.masks[:, look.plane]
        asked = [whole[t] for t in look.targets] + [q.mask(whole[q.target], case.pieces, look.plane) for q in turned]
        masks = pad_to(torch.stack(asked), self.crop)[look.window]
        shown = pad_to(case.stack.read(look.plane, self.slicing), self.crop)[look.window] if images else torch.empty(0)
        if look.mirrored:
            shown, masks = shown.flip(-1) if images else shown, masks.flip(-1)
        return augment(shown, masks, look.rng) if self.fit.augment else (shown, masks)

    def ask(
        self, look: Look, turned: Sequence[Turned], masks: Tensor, present: Tensor, rng: np.random.Generator
    ) -> dict[str, object]:
        """What goes beside the images: masks, those of absent words among them, words, and modalities.

        Absent words also take the places of queries that could not be drawn, so that samples can be batched.
        """
        case, chosen = self.cases[look.case], look.targets
        # Words about a dropped modality would tell what the model is to do without.
        dropped = [name for name, kept in zip(self.modalities, present.tolist(), strict=True) if not kept]
        texts = [without_findings(case.texts[t], self.targets[t], dropped) for t in chosen]
        written = [mirror_words(text) if look.mirrored else text for text in texts]
        findings = findings_of(written[0], self.targets[chosen[0]])
        texts = [
            reword(text, self.targets[t], rng, self.known[t]) if self.fit.reword else text
            for text, t in zip(written, chosen, strict=True)
        ]
        texts += [
            query.text(self.known, absent_name(self.targets, rng, self.lexicon), findings, rng) for query in turned
        ]
        absent = self.fit.absent_targets + self.fit.turned_queries - len(turned)
        texts += [absent_text(self.targets, rng, written[0], self.lexicon) for _ in range(absent)]
        empty = masks.new_zeros(absent, *masks.shape[1:])
        groups = [query.group(len(self.targets)) for query in turned]
        asked = torch.tensor([*chosen, *groups, *[-1] * absent])
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
        # The transfer study shows a picture with one prompt, of what is in it.
        return sorted(order[: 1 if self.fit.protocol == "transfer" else TARGETS_PER_SLICE])

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
