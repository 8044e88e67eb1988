"""What is taken out of an answer, and what is not."""

import pytest

from zeusseg.instruct.language.answer import Request, UnusableAnswerError, field_of, repair


@pytest.mark.parametrize(
    "answer",
    [
        '{"finding": "A bright area."}',
        '```json\n{"finding": "A bright area."}\n```',
        'Sure, here it is: {"finding": "A bright area.", "certainty": 0.9} I hope that helps.',
        '{"finding": "A bright\n area."}',
        'I think {that} is it: {"finding": "A bright area."}',
        '<think>I answer {"finding": "<two sentences>"}.</think>{"finding": "A bright area."}',
        'You want {"finding": "<two sentences>"}, so: {"finding": "A bright area."}',
    ],
)
def test_json_is_found_wherever_it_stands(answer):
    assert field_of(answer, "finding", plain=False) == "A bright area."


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("", "is empty"),
        ("``` ```", "is empty"),
        ("A bright area.", "no JSON object"),
        ('{"finding": "A bright', "no JSON object"),
        ('{"text": "A bright area."}', "no text in the field 'finding'"),
        ('{"finding": ["a", "b"]}', "no text in the field 'finding'"),
        ('{"finding": "  "}', "no text in the field 'finding'"),
        ('{"finding": "<two or three short sentences>"}', "no text in the field 'finding'"),
        ('<think>I would say {"finding": "A bri', "done thinking"),
    ],
)
def test_anything_else_is_unusable_and_said_why(answer, problem):
    with pytest.raises(UnusableAnswerError, match=problem):
        field_of(answer, "finding", plain=False)


def test_plain_text_is_taken_where_that_is_allowed_but_broken_json_never_is():
    assert field_of("A bright  area.\n", "finding", plain=True) == "A bright area."
    for broken in ('{"finding": "A bright', '{"text": "A bright area."}', ""):
        with pytest.raises(UnusableAnswerError):
            field_of(broken, "finding", plain=True)


@pytest.mark.parametrize("refusal", ["I'm sorry, but I can't assist with that.", "As an AI, I see no images."])
def test_a_refusal_is_no_finding_even_in_plain_text(refusal):
    with pytest.raises(UnusableAnswerError, match="refused"):
        field_of(refusal, "finding", plain=True)


def test_half_a_character_does_not_get_into_files():
    assert field_of('{"finding": "bright \\ud83d spot"}', "finding", plain=False) == "bright ? spot"


def test_a_repair_says_what_was_wrong_and_shows_the_pictures_again():
    again = repair(Request("What do you see?", "finding", (b"png",)), "Well, " * 50, "the answer is no JSON object")
    assert again.text.startswith("What do you see?")
    assert "no JSON object" in again.text
    assert len(again.text) < 400
    assert (again.field, again.pictures) == ("finding", (b"png",))
