"""Which lesion of several is meant ("the smaller one on the left"): the model finds all of them, and they are measured.

A decoder learns sides, hardly sizes and signals, and never shows why it chose. What the name alone finds falls into
pieces that can be measured by the same rules as the reference's, and the choice can be told and checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from zeusseg.case import Case
from zeusseg.datasets.instances import Instances, instances_of
from zeusseg.inference.claims import singled_out_by
from zeusseg.inference.load import LoadedModel
from zeusseg.inference.segment import SegmentedTarget, segment
from zeusseg.inference.store import FeatureStore
from zeusseg.instruct.attributes import Attributes
from zeusseg.instruct.signals import signal_of
from zeusseg.models.peers.base import PeerModel


@dataclass(frozen=True)
class SingledOut:
    """How a mask was chosen: `kept` of the `pieces` that the target's name alone finds are `said` to be meant."""

    said: str
    pieces: int
    kept: int


class Chosen(NamedTuple):
    """The `answers` to all texts, how those were chosen that were, and what names alone were answered with."""

    answers: dict[str, SegmentedTarget]
    told: dict[str, SingledOut]
    by_name: dict[str, SegmentedTarget]


def single_out(
    loaded: LoadedModel, case: Case, texts: Mapping[str, str], segmented: Mapping[str, SegmentedTarget], *,
    device: str = "cpu", store: FeatureStore | None = None,
) -> Chosen:
    """`segmented`, the answers to `texts` (target name to instruction), with the pieces that the words single out.

    Done for texts that name one target, a lesion of some kind, and state a side, a size among several, or a signal of
    it as `instruct.attributes` words them. The mask is then that of the pieces that fit, and empty where none does;
    where that cannot be told (one lesion is neither small nor large, a crop has no sides), the model's own answer
    stays. Anatomy is on its side by nature: it is never chosen among. A peer's answers stay as they are, since they are
    to tell what that model makes of the words.
    Raises what `segment` raises.
    """
    modalities = tuple(case.images)
    asked = {
        key: found for key, text in texts.items()
        if (found := singled_out_by(text, loaded.targets, modalities)) is not None
    }
    answers = dict(segmented)
    told: dict[str, SingledOut] = {}
    if not asked or isinstance(loaded.model, PeerModel):
        return Chosen(answers, told, {})
    names = {target.name: target.name for target, _ in asked.values()}
    by_name = segment(loaded, case, names, device=device, store=store)
    pieces = {name: instances_of(by_name[name].mask, case) for name in names}
    for key, (target, wanted) in asked.items():
        meant = _meant(pieces[target.name], wanted)
        if meant is None:
            continue
        told[key] = SingledOut(_said(wanted), len(pieces[target.name].each), len(meant))
        answers[key] = _chosen(by_name[target.name], pieces[target.name], meant, told[key].said)
    return Chosen(answers, told, by_name)


def _meant(pieces: Instances, wanted: Attributes) -> tuple[int, ...] | None:
    """The numbers of the pieces that fit; None where no piece does and of some it cannot be told."""
    fits = {piece.number: piece.fits(wanted) for piece in pieces.each}
    meant = tuple(number for number, fit in fits.items() if fit)
    if not meant and (not fits or None in fits.values()):
        return None
    return meant


def _chosen(found: SegmentedTarget, pieces: Instances, meant: tuple[int, ...], said: str) -> SegmentedTarget:
    kept = np.isin(pieces.numbers, meant)
    probability = np.where(kept, found.probability, np.float32(0))
    reason = None if meant else f"nothing of what the model finds by the name alone is {said}: see conflicts"
    return replace(found, probability=probability, empty_reason=reason)


def _said(wanted: Attributes) -> str:
    """The attributes for people: "left, small, bright on FLAIR"."""
    signal = None
    if wanted.signal is not None:
        modality, polarity = wanted.signal
        signal = f"{polarity} on {signal_of(modality).name}"
    return ", ".join(filter(None, (wanted.side, wanted.size, signal)))
