"""From which probability on a voxel is inside: chosen on validation cases, never on those that are tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from zeusseg.case import CaseSource
from zeusseg.errors import BadInputError, UsageError
from zeusseg.inference.load import LoadedModel
from zeusseg.inference.segment import segment
from zeusseg.instruct.instruction import Instruction
from zeusseg.metrics import Definitions, compute_scores
from zeusseg.work import track

EMPTY_IS_ONE = Definitions(empty="one")
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))


def choose_threshold(
    loaded: LoadedModel, source: CaseSource, instructions: Sequence[Instruction], *, device: str = "cpu",
    progress: bool = True,
) -> tuple[float, dict[str, str]]:
    """The threshold with the best mean Dice over the cases and targets of `instructions`; of equals, the one nearest
    to one half.

    Where a target is not there, an empty mask counts as 1 and any other as 0, lest marking everything pay. The second
    value says, by case, why one could not be asked. Raises `UsageError` where none could.
    """
    texts: dict[str, dict[str, str]] = {}
    for line in instructions:
        texts.setdefault(line.case, {})[line.target] = line.text
    found: list[list[float]] = []
    failures: dict[str, str] = {}
    loaded.model.eval()
    # So that a mask is empty only where presence rules the target out: at every threshold.
    loaded = replace(loaded, threshold=THRESHOLDS[0])
    targets = {target.name: target for target in loaded.targets}
    for case_id in track(texts, "choosing the threshold", len(texts), show=progress):
        try:
            case = source.read(case_id)
            answers = segment(loaded, case.without_labels(), texts[case_id], device=device)
            references = {name: case.mask(targets[name]) for name in answers}
        except BadInputError as error:
            failures[case_id] = str(error)
            continue
        for name, answer in answers.items():
            probability = answer.probability * (answer.empty_reason is None)
            scores = (
                compute_scores(probability > threshold, references[name], case.spacing_mm, EMPTY_IS_ONE, ["dice"])
                for threshold in THRESHOLDS
            )
            found.append([score["dice"] for score in scores])
    if not found:
        raise UsageError(f"no validation case could be asked, so no threshold was chosen: {failures}")
    means = np.mean(found, axis=0)
    best = [threshold for threshold, value in zip(THRESHOLDS, means, strict=True) if value >= means.max() - 1e-9]
    return min(best, key=lambda threshold: abs(threshold - 0.5)), failures
