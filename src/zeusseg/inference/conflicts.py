"""Conflicts between words and image: what a text says of side, size or signal, against what the model finds by name.

A model that follows its words either obeys a wrong one or answers with nothing, and neither shows which. So it is asked
once more by name alone, and what it then finds is measured. The masks stay as they are; the conflict is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from zeusseg.case import Case, Mask
from zeusseg.inference.claims import Claims, claims_of
from zeusseg.inference.load import LoadedModel
from zeusseg.inference.pieces import Piece, measure_pieces, view_of
from zeusseg.inference.segment import SegmentedTarget, segment
from zeusseg.inference.store import FeatureStore
from zeusseg.instruct.agreement import NOT_LARGE_SHARE, NOT_SMALL_SHARE, SIZE_FACTOR
from zeusseg.instruct.signals import signal_of
from zeusseg.instruct.statements import Statement
from zeusseg.instruct.view import View

About = Literal["side", "size", "signal"]


@dataclass(frozen=True)
class Conflict:
    """Something that the words say and what the model finds by the name alone contradicts.

    `said` and `seen` are a few words each; `text` is one sentence for people.
    """

    about: About
    said: str
    seen: str
    text: str


class _Judged(NamedTuple):
    """One attribute of one piece beside what was said of it; `shown` continues "what the model finds"."""

    about: About
    said: str
    seen: str
    shown: str
    agrees: bool


def find_conflicts(
    loaded: LoadedModel, case: Case, texts: Mapping[str, str], *, device: str = "cpu",
    store: FeatureStore | None = None, segmented: Mapping[str, SegmentedTarget] | None = None,
    by_name: Mapping[str, SegmentedTarget] | None = None,
) -> dict[str, tuple[Conflict, ...]]:
    """The conflicts of each of `texts` (target name to instruction, as `segment` takes them); empty where none.

    A statement is in conflict where no piece of what the model finds by the name alone (of at least 5 % of it) agrees
    with all that it says; told is where the piece that fits it best differs. Where nothing is found, or it cannot be
    measured (sides in crops and pictures, millimetres without a spacing, a modality that the case lacks), nothing is in
    conflict. `segmented`, the answers to the very texts, lets a conflict say that these found nothing; names that
    `by_name` holds the answers to are not asked again. Only texts that
    state something cost a second pass. Raises what `segment` raises.
    """
    claims = {key: claims_of(key, text, loaded.targets, tuple(case.images)) for key, text in texts.items()}
    queries = dict.fromkeys(q for c in claims.values() if c.told for together in c.queries for q in together)
    found: dict[str, tuple[Conflict, ...]] = dict.fromkeys(texts, ())
    if not queries:
        return found
    answers = dict(by_name or {})
    unasked = {query: query for query in queries if query not in answers}
    answers |= segment(loaded, case, unasked, device=device, store=store) if unasked else {}
    view = None
    for key, claim in claims.items():
        mask = _by_name(claim, answers) if claim.told else None
        if mask is None:
            continue
        view = view or view_of(case)
        empty = segmented is not None and key in segmented and not segmented[key].mask.any()
        conflicts = _contradicted(claim.told, mask, case, view.around(mask))
        ending = "; asked with these words, it finds nothing" if empty else ""
        told = (Conflict(c.about, c.said, c.seen, f"{c.text}{ending}") for c in conflicts)
        found[key] = tuple(dict.fromkeys(told))
    return found


def _by_name(claim: Claims, answers: Mapping[str, SegmentedTarget]) -> Mask | None:
    for together in claim.queries:
        mask: Mask = np.any([answers[query].mask for query in together], axis=0)
        if mask.any():
            return mask
    return None


def _contradicted(told: Sequence[Statement], mask: Mask, case: Case, view: View) -> Iterator[Conflict]:
    asked = {statement: _modalities(statement, case) for statement in told}
    pieces = measure_pieces(mask, case, view, tuple(dict.fromkeys(m for names in asked.values() for m in names)))
    if not pieces:  # nothing but crumbs
        return
    everywhere = frozenset(side for piece in pieces for side in piece.sides)
    for statement, modalities in asked.items():
        judged = [list(_judge(statement, piece, everywhere, case, view, modalities)) for piece in pieces]
        # Of two that fit equally well the larger one: they come in that order.
        best = max(range(len(pieces)), key=lambda i: sum(j.agrees for j in judged[i]))
        for found in judged[best]:
            if found.agrees:
                continue
            other = any(j.agrees for by_piece in judged for j in by_piece if j.about == found.about)
            subject = "the part of what the model finds by the name alone that fits best" if other else (
                "what the model finds by the name alone"
            )
            text = f"the words say {found.said}; {subject} {found.shown} ({_volume(pieces[best])})"
            yield Conflict(found.about, found.said, found.seen, text)


def _modalities(statement: Statement, case: Case) -> tuple[str, ...]:
    """The modalities of the case that a statement's signal is of: the one that it names, or any."""
    if statement.polarity is None:
        return ()
    return tuple(m for m in case.images if statement.modality in (None, m))


