"""report.html: one self-contained page that shows how well the masks fit and lets the reader look at the cases."""

from __future__ import annotations

import math
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeusseg.files import write_text
from zeusseg.report.gallery import Card, build_cards
from zeusseg.report.scoring import NSD_TOLERANCE, Score
from zeusseg.report.strip import Dot, strip_plot
from zeusseg.report.summary import interval, number

if TYPE_CHECKING:
    from zeusseg.datasets.dataset import Dataset
    from zeusseg.report.evaluate import Evaluation


def write_page(evaluation: Evaluation, dataset: Dataset, path: Path) -> None:
    """Write the page of an evaluation. It needs no network and names nothing of a patient but the ids."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=number, interval=interval)
    template = environment.from_string(files("zeusseg.report").joinpath("template.html").read_text(encoding="utf-8"))
    cards = build_cards(evaluation, dataset)
    content = template.render(
        evaluation=evaluation,
        unit="mm" if evaluation.spacing_known else "voxels",
        tolerance=NSD_TOLERANCE,
        titles=_metric_titles(evaluation),
        rows=[*evaluation.targets.items()]
        + ([("all targets", evaluation.overall)] if len(evaluation.targets) > 1 else []),
        n_patients=len({score.patient for score in evaluation.scores}),
        sections=[_section(evaluation, name, cards[name]) for name in evaluation.targets],
    )
    write_text(path, content)


def _metric_titles(evaluation: Evaluation) -> dict[str, tuple[str, str, int]]:
    """What the page calls each metric, the unit of its numbers, and their decimals."""
    unit = "mm" if evaluation.spacing_known else "voxels"
    titles = (("Dice", "", 3), ("IoU", "", 3), ("HD95", unit, 1), ("NSD", f"at {NSD_TOLERANCE} {unit}", 3))
    return dict(zip(evaluation.metrics, titles, strict=True))


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
        "scores": sorted(scores, key=lambda score: (score.patient, score.case)),
    }


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
