"""report.html of the language test: the verdicts, every rate against its goal, the worst wordings, and answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from zeusseg.datasets import Dataset
from zeusseg.files import write_text
from zeusseg.report.page import load_template
from zeusseg.studies.language.pictures import draw_examples
from zeusseg.studies.language.questions import KINDS
from zeusseg.studies.language.rates import ROWS, Rate, percent
from zeusseg.studies.language.spread import SPREAD_GOAL_POINTS
from zeusseg.studies.language.tables import (
    HOW_TO_READ,
    goal_text,
    interval_text,
    largest_spread,
    rate_of,
    wrong_side_sentence,
)

if TYPE_CHECKING:
    from zeusseg.studies.language.command import LanguageTest

# The looks (a CSS class) of each verdict.
LOOKS = {"words decide": "good", "words decide in part": "part", "IGNORES ITS WORDS": "ignored"}
GAUGE = 120  # width of a rate's drawing, in pixels


def write_language_page(test: LanguageTest, folders: Mapping[str, Path], dataset: Dataset, path: Path) -> None:
    """Write the page; `folders` hold the kept masks of each model. It needs no network and names nothing of a patient
    but the ids."""
    template = files("zeusseg.studies.language").joinpath("language.html").read_text(encoding="utf-8")
    examples = draw_examples(test.judged, folders, dataset, test.seed)
    rows = [(row, [rate_of(test, model, row.name) for model in test.models]) for row in ROWS]
    spreads = [largest_spread(test, model) for model in test.models]
    environment = load_template("base.html").environment
    # A number and its sign stay on one line.
    environment.filters["unbroken"] = lambda text: text.replace(" %", "\N{NO-BREAK SPACE}%")
    content = environment.from_string(template).render(
        test=test,
        looks=LOOKS,
        goals=[(row, rates) for row, rates in rows if row.goal is not None and any(rates)],
        others=[(row, rates) for row, rates in rows if row.goal is None and any(rates)],
        spreads=spreads if any(spreads) else [],
        spread_goal=SPREAD_GOAL_POINTS,
        examples={kind: examples[kind] for kind in KINDS if kind in examples},
        right_is={row.name: row for row in ROWS},
        how_to_read=HOW_TO_READ,
        gauge=gauge, goal_text=goal_text, interval_text=interval_text, percent=percent,
        wrong_side_sentence=wrong_side_sentence,
    )  # fmt: skip
    write_text(path, content)


def gauge(rate: Rate) -> Markup:
    """A rate on a line from 0 to 1: its interval as a band, the goal as a tick, the rate as a dot."""
    look = {True: "met", False: "missed", None: ""}[rate.met]
    parts = [f'<svg class="gauge {look}" viewBox="-5 0 {GAUGE + 10} 14" width="{GAUGE + 10}" height="14">']
    parts.append(f'<line class="track" x1="0" x2="{GAUGE}" y1="7" y2="7"/>')
    if not math.isnan(rate.low):
        width = max(GAUGE * (rate.high - rate.low), 1)
        parts.append(f'<rect class="band" x="{GAUGE * rate.low:.1f}" y="4" width="{width:.1f}" height="6" rx="3"/>')
    if rate.row.goal is not None:
        place = f"{GAUGE * rate.row.goal:.1f}"
        parts.append(f'<line class="goal" x1="{place}" x2="{place}" y1="0" y2="14"/>')
    parts.append(f'<circle class="rate" cx="{GAUGE * rate.rate:.1f}" cy="7" r="4.5"/></svg>')
    return Markup("".join(parts))
