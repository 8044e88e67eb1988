"""Every question says what it asks and what is right; here read off hand-made cases."""

from collections import Counter

import numpy as np
import pytest

from zeusseg.case import Case, Target, Volume
from zeusseg.errors import BadInputError
from zeusseg.instruct.apart import apart_from
from zeusseg.lexicon import words_of
from zeusseg.studies.language import questions
from zeusseg.studies.language.questions import KINDS, Question, make_questions
from zeusseg.studies.language.wordings import load_wordings, paraphrases_of

RV = Target("RV", (1,), ("right ventricle",))
MLV = Target("MLV", (2,), ("left ventricular myocardium",))
LVC = Target("LVC", (3,), ("left ventricular cavity",))
HEART = (RV, MLV, LVC)
GLIOMA = Target("lesion", (1, 2), ("glioma", "brain tumor"))
ENHANCING = Target("enhancing tumor", (2,))
NAMES_OF_THE_HEART = {word for t in HEART for name in (t.name, *t.synonyms) for word in words_of(name)}


def case_of(labels: np.ndarray, case_id: str = "c") -> Case:
    """A case with these labels, and an image that shows them as bright spots in a round body."""
    x, y, _ = np.indices(labels.shape)
    middle = (labels.shape[0] - 1) / 2
    body = np.hypot(x - middle, y - middle) < 0.45 * labels.shape[0]
    image = np.where(body, 100.0, 0.0) + 60.0 * labels
    volumes = [Volume.from_file(array, np.diag([2.0, 2.0, 5.0, 1.0])) for array in (image, labels)]
    return Case(case_id, case_id, {"t1": volumes[0]}, volumes[1])


@pytest.fixture
def heart() -> Case:
    """The right ventricle and the myocardium are there, the cavity is not."""
    labels = np.zeros((48, 48, 4), dtype=np.uint8)
    labels[12:18, 20:28, 1:3], labels[28:34, 20:28, 1:3] = 1, 2
    return case_of(labels)


@pytest.fixture
def lesions() -> Case:
    """A large and a small lesion on the left, a small one on the right."""
    labels = np.zeros((48, 48, 4), dtype=np.uint8)
    labels[10:18, 26:34, 0:4] = 1
    labels[12:15, 14:17, 1:3] = 1
    labels[32:35, 20:23, 1:3] = 1
    return case_of(labels)


def of_kind(asked: list[Question], kind: str) -> list[Question]:
    return [question for question in asked if question.kind == kind]


def test_each_target_is_asked_by_its_name_and_nothing_is_right_where_it_is_not_there(heart):
    asked = make_questions(heart, HEART, seed=0)
    assert of_kind(asked, "name") == [Question("name", "RV", "RV"), Question("name", "MLV", "MLV")]
    assert of_kind(asked, "wrong image") == [Question("wrong image", "LVC", None, about="LVC")]


def test_swaps_are_of_targets_that_are_both_there(heart):
    swaps = of_kind(make_questions(heart, HEART, seed=0), "swap")
    assert swaps == [Question("swap", "MLV", "MLV", about="RV"), Question("swap", "RV", "RV", about="MLV")]


def test_every_case_is_asked_for_nothing_thirteen_times(heart):
    asked = make_questions(heart, HEART, seed=0)
    kinds = ("absent", "gibberish", "empty", "unrelated")
    assert [len(of_kind(asked, kind)) for kind in kinds] == [6, 3, 1, 3]
    assert all(q.target is None and q.about is None for kind in kinds for q in of_kind(asked, kind))
    assert of_kind(asked, "empty")[0].text == ""


def test_half_of_the_absent_things_come_in_a_sentence_and_none_is_named_like_a_target(heart):
    plain = {text for texts in load_wordings().absent.values() for text in texts}
    for seed in range(20):
        absent = of_kind(make_questions(heart, HEART, seed=seed), "absent")
        assert sum(question.text in plain for question in absent) == 3
        assert all(any(thing in question.text for thing in plain) for question in absent)
        assert all(apart_from(HEART).allows(question.text) for question in absent)


@pytest.mark.parametrize(
    ("target", "shown", "not_shown"),
    [(RV, ("heart", "chest", "abdomen", "spine"), "limbs"), (GLIOMA, ("brain", "head"), "heart")],
)
def test_nothing_is_asked_in_vain_that_the_image_may_show(heart, target, shown, not_shown):
    absent = load_wordings().absent
    asked = [q.text for s in range(30) for q in of_kind(make_questions(heart, (target,), seed=s), "absent")]
    assert not [thing for region in shown for thing in absent[region] if any(thing in text for text in asked)]
    assert any(thing in text for thing in absent[not_shown] for text in asked)


def test_gibberish_holds_no_word_of_a_target_and_one_of_three_is_in_a_sentence(heart):
    for seed in range(20):
        gibberish = of_kind(make_questions(heart, HEART, seed=seed), "gibberish")
        assert all(NAMES_OF_THE_HEART.isdisjoint(words_of(question.text)) for question in gibberish)
        assert sum(len(question.text.split()) > 2 for question in gibberish) == 1


