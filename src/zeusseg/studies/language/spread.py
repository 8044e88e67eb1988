"""How much the choice of words matters: the same target in every wording, and how far the masks' Dice spreads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from zeusseg.studies.language.judge import Judged
from zeusseg.studies.language.rates import TINY

SPREAD_GOAL_POINTS = 1.0


@dataclass(frozen=True)
class Wording:
    """A wording of a target, its mean Dice over the cases, and the number of these."""

    text: str
    dice: float
    n_cases: int


@dataclass(frozen=True)
class Spread:
    """How much the wording of one target matters: `points` is the sample standard deviation of the wordings' mean
    Dice, in points (hundredths); `name_dice` is the mean Dice of the target's own name. `wordings` come worst first."""

    model: str
    target: str
    points: float
    name_dice: float
    wordings: tuple[Wording, ...]

    @property
    def met(self) -> bool:
        return self.points <= SPREAD_GOAL_POINTS + TINY


def spreads_of(model: str, judged: Sequence[Judged]) -> list[Spread]:
    """The spread over paraphrases of each target that has two or more, the largest first."""
    paraphrases = [one for one in judged if one.question.kind == "paraphrase"]
    names = [one for one in judged if one.question.kind == "name"]
    spreads = []
    for target in dict.fromkeys(one.question.target for one in paraphrases):
        found = _dice_by_text(paraphrases, target)
        if len(found) > 1:
            wordings = [Wording(text, mean(values), len(values)) for text, values in found.items()]
            named = [value for values in _dice_by_text(names, target).values() for value in values]
            spreads.append(
                Spread(
                    model, str(target), points=100 * stdev(wording.dice for wording in wordings),
                    name_dice=mean(named) if named else math.nan,
                    wordings=tuple(sorted(wordings, key=lambda wording: wording.dice)),
                )
            )
    return sorted(spreads, key=lambda spread: -spread.points)


def _dice_by_text(judged: Iterable[Judged], target: str | None) -> dict[str, list[float]]:
    """For each wording of a target its Dice in every case that holds the target."""
    found: dict[str, list[float]] = {}
    for one in judged:
        if one.question.target == target and one.dice is not None:
            found.setdefault(one.question.text, []).append(one.dice)
    return found
