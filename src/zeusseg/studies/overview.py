"""A study with the language test in one table: how well each arm finds its targets, its costs, and what it reads."""

from __future__ import annotations

import re

from zeusseg.report.compare import ALL
from zeusseg.report.summary import number
from zeusseg.studies.language.rates import percent
from zeusseg.studies.language.tables import rate_of
from zeusseg.studies.results import Row
from zeusseg.studies.table import StudyResult, mean_text

# Rows of the language test that say most of a model in a line: words for nothing, and words for what is there.
ASKED = ("swap", "absent", "gibberish", "empty", "unrelated", "wrong image", "name", "paraphrase", "negation")
HOW_TO_READ_OVERVIEW = """Means over patients with their 95 % interval. False masks are those on cases without the
target. Seconds per case: the median, from reading to written masks. Then the language test: shares of right answers
(no mask for what is absent, gibberish, empty, unrelated, denied, or asked of an image without it; by another wording a
mask as good as by the name, whatever that one is worth, which "name" tells: the share with a Dice of at least 0.5)."""


def overview(result: StudyResult) -> tuple[list[str], list[list[str]]]:
    """Head and lines of the table: the main setting, all targets together where they are several."""
    rows = result.rows_of(result.settings[0])
    together = any(row.target == ALL for row in rows)
    cells = {(row.arm, row.metric): row for row in rows if not together or row.target == ALL}
    metrics = result.study.metrics
    asked = [name for name in ASKED if any(_right(result, arm, name) for arm in result.arms)]
    head = ["arm", "text", *metrics, "false masks", "parameters", "seconds per case", *asked, "verdict"]
    lines = []
    for name, arm in result.arms.items():
        found = [cells.get((name, metric)) for metric in metrics]
        lines.append([
            arm.marked, f"`{arm.writer}`", *(mean_text(row) if row else number(None) for row in found),
            _false_masks(found[0]),
            f"{arm.parameters:,}", number(arm.seconds_per_case, 2),
            *(_right(result, name, question) or number(None) for question in asked), _verdict(result, name),
        ])  # fmt: skip
    return head, lines


def _false_masks(row: Row | None) -> str:
    return number(None) if row is None else f"{row.false_masks} / {row.target_free}"


def _asked_as(result: StudyResult, arm: str) -> str | None:
    """What an arm is called in the language test: one that was trained with a single seed carries it in its name."""
    models = result.language.models if result.language is not None else []
    return next((model for model in models if re.sub(r"_seed-\d+$", "", model) == arm), None)


def _right(result: StudyResult, arm: str, question: str) -> str | None:
    model = _asked_as(result, arm)
    rate = None if model is None or result.language is None else rate_of(result.language, model, question)
    return None if rate is None else percent(rate.rate)


def _verdict(result: StudyResult, arm: str) -> str:
    model = _asked_as(result, arm)
    verdicts = result.language.verdicts if result.language is not None else []
    return next((found.verdict for found in verdicts if found.model == model), number(None))
