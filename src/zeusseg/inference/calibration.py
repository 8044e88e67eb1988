"""What presence is worth on patients that were not trained on, and the calibration that makes it mean what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zeusseg.case import Case, CaseSource
from zeusseg.errors import BadInputError
from zeusseg.inference.load import LoadedModel
from zeusseg.inference.segment import segment
from zeusseg.inference.store import FeatureStore
from zeusseg.instruct.absent import absent_text
from zeusseg.lexicon import Lexicon
from zeusseg.metrics.calibration import Calibration, cross_fitted, fit_calibration, logits_of
from zeusseg.work import track

__all__ = ["Answer", "Calibration", "ask_presence", "calibrate", "cross_fitted", "fit_calibration"]

ABSENT_PER_CASE = 3
LEAST_ANSWERS = 10
SEED = 20250611


@dataclass(frozen=True)
class Answer:
    """What a model answered to one text: the `logit` of its uncalibrated presence, and whether it is `present`."""

    case: str
    patient: str
    text: str
    present: bool
    logit: float


def calibrate(
    loaded: LoadedModel, source: CaseSource, case_ids: Sequence[str], *,
    texts: Mapping[tuple[str, str], str] | None = None, lexicon: Lexicon | None = None, device: str = "cpu",
    store: FeatureStore | None = None, progress: bool = True,
) -> tuple[Calibration | None, dict[str, str]]:
    """Fit a model's presence to these cases, which it must not have been trained on; see `ask_presence`.

    The calibration is None where the answers are fewer than `LEAST_ANSWERS` or all of one kind. The second value says,
    by case, why one could not be asked.
    """
    answers, failures = ask_presence(
        loaded, source, case_ids, texts=texts, lexicon=lexicon, device=device, store=store, progress=progress
    )
    if len(answers) < LEAST_ANSWERS or len({answer.present for answer in answers}) < 2:
        return None, failures
    return fit_calibration([answer.logit for answer in answers], [answer.present for answer in answers]), failures


def ask_presence(
    loaded: LoadedModel, source: CaseSource, case_ids: Sequence[str], *,
    texts: Mapping[tuple[str, str], str] | None = None, lexicon: Lexicon | None = None, device: str = "cpu",
    store: FeatureStore | None = None, progress: bool = True,
) -> tuple[list[Answer], dict[str, str]]:
    """Ask every case for each of the model's targets, and for a few things that are none of them (the same each time).

    `texts` are the run's instructions by (case, target); a target without one is asked for by name. A run that was
    trained without words is asked for its targets alone. `lexicon` (the shipped one, where none is given) has the other
    things. The model never sees the labels; they say what is present.
    The second value says, by case, why one could not be asked.
    """
    answers: list[Answer] = []
    failures: dict[str, str] = {}
    # Fresh from training it may still be in training's mode.
    loaded.model.eval()
    for case_id in track(case_ids, "calibrating presence", len(case_ids), show=progress):
        try:
            case = source.read(case_id)
            asked = _questions(loaded, case, texts or {}, lexicon)
            found = segment(
                loaded, case.without_labels(), {str(i): text for i, (text, _) in enumerate(asked)}, device=device,
                store=store,
            )
        except BadInputError as error:
            failures[case_id] = str(error)
            continue
        logits = logits_of([found[str(i)].raw_presence for i in range(len(asked))]).tolist()
        answers += [
            Answer(case_id, case.patient, text, present, logit)
            for (text, present), logit in zip(asked, logits, strict=True)
        ]
    return answers, failures


def _questions(
    loaded: LoadedModel, case: Case, texts: Mapping[tuple[str, str], str], lexicon: Lexicon | None
) -> list[tuple[str, bool]]:
    """Texts, and whether what they ask for is there."""
    wordless = loaded.wordless
    asked = [
        (texts.get((case.id, target.name), "" if wordless else target.name), bool(case.mask(target).any()))
        for target in loaded.targets
    ]
    if wordless:
        return asked
    rng = np.random.default_rng([SEED, *case.id.encode()])
    # As in training, they carry the case's own findings, so that the form of a text gives nothing away.
    absent = (absent_text(loaded.targets, rng, asked[0][0], lexicon) for _ in range(ABSENT_PER_CASE))
    return asked + [(text, False) for text in absent]
