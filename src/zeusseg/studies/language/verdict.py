"""Do the words decide? One sentence per model, and what became of words that contradict the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Literal

from zeusseg.studies.language.judge import Judged
from zeusseg.studies.language.rates import patient_means, percent, rates_of

# The goals that words for nothing in the image have to meet, for words to be said to decide.
ABSENT_KINDS = ("absent", "gibberish", "empty", "unrelated")
NONSENSE_KINDS = ("absent", "gibberish", "unrelated")
# A model ignores its words where swaps move the mask this rarely, where words for nothing get masks more often than
# not, and where a target that is there gets none more often than not: to mark nothing is no way to pass.
IGNORED_SWAPS, IGNORED_SHARE = 0.6, 0.5


@dataclass(frozen=True)
class WrongSide:
    """What became of texts that name the wrong side, as shares over patients (`flagged` goes beside the other three):
    the mask was left `empty`, the side was `ignored` (the mask shares voxels with the target), or `obeyed` (the mask
    lies elsewhere)."""

    model: str
    flagged: float
    empty: float
    ignored: float
    obeyed: float
    n_questions: int
    n_patients: int


@dataclass(frozen=True)
class Verdict:
    """Whether words decide what a model marks, and the sentences that say why."""

    model: str
    verdict: Literal["words decide", "words decide in part", "IGNORES ITS WORDS"]
    reasons: tuple[str, ...]


def verdict_of(model: str, judged: Sequence[Judged]) -> Verdict:
    """Whether words decide: by swaps, where two targets were there to be swapped, and by words for nothing."""
    rates = {rate.row.name: rate for rate in rates_of(model, judged)}
    drawn = _share(judged, NONSENSE_KINDS, lambda one: one.voxels > 0)
    silent = _share(judged, ("name",), lambda one: one.voxels == 0)
    swap = rates.get("swap")
    reasons = [
        "Swaps could not be asked: no case has two targets."
        if swap is None
        else f"With another target's name in its place, the mask moved to that target in {percent(swap.rate)}.",
        f"Structures that are not there, gibberish and unrelated sentences got a mask in {percent(drawn)}.",
        f"Targets that are there, asked for by name, were left without a mask in {percent(silent)}.",
    ]
    decisive = [rates[kind] for kind in ("swap", *ABSENT_KINDS) if kind in rates]
    if (swap is not None and swap.rate <= IGNORED_SWAPS) or max(drawn, silent) > IGNORED_SHARE:
        return Verdict(model, "IGNORES ITS WORDS", tuple(reasons))
    if all(rate.met for rate in decisive):
        return Verdict(model, "words decide", tuple(reasons))
    missed = ", ".join(f"{rate.row.name} ({percent(rate.rate)})" for rate in decisive if not rate.met)
    return Verdict(model, "words decide in part", (*reasons, f"Goals missed: {missed}."))


def wrong_side_of(model: str, judged: Sequence[Judged]) -> WrongSide | None:
    """What became of wrong sides; None where none was asked for."""
    kind = ("wrong side",)
    asked = [one for one in judged if one.question.kind in kind]
    if not asked:
        return None

    def touches(one: Judged) -> bool:
        return one.dice_of.get(str(one.question.about), 0.0) > 0

    return WrongSide(
        model,
        flagged=_share(asked, kind, lambda one: bool(one.conflicts)),
        empty=_share(asked, kind, lambda one: one.voxels == 0),
        ignored=_share(asked, kind, lambda one: one.voxels > 0 and touches(one)),
        obeyed=_share(asked, kind, lambda one: one.voxels > 0 and not touches(one)),
        n_questions=len(asked),
        n_patients=len({one.patient for one in asked}),
    )


def _share(judged: Sequence[Judged], kinds: Sequence[str], holds: Callable[[Judged], bool]) -> float:
    """The share over patients of answers to these kinds of which something holds; 0 where there is none."""
    patients = patient_means([(one.patient, float(holds(one))) for one in judged if one.question.kind in kinds])
    return mean(patients) if patients else 0.0
