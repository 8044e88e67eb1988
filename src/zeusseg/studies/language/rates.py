"""From judged answers to rates: per model and kind of question, with interval, n, and whether the goal is met."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import mean

from zeusseg.metrics.statistics import bootstrap_interval
from zeusseg.studies.language.judge import FOUND, Judged

# Rounding must not miss a goal that was met.
TINY = 1e-9


@dataclass(frozen=True)
class Row:
    """A row of the table. `score` gives the share that is right (0 to 1) of one judged answer, None where the row says
    nothing of it. `asked` and `right` say in words what is asked and what is right."""

    name: str
    asked: str
    right: str
    score: Callable[[Judged], float | None]
    goal: float | None = None


def _kind(name: str, asked: str, right: str, goal: float | None = None) -> Row:
    return Row(name, asked, right, lambda one: float(one.right) if one.question.kind == name else None, goal)


def _held_out(one: Judged) -> float | None:
    return float(one.right) if one.question.kind == "attribute" and one.question.held_out else None


def _unmarked_slices(one: Judged, *, clear: bool) -> float | None:
    if one.slices is None:
        return None
    empty, marked = (
        (one.slices.clear, one.slices.clear_marked) if clear else (one.slices.empty, one.slices.marked)
    )
    return 1 - marked / empty if empty else None


ROWS = (
    _kind("swap", "another target's name in a target's place", "the mask fits the named target better", 0.99),
    _kind("absent", "a structure or finding that is not there", "no mask", 0.99),
    _kind("gibberish", "random letters, rows of keys, made-up syllables", "no mask", 0.99),
    _kind("empty", "no text at all", "no mask", 0.99),
    _kind("unrelated", "a sentence about something else", "no mask", 0.99),
    _kind("paraphrase", "wordings kept out of training", "Dice at most 0.05 below that of the name", 0.95),
    Row("attribute, held out", "one piece of several, by a combination of attributes kept out of training",
        f"that piece and no other fits best, Dice at least {FOUND}", _held_out, 0.90),
    _kind("name", "a target by its name", f"Dice at least {FOUND}"),
    _kind("attribute", "one piece of several, by side, size or signal: all combinations",
          f"that piece and no other fits best, Dice at least {FOUND}"),
    _kind("negation", "a sentence that denies a target that is there", "no mask"),
    _kind("contrast", "one target, not another", "the first one's mask, as good as by its name"),
    _kind("wrong image", "a target by name, in an image without it", "no mask"),
    Row("slices without it", "a target by name: slices of the volume that lack it", "nothing marked there",
        lambda one: _unmarked_slices(one, clear=False)),
    Row("slices clear of it", "the same, two slices or more away from it", "nothing marked there",
        lambda one: _unmarked_slices(one, clear=True)),
    _kind("right side", "a target with the side that it is on", "Dice at most 0.05 below that of the name"),
    _kind("wrong side", "a target with the side that it is not on", "no mask"),
)  # fmt: skip


@dataclass(frozen=True)
class Rate:
    """The share of right answers over patients, with its 95 % interval; NaN where one patient leaves none."""

    model: str
    row: Row
    rate: float
    low: float
    high: float
    n_questions: int
    n_patients: int

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        return None if self.row.goal is None else self.rate >= self.row.goal - TINY


def rates_of(model: str, judged: Sequence[Judged]) -> list[Rate]:
    """A rate for each row of the table that something was asked for, in the table's order."""
    rates = []
    for row in ROWS:
        scored = [(one.patient, score) for one in judged if (score := row.score(one)) is not None]
        if scored:
            patients = patient_means(scored)
            low, high = _interval(patients)
            rates.append(Rate(model, row, mean(patients), low, high, len(scored), len(patients)))
    return rates


def percent(share: float) -> str:
    """A share as readers see it; what is not quite all, or none, is never rounded to it.

    >>> percent(1.0), percent(0.9996), percent(0.5), percent(0.0002)
    ('100 %', '> 99.9 %', '50.0 %', '< 0.1 %')
    """
    if math.isnan(share):
        return "\N{EN DASH}"
    if share in (0.0, 1.0):
        return f"{100 * share:.0f} %"
    if share > 0.9995:
        return "> 99.9 %"
    return "< 0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"


def patient_means(scored: Iterable[tuple[str, float]]) -> list[float]:
    """The mean of each patient."""
    grouped: dict[str, list[float]] = {}
    for patient, score in scored:
        grouped.setdefault(patient, []).append(score)
    return [mean(scores) for scores in grouped.values()]


def _interval(patients: Sequence[float]) -> tuple[float, float]:
    """The bootstrap over patients. Where all agree it has no width: the exact interval for so many patients takes its
    place where all are right or all wrong (Clopper and Pearson 1934), none where all are equally in between."""
    if set(patients) <= {0.0} or set(patients) <= {1.0}:
        from scipy.stats import binomtest

        exact = binomtest(round(sum(patients)), len(patients)).proportion_ci(method="exact")
        return float(exact.low), float(exact.high)
    if len(set(patients)) == 1:
        return math.nan, math.nan
    return bootstrap_interval(patients)
