"""What the language test found, as text: for programs, for a document, and for the terminal."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from zeusseg.report.summary import number
from zeusseg.studies.language.rates import ROWS, Rate, percent
from zeusseg.studies.language.spread import SPREAD_GOAL_POINTS, Spread

if TYPE_CHECKING:
    from zeusseg.studies.language.command import LanguageTest

COLUMNS = ("model", "what", "measure", "value", "low", "high", "n_questions", "n_patients", "goal", "met")
HOW_TO_READ = """Shares of right answers: a patient's questions are averaged, then patients. In brackets the 95 %
interval (BCa bootstrap over patients, 9999 draws, seed 0; where all patients agree, Clopper and Pearson's exact one),
then questions in patients. Spread: the sample standard deviation of mean Dice over all wordings of one target."""


def rates_csv(test: LanguageTest) -> str:
    """A line per model and row of the table (`measure` right, a share), wrong sides (flagged, empty, ignored, obeyed),
    and the spread of each target (in points of Dice)."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for rate in test.rates:
        writer.writerow({
            "model": rate.model, "what": rate.row.name, "measure": "right", "value": f"{rate.rate:.6f}",
            "low": _csv_number(rate.low), "high": _csv_number(rate.high), "n_questions": rate.n_questions,
            "n_patients": rate.n_patients, "goal": rate.row.goal, "met": None if rate.met is None else int(rate.met),
        })  # fmt: skip
    for side in test.wrong_sides:
        for measure in ("flagged", "empty", "ignored", "obeyed"):
            writer.writerow({
                "model": side.model, "what": "wrong side", "measure": measure, "value": f"{getattr(side, measure):.6f}",
                "n_questions": side.n_questions, "n_patients": side.n_patients,
            })  # fmt: skip
    for spread in test.spreads:
        writer.writerow({
            "model": spread.model, "what": f"paraphrases of {spread.target}", "measure": "spread_points",
            "value": f"{spread.points:.4f}", "n_questions": sum(wording.n_cases for wording in spread.wordings),
            "goal": SPREAD_GOAL_POINTS, "met": int(spread.met),
        })  # fmt: skip
    return text.getvalue()


def language_markdown(test: LanguageTest) -> str:
    """The verdicts, one table with kinds as rows and models as columns, the worst wordings, and what failed."""
    parts = [
        "# Do the words decide?",
        f"Data: {test.data}, {test.cases} cases of {test.patients} patients; questions drawn with seed {test.seed}.",
        "\n".join(f"- **{found.model}: {found.verdict}.** {' '.join(found.reasons)}" for found in test.verdicts),
        _table(["asked", "right is", "goal", *test.models], _rows(test)),
    ]
    if test.wrong_sides:
        parts.append("\n".join(f"- {side.model}: {wrong_side_sentence(test, side.model)}" for side in test.wrong_sides))
    if test.spreads:
        head = ["model", "target", "spread (points)", "Dice by name", "worst wording", "its Dice", "wordings"]
        parts += ["## Wordings", _table(head, (_spread_row(spread) for spread in test.spreads))]
    if test.failures:
        parts += ["## What failed or was left out", _table(["what", "why"], test.failures.items())]
    return "\n\n".join([*parts, HOW_TO_READ]) + "\n"


def rates_text(test: LanguageTest) -> str:
    """For the terminal."""
    if not test.judged:
        return "no model answered anything"
    lines = []
    for verdict in test.verdicts:
        lines.append(f"{verdict.model}: {verdict.verdict}")
        lines += [f"  {reason}" for reason in verdict.reasons]
        for rate in test.rates:
            if rate.model == verdict.model:
                goal = "" if rate.row.goal is None else f"; goal {goal_text(rate)}: {'met' if rate.met else 'MISSED'}"
                lines.append(f"  {rate.row.name}: {rate_text(rate)}{goal}")
        if verdict.model in {side.model for side in test.wrong_sides}:
            lines.append(f"  {wrong_side_sentence(test, verdict.model)}")
        spread = largest_spread(test, verdict.model)
        if spread is not None:
            goal = f"goal at most {SPREAD_GOAL_POINTS:g}: {'met' if spread.met else 'MISSED'}"
            lines.append(f"  spread over wordings of {spread.target}: {spread.points:.1f} points of Dice; {goal}")
    return "\n".join(lines)


def rate_of(test: LanguageTest, model: str, row_name: str) -> Rate | None:
    """The rate of one cell of the table; None where nothing was asked."""
    return next((rate for rate in test.rates if (rate.model, rate.row.name) == (model, row_name)), None)


def largest_spread(test: LanguageTest, model: str) -> Spread | None:
    """The one that counts for a model."""
    return next((spread for spread in test.spreads if spread.model == model), None)


def rate_text(rate: Rate) -> str:
    """`99.2 % [95.1 to 100] (n = 120 in 10)`."""
    return f"{percent(rate.rate)}{interval_text(rate)} (n = {rate.n_questions} in {rate.n_patients})"


def interval_text(rate: Rate) -> str:
    """`[95.1 to 100]` with a space before it; nothing where one patient leaves no interval."""
    if math.isnan(rate.low):
        return ""
    low, high = percent(rate.low).removesuffix(" %"), percent(rate.high).removesuffix(" %")
    return f" [{low} to {high}]"


def goal_text(rate: Rate) -> str:
    """`at least 99 %`, or a dash."""
    return number(None) if rate.row.goal is None else f"at least {100 * rate.row.goal:g} %"


def wrong_side_sentence(test: LanguageTest, model: str) -> str:
    """What the model made of wrong sides, in a sentence."""
    side = next(side for side in test.wrong_sides if side.model == model)
    return (
        f"With the wrong side, the conflict was flagged in {percent(side.flagged)}; the mask was left empty in "
        f"{percent(side.empty)}, marked the target all the same in {percent(side.ignored)} and something else in "
        f"{percent(side.obeyed)} (n = {side.n_questions} in {side.n_patients})."
    )


def _rows(test: LanguageTest) -> Iterable[Sequence[str]]:
    for row in ROWS:
        rates = [rate_of(test, model, row.name) for model in test.models]
        first = next((rate for rate in rates if rate is not None), None)
        if first is not None:
            yield [f"{row.name}: {row.asked}", row.right, goal_text(first), *(_cell(rate) for rate in rates)]
    spreads = [largest_spread(test, model) for model in test.models]
    if any(spreads):
        yield ["spread: the target whose wordings differ most", "the wording makes no difference",
               f"at most {SPREAD_GOAL_POINTS:g} point", *(_spread_cell(spread) for spread in spreads)]  # fmt: skip


def _cell(rate: Rate | None) -> str:
    if rate is None:
        return number(None)
    return rate_text(rate) + ("" if rate.met is None else ", met" if rate.met else ", **missed**")


def _spread_cell(spread: Spread | None) -> str:
    if spread is None:
        return number(None)
    return f"{spread.points:.1f} points ({spread.target})" + (", met" if spread.met else ", **missed**")


def _spread_row(spread: Spread) -> Sequence[object]:
    worst = spread.wordings[0]
    return [spread.model, spread.target, f"{spread.points:.2f}", number(spread.name_dice), worst.text,
            number(worst.dice), len(spread.wordings)]  # fmt: skip


def _csv_number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
