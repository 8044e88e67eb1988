"""Words for side, size and signal: they say what is wanted, in many ways, and can be mirrored."""

import re
from itertools import product

import numpy as np
import pytest

from zeusseg.inference.mirror import mirror_words
from zeusseg.instruct.attributes import HELD_OUT, Attributes, is_held_out, phrase
from zeusseg.lexicon import Lexicon, Term

NOTHING = Lexicon(())
ENHANCES = re.compile(
    r"(enhanc|takes? up contrast|contrast uptake|uptake of contrast|contrast-avid|lights up|bright|hyper)"
)
NOT = re.compile(r"\b(non-?|not |no |without |dark|hypo)")


def phrases(wanted: Attributes, count: int = 400, name: str = "lesion", lexicon: Lexicon = NOTHING) -> list[str]:
    rng = np.random.default_rng(0)
    return [phrase(name, wanted, rng, lexicon) for _ in range(count)]


ANY = [
    Attributes(side, size, signal)
    for side, size, signal in product(
        (None, "left", "right"),
        (None, "small", "large"),
        (
            None,
            ("t1ce", "bright"),
            ("flair", "dark"),
            ("ct", "bright"),
            ("us", "dark"),
            ("rgb", "dark"),
            ("xa", "bright"),
        ),
    )
]


@pytest.mark.parametrize("wanted", ANY, ids=str)
def test_a_phrase_names_the_target_once_and_can_stand_behind_the(wanted: Attributes) -> None:
    for text in phrases(wanted, 60):
        assert len(re.findall(r"\blesion\b", text)) == 1
        assert not re.search(r"^(the|an?) |^\W|\s$|  |[{}:]|[,.]$|\( | \)", text), text


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Attributes(side="left"), r"\bleft\b"),
        (Attributes(size="small"), r"\b(small|smaller|little|tiny)\b"),
        (Attributes(size="large"), r"\b(large|larger|big|bigger|great)\b"),
        (Attributes(signal=("flair", "bright")), r"FLAIR.*(bright|hyper|high)|(bright|hyper|high).*FLAIR"),
        (Attributes(signal=("flair", "dark")), r"FLAIR.*(dark|hypo|low)|(dark|hypo|low).*FLAIR"),
        (Attributes(signal=("ct", "bright")), r"\b(hyper|(?<!less )dense|bright|high)|CT-bright"),
        (Attributes(signal=("ct", "dark")), r"\b(hypo|less dense|dark|low)|CT-dark"),
        (Attributes(signal=("us", "dark")), r"\b(hypoechoic|echo-poor|poor in echoes|dark on ultrasound|low)"),
        (Attributes(signal=("t2w", "bright")), r"\bT2\b"),
        (Attributes(signal=("xa", "dark")), r"\bXA\b.*dark|dark.*\bXA\b"),
    ],
    ids=str,
)
def test_every_phrase_says_what_is_wanted(wanted: Attributes, said: str) -> None:
    assert [text for text in phrases(wanted) if not re.search(said, text)] == []


def test_bright_after_contrast_is_said_as_enhancing_and_dark_as_not_enhancing() -> None:
    bright, dark = (phrases(Attributes(signal=("t1ce", polarity))) for polarity in ("bright", "dark"))
    assert [text for text in bright if not ENHANCES.search(text) or NOT.search(text)] == []
    assert [text for text in dark if not NOT.search(text)] == []
    assert "enhancing lesion" in bright
    assert "lesion that takes up contrast" in bright
    assert "lesion that does not enhance" in dark


def test_one_polarity_is_never_said_in_the_words_of_the_other() -> None:
    for modality, of_bright, of_dark in (
        ("flair", "bright|hyper|high", "dark|hypo|low"),
        ("us", "bright|hyper|high|rich|echogenic ", "dark|hypo|low|poor"),
        ("rgb", "bright|pale|light", "dark"),
    ):
        for text in phrases(Attributes(signal=(modality, "bright"))):
            assert not re.search(of_dark, text)
        for text in phrases(Attributes(signal=(modality, "dark"))):
            assert not re.search(of_bright, text)


def test_attributes_stand_before_and_after_the_name_in_many_wordings() -> None:
    texts = set(phrases(Attributes("left", "small", ("t1ce", "bright")), 1000))
    assert len(texts) > 500
    assert any(text.startswith("lesion") for text in texts)
    assert any(text.endswith("lesion") for text in texts)
    sided = set(phrases(Attributes(side="left"), 1000))
    assert {
        "left lesion",
        "lesion on the left",
        "left-sided lesion",
        "lesion on the patient's left",
        "lesion (left)",
    } < sided


@pytest.mark.parametrize("wanted", [a for a in ANY if a.side == "left"], ids=str)
def test_mirrored_words_are_those_of_the_other_side(wanted: Attributes) -> None:
    other = Attributes("right", wanted.size, wanted.signal)
    assert [mirror_words(text) for text in phrases(wanted, 100)] == phrases(other, 100)


def test_the_same_generator_gives_the_same_phrase_and_nothing_wanted_the_name() -> None:
    wanted = Attributes("left", "large")
    assert phrases(wanted, 20) == phrases(wanted, 20)
    assert set(phrases(Attributes(), 5, name="RV")) == {"RV"}


def test_of_a_plural_nothing_is_said_in_the_singular() -> None:
    texts = phrases(Attributes("left", "small", ("flair", "dark")), name="ventricles")
    assert not any(re.search(r"\b(that|which|is|has)\b", text) for text in texts)


def test_no_wording_turns_the_name_into_another_term() -> None:
    lexicon = Lexicon((Term("small bowel", "abdomen"), Term("enhancing tumor", "brain"), Term("tumor", "brain")))
    bowel = phrases(Attributes(size="small"), name="bowel", lexicon=lexicon)
    assert not any("small bowel" in text for text in bowel)
    assert "smaller bowel" in bowel
    tumor = phrases(Attributes(signal=("t1ce", "bright")), name="tumor", lexicon=lexicon)
    assert not any(re.search(r"\benhancing tumor", text) for text in tumor)
    assert "tumor that enhances" in tumor
    # A term that the name itself holds is no other one.
    assert "large small bowel" in phrases(Attributes(size="large"), name="small bowel", lexicon=lexicon)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Attributes("left", "small"), True),
        (Attributes("left", "small", ("flair", "bright")), True),
        (Attributes("right", None, ("t1ce", "bright")), True),
        (Attributes("right", "large", ("t1c", "bright")), True),
        (Attributes("left", "large"), False),
        (Attributes("right", "small"), False),
        (Attributes("left"), False),
        (Attributes(size="small"), False),
        (Attributes("left", None, ("t1ce", "bright")), False),
        (Attributes("right", None, ("t1ce", "dark")), False),
        (Attributes("right", None, ("t1", "bright")), False),
        (Attributes(), False),
    ],
    ids=str,
)
def test_a_combination_is_held_out_with_whatever_else_is_said(wanted: Attributes, expected: bool) -> None:
    assert is_held_out(wanted) == expected


def test_each_part_of_a_held_out_combination_is_left_to_training() -> None:
    for combination in HELD_OUT:
        for part in ("side", "size", "signal"):
            if getattr(combination, part) is not None:
                assert not is_held_out(Attributes(**{part: getattr(combination, part)}))
