"""Queries whose words turn a target's mask: negated, set against another target, or meant for some pieces only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from zeusseg.case import Case, Target
from zeusseg.datasets.instances import Instance, Instances, find_instances
from zeusseg.inference.slices import Slicing, stack_masks
from zeusseg.instruct.attributes import Attributes, is_held_out
from zeusseg.instruct.knowledge import Known
from zeusseg.instruct.moulds import pick
from zeusseg.instruct.rewording import name_of
from zeusseg.instruct.turned import attribute_text, contrast_text, negated_text

Attribute = Literal["side", "size", "signal"]
KINDS = {"attributes": 0.4, "negated": 0.3, "contrast": 0.3}
# Of the contrasts, so many set a target against what is not in the image, the one or the other way round.
AGAINST_ABSENT = 0.4
# How often the attributes are those of a piece in the slice; else they are drawn freely and may fit nothing at all.
FITTING = 0.7
ATTRIBUTES_AT_ONCE = (0.5, 0.35, 0.15)
TRIES = 12
NOTHING = Attributes()
OTHER_SIDE: dict[str, Literal["left", "right"]] = {"left": "right", "right": "left"}


@dataclass(frozen=True, eq=False)
class Pieces:
    """What targets consist of in a case: `numbers` (target, plane, row, column) uint8, and what tells them apart."""

    numbers: Tensor
    instances: tuple[Instances, ...]


@dataclass(frozen=True)
class Turned:
    """One such query about the target number `target`.

    negated: its mask is empty; contrast: it is the target's, and `other` (-1: something that is not there) is only
    named; instead: its mask is empty, since something that is not there is asked for in its place; attributes: it is
    that of the target's `pieces`, none where `wanted` fits nothing.
    """

    kind: str
    target: int
    other: int = -1
    wanted: Attributes = NOTHING
    pieces: tuple[int, ...] = ()

    def group(self, targets: int) -> int:
        """Which masks of a batch its Dice is taken with: those of the target, or of other pieces of it."""
        return self.target + targets * (self.kind == "attributes")

    def mask(self, whole: Tensor, pieces: Pieces | None, plane: int) -> Tensor:
        """The mask (row, column) uint8, of the target's `whole` one in this slice."""
        if self.kind == "contrast":
            return whole
        if self.kind in ("negated", "instead") or pieces is None:
            return torch.zeros_like(whole)
        return torch.isin(pieces.numbers[self.target, plane], torch.tensor(self.pieces, dtype=torch.uint8)).to(whole)

    def text(self, known: Sequence[Known], absent: str, findings: str, rng: np.random.Generator) -> str:
        """An instruction that asks this; `absent` names what is not there, `findings` follow about every other time."""
        if self.kind == "negated":
            return negated_text(known[self.target], findings, rng)
        if self.kind == "instead":
            return contrast_text(absent, name_of(known[self.target], rng), findings, rng)
        if self.kind == "contrast":
            other = absent if self.other < 0 else name_of(known[self.other], rng)
            return contrast_text(name_of(known[self.target], rng), other, findings, rng)
        return attribute_text(known[self.target], self.wanted, findings, rng)


def find_pieces(case: Case, targets: Sequence[Target], slicing: Slicing) -> Pieces:
    """The pieces of each target of a labelled case, cut into slices like its images."""
    found = tuple(find_instances(case, target) for target in targets)
    maps = []
    for instances in found:
        masks = [instances.numbers == piece.number for piece in instances.each] or [instances.numbers > 0]
        numbers = torch.tensor([piece.number for piece in instances.each] or [0], dtype=torch.uint8)
        maps.append((stack_masks(case, masks, slicing) * numbers[:, None, None, None]).amax(dim=0))
    return Pieces(torch.stack(maps), found)


def draw_turned(
    present_targets: Sequence[int], targets: int, pieces: Pieces | None, plane: int, modalities: Sequence[str],
    attributes: Sequence[Attribute], rng: np.random.Generator, *, mirrored: bool, hold_out: bool,
) -> Turned | None:
    """One query about a slice, or None where nothing can be asked about it.

    `present_targets` are those in the slice, of so many `targets` in all; `modalities` those that are shown.
    `hold_out`: the combinations in `instruct.attributes.HELD_OUT` are not asked for.
    """
    possible = {
        "attributes": bool(attributes) and pieces is not None and any(i.each for i in pieces.instances),
        "negated": bool(present_targets),
        "contrast": bool(present_targets),
    }
    shares = np.array([share * possible[kind] for kind, share in KINDS.items()])
    if not shares.any():
        return None
    kind = str(rng.choice(list(KINDS), p=shares / shares.sum()))
    if kind == "attributes" and pieces is not None:
        return _draw_attributes(pieces, plane, modalities, attributes, rng, mirrored=mirrored, hold_out=hold_out)
    target = int(rng.choice(present_targets))
    others = [t for t in range(targets) if t != target]
    if kind == "negated" or (others and rng.random() >= AGAINST_ABSENT):
        return Turned(kind, target, -1 if kind == "negated" else int(rng.choice(others)))
    return Turned(pick(("contrast", "instead"), rng), target)


def _draw_attributes(
    pieces: Pieces, plane: int, modalities: Sequence[str], attributes: Sequence[Attribute], rng: np.random.Generator,
    *, mirrored: bool, hold_out: bool,
) -> Turned | None:
    some = [target for target, instances in enumerate(pieces.instances) if instances.each]
    for _ in range(TRIES):
        target = int(rng.choice(some))
        instances = pieces.instances[target]
        here = set(torch.unique(pieces.numbers[target, plane]).tolist())
        shown = [piece for piece in instances.each if piece.number in here] or list(instances.each)
        count = min(1 + int(rng.choice(3, p=ATTRIBUTES_AT_ONCE)), len(attributes))
        chosen = rng.choice(list(attributes), size=count, replace=False).tolist()
        piece = shown[int(rng.integers(len(shown)))] if rng.random() < FITTING else None
        wanted = _attributes(chosen, piece, modalities, rng)
        fitting = instances.matching(wanted)
        said = replace(wanted, side=OTHER_SIDE[wanted.side]) if mirrored and wanted.side else wanted
        if wanted == NOTHING or fitting is None or (hold_out and is_held_out(said)):
            continue
        return Turned("attributes", target, wanted=said, pieces=fitting)
    return None


def _attributes(
    chosen: Sequence[str], piece: Instance | None, modalities: Sequence[str], rng: np.random.Generator
) -> Attributes:
    """Values for the chosen attributes: those that the piece has, or any, where there is none."""
    side = size = signal = None
    if "side" in chosen:
        side = piece.side if piece else ("left", "right")[rng.integers(2)]
    if "size" in chosen:
        size = piece.size if piece else ("small", "large")[rng.integers(2)]
    if "signal" in chosen:
        told = [m for m in modalities if piece is None or m in piece.signal]
        modality = told[int(rng.integers(len(told)))] if told else None
        if modality is not None:
            signal = (modality, piece.signal[modality] if piece else ("bright", "dark")[rng.integers(2)])
    return Attributes(side, size, signal)
