"""Seeds of one arm are one model in the tables."""

from dataclasses import replace
from pathlib import Path

import pytest

from zeusseg.studies.language.command import _seeds_together
from zeusseg.studies.language.judge import Judged
from zeusseg.studies.language.questions import Question
from zeusseg.studies.language.rates import rates_of


def answer(patient: str, *, right: bool, example: str | None = None) -> Judged:
    question = Question("absent", "liver")
    return Judged(case=patient, patient=patient, question=question, voxels=0, presence=None, dice=None, dice_of={},
                  conflicts=(), right=right, slices=None, example=example)


def test_answers_of_an_arms_seeds_are_averaged_for_each_patient():
    judged = {
        "whole_seed-0": [answer("a", right=True), answer("b", right=False, example="examples/x.png")],
        "whole_seed-1": [answer("a", right=False), answer("b", right=False)],
        "other": [answer("a", right=True)],
    }
    folders = {name: Path("out") / name for name in judged}
    together = _seeds_together(judged, folders)
    assert list(together) == ["whole", "other"]
    rate = rates_of("whole", together["whole"])[0]
    assert rate.rate == pytest.approx(0.25)
    assert (rate.n_questions, rate.n_patients) == (4, 2)
    assert [one.example for one in together["whole"] if one.example] == ["whole_seed-0/examples/x.png"]


def test_a_single_seed_keeps_its_name():
    judged = {"whole_seed-0": [replace(answer("a", right=True))]}
    assert list(_seeds_together(judged, {"whole_seed-0": Path("out")})) == ["whole_seed-0"]
