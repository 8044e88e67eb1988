"""Which cases the page shows, and what it says of each: the worst, the median and the best, and a false mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zeusseg.errors import BadInputError
from zeusseg.report.masks import PredictedMasks
from zeusseg.report.pictures import CasePicture, panel_edge, picture_of
from zeusseg.report.scoring import PredictionRecord, Score, TargetRecord

if TYPE_CHECKING:
    from zeusseg.datasets.dataset import Dataset
    from zeusseg.report.evaluate import Evaluation


@dataclass(frozen=True)
class Card:
    """One case of the gallery. `picture` is None where the case's images could not be read again."""

    anchor: str
    kind: str
    score: Score
    record: TargetRecord
    modalities_used: tuple[str, ...]
    picture: CasePicture | None


def choose(scores: Sequence[Score]) -> list[tuple[str, Score]]:
    """Of the scores of one target, those worth a look, worst first; each case once.

    Best, median and worst are told by Dice over the cases with a reference and a mask; of an even number the median is
    the lower of the two in the middle. The largest false mask comes last.
    """
    scored = [score for score in scores if score.failure is None]
    ranked = sorted((s for s in scored if s.reference_voxels), key=lambda s: (-s.values["dice"], s.case))
    kinds = {1: ("only",), 2: ("worst", "best")}.get(len(ranked), ("worst", "median", "best"))
    places = {"only": 0, "best": 0, "median": len(ranked) // 2, "worst": len(ranked) - 1}
    chosen = [(kind, ranked[places[kind]]) for kind in kinds] if ranked else []
    false_masks = [score for score in scored if score.false_mask]
    if false_masks:
        chosen.append(("false mask", max(false_masks, key=lambda score: score.predicted_voxels)))
    return chosen


def chosen_scores(evaluation: Evaluation) -> dict[str, list[tuple[str, Score]]]:
    """For every target what `choose` finds worth a look."""
    return {name: choose([score for score in evaluation.scores if score.target == name]) for name in evaluation.targets}


def build_cards(
    evaluation: Evaluation, dataset: Dataset, chosen: Mapping[str, Sequence[tuple[str, Score]]]
) -> dict[str, list[Card]]:
    """A card for each of `chosen` (target to kind and score). A case that several cards show is read once."""
    shown = [score for cards in chosen.values() for _, score in cards]
    longest_side = panel_edge(len(shown) * len(dataset.modalities))
    pictures: dict[tuple[str, str], CasePicture | None] = {}
    for case_id in dict.fromkeys(score.case for score in shown):
        names = [score.target for score in shown if score.case == case_id]
        pictures.update(_draw(evaluation, dataset, case_id, names, longest_side))
    cards: dict[str, list[Card]] = {}
    for number, (name, choices) in enumerate(chosen.items()):
        cards[name] = []
        for kind, score in choices:
            record = evaluation.records.get(score.case, PredictionRecord())
            cards[name].append(
                Card(
                    anchor=f"case-{number}-{kind.replace(' ', '-')}",
                    kind=kind,
                    score=score,
                    record=record.target(name),
                    modalities_used=record.modalities_used,
                    picture=pictures[score.case, name],
                )
            )
    return cards


def _draw(
    evaluation: Evaluation, dataset: Dataset, case_id: str, names: Sequence[str], longest_side: int
) -> dict[tuple[str, str], CasePicture | None]:
    pictures: dict[tuple[str, str], CasePicture | None] = {}
    targets = {target.name: target for target in dataset.targets}
    for name in names:
        pictures[case_id, name] = None
    try:
        case = dataset.read(case_id)
        masks = PredictedMasks(evaluation.predictions, case_id, case.reference, dataset)
        for name in names:
            prediction = masks.read(targets[name])
            pictures[case_id, name] = picture_of(case, case.mask(targets[name]), prediction, longest_side)
    except BadInputError:
        # It was scored by its labels alone because an image of it is broken; the card then stays without a picture.
        return pictures
    return pictures