def _judge(
    statement: Statement, piece: Piece, everywhere: frozenset[str], case: Case, view: View, modalities: Sequence[str]
) -> Iterator[_Judged]:
    """Every attribute that a statement gives and that can be told of a piece."""
    if statement.side is not None and piece.sides:
        seen = next(iter(piece.sides)) if len(piece.sides) == 1 else "midline"
        agrees = {"left", "right"} <= everywhere if statement.side == "both" else statement.side in piece.sides
        said = "both sides" if statement.side == "both" else statement.side
        yield _Judged("side", said, seen, f"lies on the {seen}", agrees)
    yield from _sizes(statement, piece, case, view)
    opposite = [m for m in modalities if piece.polarity[m] not in (None, statement.polarity)]
    if statement.polarity is not None and modalities:
        name = (opposite or modalities)[0]
        signal = signal_of(name)
        bright = statement.polarity == "bright"
        said, seen = (signal.bright, signal.dark) if bright else (signal.dark, signal.bright)
        said = f"{said} on {signal.name}" if statement.modality else statement.polarity
        agrees = not opposite or statement.polarity in piece.polarity.values()
        yield _Judged("signal", said, f"{seen} on {signal.name}", f"is {seen} on {signal.name}", agrees)


def _sizes(statement: Statement, piece: Piece, case: Case, view: View) -> Iterator[_Judged]:
    picture = view.foreground.frame == "picture"
    share = f"{100 * piece.share:.2g} %"
    fills = f"fills {share} of the {'picture' if picture else 'body'}"
    if statement.diameter_mm is not None and case.spacing_known and not picture:
        seen = f"{piece.diameter:.0f} mm"
        agrees = _alike(statement.diameter_mm, piece.diameter)
        yield _Judged("size", f"{statement.diameter_mm:.0f} mm", seen, f"measures {seen} across", agrees)
    elif view.foreground.frame == "crop":
        return  # of what part of the body is not known
    elif statement.share is not None:
        said = f"{100 * statement.share:.2g} %"
        yield _Judged("size", said, share, fills, _alike(statement.share, piece.share))
    elif statement.extent == "small":
        yield _Judged("size", "small", share, fills, piece.share <= NOT_SMALL_SHARE)
    elif statement.extent == "large":
        yield _Judged("size", "large", share, fills, piece.share >= NOT_LARGE_SHARE)


def _alike(said: float, seen: float) -> bool:
    return seen / SIZE_FACTOR <= said <= seen * SIZE_FACTOR


def _volume(piece: Piece) -> str:
    if piece.volume_ml is None:
        return f"{piece.voxels} {'voxel' if piece.voxels == 1 else 'voxels'}"
    return f"{piece.volume_ml:.1f} ml" if piece.volume_ml >= 1 else f"{piece.volume_ml:.2g} ml"
