"""report.html: one self-contained page that shows how well the masks fit and lets the reader look at the cases."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeusseg.files import target_file_name, write_text
from zeusseg.instruct.agreement import INSTRUCTION, agreement
from zeusseg.instruct.instruction import Check
from zeusseg.metrics.scores import nsd_name
from zeusseg.report.gallery import Card, build_cards, chosen_scores
from zeusseg.report.scoring import PredictionRecord, Score, metric_names
from zeusseg.report.strip import Dot, strip_plot
from zeusseg.report.summary import interval, number
from zeusseg.work import track

if TYPE_CHECKING:
    from zeusseg.datasets.dataset import Dataset
    from zeusseg.report.evaluate import Evaluation

# The measures of the first table; the others stand below it.
MAIN = ("dice", "iou", "hd95", "nsd_")


def write_page(evaluation: Evaluation, dataset: Dataset, path: Path, *, pages: bool = False) -> None:
    """Write the page of an evaluation; `pages` links each case to its own. It needs no network and names nothing of a
    patient but the ids."""
    cards = build_cards(evaluation, dataset, chosen_scores(evaluation))
    content = load_template("template.html").render(
        evaluation=evaluation,
        unit="mm" if evaluation.spacing_known else "voxels",
        titles=_metric_titles(evaluation),
        main=[metric for metric in evaluation.metrics if metric.startswith(MAIN)],
        rows=[*evaluation.targets.items()]
        + ([("all targets", evaluation.overall)] if len(evaluation.targets) > 1 else []),
        n_patients=len({score.patient for score in evaluation.scores}),
        sections=[_section(evaluation, name, cards[name]) for name in evaluation.targets],
        pages=pages,
        checks=_all_checks(evaluation),
        calibrated=evaluation.overall.calibration["ece"].n_cases > 0,
    )
    write_text(path, content)


def write_pages(evaluation: Evaluation, dataset: Dataset, folder: Path) -> None:
    """Write one page per case with the picture, words and numbers of each of its targets."""
    template = load_template("case.html")
    for case_id in track(evaluation.case_ids, "drawing", len(evaluation.case_ids)):
        scores = [score for score in evaluation.scores if score.case == case_id]
        cards = build_cards(evaluation, dataset, {s.target: [("case", s)] for s in scores if s.failure is None})
        content = template.render(
            case_id=case_id,
            cards={name: found[0] for name, found in cards.items()},
            titles=_metric_titles(evaluation),
            failures=[failure for failure in evaluation.failures if failure.case == case_id],
        )
        write_text(folder / f"{target_file_name(case_id)}.html", content)


def load_template(name: str) -> Any:
    """A page of this folder, ready to be rendered."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("zeusseg.report", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, interval=interval, file_name=target_file_name, agreement=agreement)
    return environment.get_template(name)


def _all_checks(evaluation: Evaluation) -> list[Check]:
    """What was checked of the words behind the masks; findings that several targets of a case share, once."""
    return list({
        (score.case, "" if check.place != INSTRUCTION else score.target, check): check
        for score in evaluation.scores
        for check in evaluation.records.get(score.case, PredictionRecord()).target(score.target).checks
    }.values())  # fmt: skip


def _metric_titles(evaluation: Evaluation) -> dict[str, tuple[str, str, int]]:
    """What the page calls each metric, the unit of its numbers, and their decimals."""
    unit, volume, digits = ("mm", "ml", 2) if evaluation.spacing_known else ("voxels", "voxels", 0)
    titles = {
        "dice": ("Dice", "", 3), "iou": ("IoU", "", 3), "precision": ("precision", "", 3), "recall": ("recall", "", 3),
        "hd95": ("HD95", unit, 1), "assd": ("ASSD", unit, 2), "lesion_f1": ("lesion F1", "", 3),
        "lesion_dice": ("lesion Dice", "", 3), "volume_difference": ("volume difference", volume, digits),
    }  # fmt: skip
    for tolerance in evaluation.definitions.tolerances:
        titles[nsd_name(tolerance)] = ("NSD", f"at {tolerance:g} {unit}", 3)
    names = metric_names(evaluation.spacing_known, evaluation.definitions)
    return {shown: titles[name] for name, shown in names.items()}


def _section(evaluation: Evaluation, name: str, cards: list[Card]) -> dict[str, Any]:
    scores = [score for score in evaluation.scores if score.target == name]
    dice = evaluation.targets[name].predicted["dice"].over_patients
    links = {card.score.patient: card for card in reversed(cards)}
    false_masks = [score for score in scores if score.false_mask]
    dots = _patient_dots(scores, links)
    return {
        "name": name,
        "summary": evaluation.targets[name],
        "cards": cards,
        "strip": strip_plot(dots, dice.mean, dice.low, dice.high) if dots else None,
        "presence": [
            (title, strip_plot(found), len(found))
            for title, found in (
                ("in the image", _presence_dots(scores, there=True)),
                ("not in the image", _presence_dots(scores, there=False)),
            )
            if found
        ],
        "false_masks": sorted(false_masks, key=lambda score: -score.predicted_voxels),
        "scores": sorted(scores, key=_worst_first),
    }


def _worst_first(score: Score) -> tuple[float, float, str]:
    """Failed ones and misses, then by Dice; of those without a reference the largest false mask first."""
    if score.failure is not None:
        return (-1, 0, score.case)
    dice = score.values["dice"]
    return (2, -score.predicted_voxels, score.case) if math.isnan(dice) else (dice, 0, score.case)


def _patient_dots(scores: list[Score], links: dict[str, Card]) -> list[Dot]:
    """A dot per patient with a reference: the mean Dice of its masks, or 0 where none was written."""
    by_patient: dict[str, list[Score]] = {}
    for score in scores:
        if not math.isnan(score.values["dice"]):
            by_patient.setdefault(score.patient, []).append(score)
    dots = []
    for patient, group in by_patient.items():
        predicted = [score.values["dice"] for score in group if score.failure is None]
        value = sum(predicted) / len(predicted) if predicted else 0.0
        kind = "failed" if not predicted else "missed" if any(s.missed for s in group) else ""
        cases = f" (mean of {len(predicted)} cases)" if len(predicted) > 1 else ""
        label = f"{patient}: Dice {value:.3f}{cases}" if predicted else f"{patient}: failed"
        card = links.get(patient)
        if card is not None:
            label += f" ({card.kind} case, click to see it)"
            kind = f"{kind} shown".strip()
        dots.append(Dot(value, label, kind, card.anchor if card else ""))
    return dots


def _presence_dots(scores: list[Score], there: bool) -> list[Dot]:
    return [
        Dot(
            score.presence,
            f"{score.case}: presence {score.presence:.3f}, "
            + ("mask written" if score.predicted_voxels else "mask left empty"),
            "" if bool(score.predicted_voxels) == there else "missed",
        )
        for score in scores
        if score.presence is not None and score.failure is None and (score.reference_voxels > 0) == there
    ]
