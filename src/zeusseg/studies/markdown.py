"""table.md: what a study found, ready to be put into a document with everything that a number needs beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zeusseg.report.compare import Pair
from zeusseg.report.summary import number
from zeusseg.studies.overview import HOW_TO_READ_OVERVIEW, overview
from zeusseg.studies.plan import Setting
from zeusseg.studies.table import StudyResult, mean_text

HOW_TO_READ = """Means over patients: a patient's masks are averaged for every seed, then over seeds. In brackets the
95 % interval of the mean (BCa bootstrap over patients, 9999 draws, seed 0). "Seeds" is the lowest and the highest mean
of a single seed. Misses, false masks and failed ones are counts of masks over all seeds. Pairs: Wilcoxon signed-rank
test over patients, two-sided, Holm-corrected over the pairs and targets of a metric in one setting; over the masks that
both arms have for the same seed."""


def study_markdown(result: StudyResult) -> str:
    """The whole page, tables in Markdown."""
    study, (main, *others) = result.study, result.settings
    cut = f"{study.folds} folds by patient" if study.folds else f"split `{main.split}`"
    parts = [
        f"# {study.name}",
        study.question,
        f"Data: {result.data}, {cut}. Seeds: {', '.join(map(str, study.seeds))}.",
        f"    {result.command}",
        *result.caveats,
        f"## {main.label}",
        _means(result, main),
    ]
    for found in result.comparisons[:1]:
        answers, failed = result.answers(found.pairs), result.answers(found.with_failures)
        parts += ["\n".join(f"- {pair.sentence()}" for pair in answers)] if answers else []
        if failed:
            parts += ["With failed masks as misses:", "\n".join(f"- {pair.sentence()}" for pair in failed)]
    if result.language is not None:
        parts += ["## All of it in one table", _table(*overview(result)), HOW_TO_READ_OVERVIEW]
    parts += ["## How the arms were trained", _training(result)]
    if any(setting.modalities for setting in others):
        parts += ["## With fewer modalities", *_by_modalities(result)]
    for setting in others:
        if not setting.modalities:
            parts += [f"## {setting.label}", _means(result, setting)]
    pairs = [(found.setting, pair) for found in result.comparisons for pair in found.pairs]
    if pairs:
        parts += ["## All pairs", _pairs(pairs)]
    if result.failures:
        parts += ["## What failed or was left out", _table(["what", "why"], result.failures.items())]
    return "\n\n".join([*parts, HOW_TO_READ]) + "\n"


def _means(result: StudyResult, setting: Setting) -> str:
    rows = result.rows_of(setting)
    failed = any(row.failed for row in rows)
    head = ["arm", "target", "metric", "mean [95 %]", "median", "seeds", "patients", "misses", "false masks", "failed"]
    cells = []
    for row in rows:
        cells.append([
            result.arms[row.arm].marked, row.target, row.metric, mean_text(row), number(row.found.median),
            f"{number(row.seed_low)} to {number(row.seed_high)} ({len(row.seeds)})", row.found.n_patients,
            f"{row.misses} / {row.with_reference}", f"{row.false_masks} / {row.target_free}", row.failed,
            *([f"{number(row.with_failures.mean)} ({row.with_failures.n_patients})"] if failed else []),
        ])  # fmt: skip
    return _table([*head, *(["failed as misses (patients)"] if failed else [])], cells)


def _training(result: StudyResult) -> str:
    head = ["arm", "changes", "steps", "batch", "image", "cases", "parameters trained", "of", "seconds per training"]
    cells = []
    for arm in result.arms.values():
        changes = ", ".join(f"`{key}: {value}`" for key, value in arm.changes.items()) or "none"
        cells.append([
            arm.marked, changes + (f". {arm.note}" if arm.note else ""), arm.steps, arm.batch_size,
            " x ".join(map(str, arm.crop)), " to ".join(map(str, arm.cases)), f"{arm.parameters_trained:,}",
            f"{arm.parameters:,}", f"{arm.seconds:.0f} ({arm.trainings})",
        ])  # fmt: skip
    return _table(head, cells)


def _by_modalities(result: StudyResult) -> list[str]:
    """A table per target and metric: a line per set of modalities, a column per arm."""
    main, *others = result.settings
    settings = [main, *(setting for setting in others if setting.modalities)]
    tables = []
    for target, metric in dict.fromkeys((row.target, row.metric) for row in result.rows):
        cells = []
        for setting in settings:
            rows = {row.arm: row for row in result.rows_of(setting) if (row.target, row.metric) == (target, metric)}
            patients = sorted({row.found.n_patients for row in rows.values()})
            found = [mean_text(rows[arm]) if arm in rows else number(None) for arm in result.arms]
            cells.append([setting.shown, " to ".join(map(str, patients)), *found])
        tables += [
            f"{target}, {metric}:",
            _table(["shown", "patients", *(arm.marked for arm in result.arms.values())], cells),
        ]
    return tables


def _pairs(pairs: Iterable[tuple[Setting, Pair]]) -> str:
    head = ["setting", "first", "second", "target", "metric", "first less second [95 %]", "p", "p, Holm (of)", "effect",
            "patients"]  # fmt: skip
    cells = []
    for setting, pair in pairs:
        found = pair.paired
        cells.append([
            setting.label, pair.first, pair.second, pair.target, pair.metric,
            f"{number(found.difference, 4)} [{number(found.low, 4)} to {number(found.high, 4)}]", number(found.p, 4),
            f"{number(pair.p_holm, 4)} ({pair.of})", number(found.effect, 2), found.n_patients,
        ])  # fmt: skip
    return _table(head, cells)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