def test_paraphrases_and_sentences_with_the_names_are_the_same_in_every_case(heart, lesions):
    asked = of_kind(make_questions(heart, HEART, seed=0), "paraphrase")
    assert asked == of_kind(make_questions(lesions, HEART, seed=3), "paraphrase")
    texts = [question.text for question in asked if question.target == "RV"]
    assert texts[:12] == list(paraphrases_of(RV))
    assert texts[12:15] == ["Could you trace the outline of the RV for me?", "Now do the right ventricle",
                            "Set all pixels of the RV to one and everything else to zero"]
    assert Counter(question.target for question in asked) == {"RV": 27, "MLV": 27, "LVC": 27}


def test_a_target_that_the_reserve_does_not_know_is_asked_in_sentences_only(heart):
    asked = of_kind(make_questions(heart, [Target("thingamajig", (1,))], seed=0), "paraphrase")
    assert len(asked) == 15
    assert all("thingamajig" in question.text for question in asked)


def test_negations_deny_what_is_there(heart):
    asked = of_kind(make_questions(heart, HEART, seed=0), "negation")
    assert len({question.text for question in asked}) == 3
    assert all(question.target is None and question.about in ("RV", "MLV") for question in asked)
    assert all(question.about in question.text for question in asked)


def test_contrasts_want_one_target_and_not_another(heart):
    asked = of_kind(make_questions(heart, HEART, seed=0), "contrast")
    assert {(question.target, question.about) for question in asked} == {("RV", "MLV"), ("MLV", "RV")}
    forms = load_wordings().contrast_forms
    assert all(q.text in [form.format(x=q.target, y=q.about) for form in forms] for q in asked)


def test_a_lesion_is_not_contrasted_with_a_part_of_it(lesions):
    lesions.labels.array[12:14, 28:30, 1:3] = 2
    asked = make_questions(lesions, (GLIOMA, ENHANCING), seed=0)
    assert of_kind(asked, "contrast") == []
    assert len(of_kind(asked, "swap")) == 2


def test_attributes_single_out_one_of_several_and_held_out_ones_come_first(lesions):
    asked = of_kind(make_questions(lesions, (GLIOMA,), seed=0), "attribute")
    pieces = questions.find_instances(lesions, GLIOMA)
    number = {(piece.side, piece.size): piece.number for piece in pieces.each}
    assert {question.pieces for question in asked} == {(number[key],) for key in number}
    assert all(question.target == "lesion" for question in asked)
    held_out = [question.held_out for question in asked]
    assert held_out == sorted(held_out, reverse=True)
    assert (asked[0].held_out, asked[0].pieces) == (True, (number["left", "small"],))
    assert len(asked) <= 12


def test_attributes_that_say_no_more_than_they_need_come_before_longer_ones(lesions, monkeypatch):
    monkeypatch.setattr(questions, "is_held_out", lambda wanted: False)
    monkeypatch.setattr(questions, "phrase", lambda name, wanted, rng: f"{wanted.side} {wanted.size} {wanted.signal}")
    asked = of_kind(make_questions(lesions, (GLIOMA,), seed=0), "attribute")
    texts = [question.text.removeprefix("the ") for question in asked]
    # The right lesion by its side alone, the large one by its size alone, the third only by both.
    needed = {"right None None", "None large None", "left small None"}
    assert needed <= set(texts)
    longer = ("right small None", "left large None")
    assert max(map(texts.index, needed)) < min(texts.index(text) for text in longer)


def test_one_piece_alone_asks_for_no_attribute(heart):
    assert of_kind(make_questions(heart, HEART, seed=0), "attribute") == []


def test_a_finding_on_one_side_is_asked_for_on_the_right_and_on_the_wrong_side(lesions):
    lesions.labels.array[24:] = 0
    asked = make_questions(lesions, (GLIOMA,), seed=0)
    (right,), (wrong,) = of_kind(asked, "right side"), of_kind(asked, "wrong side")
    assert (right.target, wrong.target, wrong.about) == ("lesion", None, "lesion")
    assert "left" in right.text
    assert "right" in wrong.text


def test_no_side_is_asked_for_in_a_picture(lesions):
    labels = lesions.labels.array[:, :, 1:2].copy()
    labels[24:] = 0
    picture, marked = (Volume.from_file(array, np.eye(4), "picture") for array in (labels * 60.0 + 50, labels))
    asked = make_questions(Case("c", "c", {"us": picture}, marked), (GLIOMA,), seed=0)
    assert of_kind(asked, "right side") == of_kind(asked, "wrong side") == []


def test_findings_on_both_sides_and_organs_are_not_contradicted(lesions, heart):
    for case, targets in ((lesions, (GLIOMA,)), (heart, HEART)):
        asked = make_questions(case, targets, seed=0)
        assert of_kind(asked, "right side") == of_kind(asked, "wrong side") == []


def test_the_same_seed_and_case_ask_the_same_and_others_differ(heart):
    again, other_seed = (make_questions(heart, HEART, seed=seed) for seed in (0, 1))
    assert make_questions(heart, HEART, seed=0) == again
    other_case = make_questions(case_of(heart.labels.array, "d"), HEART, seed=0)
    for other in (other_seed, other_case):
        assert {q.text for q in of_kind(other, "absent")} != {q.text for q in of_kind(again, "absent")}


def test_questions_come_in_the_order_of_the_kinds(lesions):
    places = [KINDS.index(question.kind) for question in make_questions(lesions, (GLIOMA,), seed=0)]
    assert places == sorted(places)


def test_a_case_without_labels_is_refused(heart):
    with pytest.raises(BadInputError, match="no labels"):
        make_questions(heart.without_labels(), HEART, seed=0)
