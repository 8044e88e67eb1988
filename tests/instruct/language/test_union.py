"""What every union keeps, whoever made it: the target, which modality said what, and contradictions."""

import pytest

from zeusseg.case import Target
from zeusseg.instruct.finding import Finding
from zeusseg.instruct.language.union import contradictions, shortened, side_by_side, united
from zeusseg.wording import MAX_WORDS, words_of

LESION = Target("lesion", (1,), definition="An area that should not be there.")


def findings(**texts):
    return {modality: Finding(modality, text) for modality, text in texts.items()}


AGREED = findings(flair="A bright area on the left.", t1="A dark area on the left.")
AGAINST = findings(flair="A bright area on the left.", t1="A dark area on the right.")


def test_by_rule_contradictions_are_marked_and_not_averaged():
    assert side_by_side(AGAINST, LESION) == (
        "Segment the lesion: An area that should not be there. FLAIR: A bright area on the left. "
        "T1: A dark area on the right. FLAIR says left but T1 says right."
    )
    assert "but" not in side_by_side(AGREED, LESION)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("The lesion is bright on FLAIR, in the middle.",
         "The lesion is bright on FLAIR, in the middle. FLAIR says left but T1 says right."),
        # Told already.
        ("The lesion is on the left on FLAIR, but on the right on T1.",
         "The lesion is on the left on FLAIR, but on the right on T1."),
        # It names neither the target nor a modality.
        ("A bright area.",
         "Segment the lesion. A bright area. FLAIR: A bright area on the left. T1: A dark area on the right. "
         "FLAIR says left but T1 says right."),
    ],
)  # fmt: skip
def test_what_a_model_lost_is_put_back(answer, text):
    assert united(answer, AGAINST, LESION) == text


def test_what_a_model_kept_stays_as_it_is():
    answer = "Outline the lesion: bright on FLAIR and dark on T1, both on the left."
    assert united(answer, AGREED, LESION) == answer
    assert united("The lesion.", findings(flair="A bright area."), LESION) == "The lesion."


@pytest.mark.parametrize("repeats", [1, 8, 40])
def test_it_fits_the_text_encoder_and_loses_no_contradiction(repeats):
    text = united("The lesion is bright and lies in the middle of it all. " * repeats, AGAINST, LESION)
    assert len(words_of(text)) <= MAX_WORDS
    assert text.endswith("FLAIR says left but T1 says right.")
    assert "T1: A dark area on the right." in text


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ({"flair": "A lesion, anterior.", "t1": "A lesion, posterior."}, "FLAIR says anterior but T1 says posterior."),
        ({"flair": "A lesion, upper part.", "t2": "A lesion, inferior."}, "FLAIR says superior but T2 says inferior."),
        ({"flair": "Lesions on the left. Lesions on the right.", "t1": "A lesion on the left."}, ""),
        ({"flair": "A lesion on the left.", "t1": "No lesion on the right."}, ""),
        ({"flair": "A lesion on the left.", "t1": "Nothing stands out."}, ""),  # not every sequence shows everything
        ({}, ""),
    ],
)
def test_contradictions_are_of_place(texts, sentence):
    assert contradictions(findings(**texts)) == sentence


def test_long_texts_end_with_a_sentence():
    assert shortened("One two three. Four five six. Seven.", 6) == "One two three. Four five six."
    assert shortened("One two three four.", 2) == "One two"
