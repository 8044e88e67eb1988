"""Right and wrong of every kind of question, on masks of a few voxels."""

import json

import numpy as np
import pytest

from zeusseg.case import Case, Target, Volume
from zeusseg.studies.language.judge import Judged, judge, right_mask
from zeusseg.studies.language.models import Answer
from zeusseg.studies.language.questions import Question

TARGETS = (Target("a", (1,)), Target("b", (2,)), Target("gone", (3,)))
# One row of voxels along x on the first of four slices: a, then b.
A, B = slice(0, 10), slice(10, 20)


@pytest.fixture
def case() -> Case:
    labels = np.zeros((40, 1, 4), np.uint8)
    labels[A, 0, 0], labels[B, 0, 0] = 1, 2
    volume = Volume.from_file(labels, np.diag([1.0, 1.0, 5.0, 1.0]))
    return Case("c", "p", {"t1": volume}, volume)


def marked(*parts: slice | tuple[slice, int]) -> Answer:
    """A mask of these parts of the row, on the first slice where none is named."""
    mask = np.zeros((40, 1, 4), bool)
    for part in parts:
        x, z = part if isinstance(part, tuple) else (part, 0)
        mask[x, 0, z] = True
    return Answer(mask)


def ask(case, question, answer, by_name=None, pieces=None) -> Judged:
    """Judge one question; `by_name` is what the model answers to the name of a."""
    questions = [Question("name", "a", "a"), question]
    return judge(case, TARGETS, questions, [by_name or marked(A), answer], pieces or {})[1]


# 0.952 of Dice is lost by one voxel too many; 5 of 10 voxels have a Dice of 0.667.
NOTHING, ALL, HALF, OTHER = marked(), marked(A), marked(slice(0, 5)), marked(B)


@pytest.mark.parametrize(
    ("question", "answer", "right"),
    [
        (Question("name", "a", "a"), ALL, True),
        (Question("name", "a", "a"), marked(slice(0, 4)), True),  # Dice 8/14
        (Question("name", "a", "a"), marked(slice(0, 3)), False),  # Dice 6/13
        (Question("swap", "b", "b", about="a"), OTHER, True),
        (Question("swap", "b", "b", about="a"), ALL, False),
        (Question("swap", "b", "b", about="a"), marked(A, B), False),
        (Question("swap", "b", "b", about="a"), NOTHING, False),
        (Question("absent", "liver"), NOTHING, True),
        (Question("absent", "liver"), marked((slice(0, 1), 3)), False),
        (Question("empty", ""), NOTHING, True),
        (Question("negation", "no a", about="a"), ALL, False),
        (Question("wrong image", "gone", about="gone"), NOTHING, True),
        (Question("wrong image", "gone", about="gone"), ALL, False),
        (Question("paraphrase", "the a", "a"), ALL, True),
        (Question("paraphrase", "the a", "a"), marked(slice(0, 11)), True),  # Dice 20/21, less by 0.048
        (Question("paraphrase", "the a", "a"), marked(slice(0, 12)), False),  # Dice 20/22, less by 0.091
        (Question("paraphrase", "the gone", "gone"), NOTHING, True),
        (Question("paraphrase", "the gone", "gone"), ALL, False),
        (Question("contrast", "a, not b", "a", about="b"), ALL, True),
        (Question("contrast", "a, not b", "a", about="b"), HALF, False),
        (Question("right side", "a on the left", "a"), ALL, True),
        (Question("right side", "a on the left", "a"), NOTHING, False),
        (Question("wrong side", "a on the right", about="a"), NOTHING, True),
        (Question("wrong side", "a on the right", about="a"), ALL, False),
    ],
)
def test_right_is_what_the_kind_asks_for(case, question, answer, right):
    assert ask(case, question, answer).right is right


def test_a_paraphrase_is_held_against_the_name_in_the_same_case(case):
    assert ask(case, Question("paraphrase", "the a", "a"), HALF, by_name=HALF).right
    assert not ask(case, Question("paraphrase", "the a", "a"), HALF, by_name=ALL).right


def test_a_contrast_must_not_fit_the_other_target_better(case):
    # As good as by name, which is no mask of a at all.
    assert not ask(case, Question("contrast", "a, not b", "a", about="b"), OTHER, by_name=OTHER).right


@pytest.mark.parametrize(
    ("answer", "dice", "right"),
    [
        (marked(slice(0, 6)), 1.0, True),
        (marked(slice(0, 2)), 0.5, True),
        (marked(slice(0, 1)), 0.2857, False),  # of that piece, but 2/7 of it
        (marked(A), 0.75, True),  # 12/16 with the one that is meant, 8/14 with the other
        (marked(slice(6, 10)), 0.0, False),
        (NOTHING, 0.0, False),
    ],
)
def test_an_attribute_has_to_single_out_its_piece(case, answer, dice, right):
    pieces = {"a": {1: marked(slice(0, 6)).mask, 2: marked(slice(6, 10)).mask}}
    judged = ask(case, Question("attribute", "the larger a", "a", pieces=(1,)), answer, pieces=pieces)
    assert (judged.dice, judged.right) == (dice, right)


def test_dice_is_told_with_the_right_mask_and_with_every_target_that_is_there(case):
    judged = ask(case, Question("swap", "b", "b", about="a"), marked(slice(5, 15)))
    assert (judged.dice, dict(judged.dice_of), judged.voxels) == (0.5, {"a": 0.5, "b": 0.5}, 10)
    assert ask(case, Question("absent", "liver"), ALL).dice is None


def test_slices_without_the_target_are_counted_for_names(case):
    name, other = judge(
        case, TARGETS, [Question("name", "a", "a"), Question("paraphrase", "the a", "a")],
        [marked(A, (A, 1), (A, 3)), ALL], {},
    )  # fmt: skip
    # The target is on slice 0: of 1, 2 and 3 two are marked; of 2 and 3, which are clear of it, one.
    assert vars(name.slices) == {"empty": 3, "marked": 2, "clear": 2, "clear_marked": 1}
    assert other.slices is None


def test_a_picture_has_no_slices_to_count():
    volume = Volume.from_file(np.ones((4, 4, 1), np.uint8), np.eye(4))
    (judged,) = judge(
        Case("c", "p", {"t1": volume}, volume), TARGETS, [Question("name", "a", "a")], [Answer(volume.array > 0)], {}
    )
    assert judged.right
    assert judged.slices is None


def test_the_right_mask_is_that_of_the_target_or_of_its_pieces(case):
    pieces = {"a": {1: marked(slice(0, 6)).mask, 2: marked(slice(6, 10)).mask}}
    asked = {
        Question("name", "a", "a"): ALL, Question("absent", "liver"): NOTHING,
        Question("attribute", "the small a", "a", pieces=(2,)): marked(slice(6, 10)),
    }  # fmt: skip
    for question, expected in asked.items():
        assert np.array_equal(right_mask(case, TARGETS, question, pieces), expected.mask)


def test_a_line_of_the_file_gives_the_answer_back(case):
    answer = Answer(ALL.mask, presence=0.25, conflicts=("it lies on the right",))
    for question in (Question("name", "a", "a"), Question("attribute", "small a", "a", None, (1, 2), True)):
        pieces = {"a": {1: ALL.mask, 2: OTHER.mask}}
        judged = judge(case, TARGETS, [question], [answer], pieces)[0]
        line = json.loads(json.dumps(judged.to_json()))
        assert Judged.from_json(line) == judged
        assert {"case", "patient", "kind", "text", "target", "dice_of", "conflicts", "right"} <= set(line)
