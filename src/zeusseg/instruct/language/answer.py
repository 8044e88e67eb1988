"""What a model answers, and how its text is taken out of it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from zeusseg.errors import BadInputError

# How long an answer may be. Two or three sentences of JSON need a hundred; models that think first need the rest.
MOST_TOKENS = 2048
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_REFUSAL = re.compile(
    r"(i['\u2019]?m sorry|i am sorry|sorry|i can['\u2019]?t|i cannot|i['\u2019]?m unable|as an ai)\b", re.IGNORECASE
)
_FENCE = re.compile(r"^```[a-z]*\s*|\s*```$", re.IGNORECASE)


class UnusableAnswerError(BadInputError):
    """A model answered, but not with anything that can be used. The text says why, `answer` what it cost."""

    def __init__(self, problem: str, answer: Answer | None = None):
        super().__init__(problem)
        self.answer = answer


class TooManyPicturesError(BadInputError):
    """A model cannot be shown several pictures in one question. Each may be asked about on its own."""


@dataclass(frozen=True)
class Request:
    """One question to a model: a text, pictures (PNG), and the JSON field that its answer is expected in."""

    text: str
    field: str
    pictures: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What came back, as it was said, and what it cost. Token counts are 0 where nobody counted."""

    text: str
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    calls: int = 1


def field_of(text: str, field: str, *, plain: bool) -> str:
    """The field of a JSON answer, or with `plain` also a text that is no JSON at all.

    Fences around the JSON and words before and after it are passed over. Raises `UnusableAnswerError` where there is
    nothing, no such field, or something other than text in it.

    >>> field_of('Sure! {"finding": "A bright area."}', "finding", plain=False)
    'A bright area.'
    """
    bare = _FENCE.sub("", _THOUGHT.sub("", text).strip()).strip()
    if not bare:
        raise UnusableAnswerError("the answer is empty")
    if "<think>" in bare:
        raise UnusableAnswerError("the answer ends before the model has done thinking")
    objects = _objects(bare)
    if not objects:
        if _REFUSAL.match(bare):
            raise UnusableAnswerError(f"the model refused: {_shown(bare)}")
        if plain and "{" not in bare:
            return _clean(bare)
        raise UnusableAnswerError(f"the answer is no JSON object: {_shown(bare)}")
    # The last one counts: models repeat the question's example before they answer.
    values = [found[field] for found in objects if isinstance(found.get(field), str)]
    value = _clean(str(values[-1])) if values else ""
    if not value or (value.startswith("<") and value.endswith(">")):
        raise UnusableAnswerError(f"the answer has no text in the field {field!r}: {_shown(bare)}")
    return value


def repair(request: Request, answer: str, problem: str) -> Request:
    """The same question again, with what was wrong with the first answer."""
    return Request(
        f"{request.text}\n\nYour last answer could not be used ({problem}). It began: {_shown(answer)}\n"
        f'Answer again, with nothing but {{"{request.field}": "..."}}.',
        request.field,
        request.pictures,
    )


def _objects(text: str) -> list[dict[str, object]]:
    """Every JSON object in a text, one after the other."""
    decoder = json.JSONDecoder(strict=False)
    found, end = [], 0
    for start in (place.start() for place in re.finditer(r"\{", text)):
        if start < end:
            continue
        try:
            value, end = decoder.raw_decode(text, start)
        except ValueError:
            continue
        found.append(value)
    return found


def _clean(text: str) -> str:
    """One line, without what UTF-8 cannot hold (JSON may say half of a character)."""
    return " ".join(text.encode("utf-8", "replace").decode().split())


def brief(said: object, most: int = 160) -> str:
    """What somebody said, on one line, cut after so many characters.

    >>> brief("one\\n two three", 11)
    'one two ...'
    """
    flat = " ".join(str(said).split())
    return flat if len(flat) <= most else flat[: most - 3] + "..."


def _shown(text: str) -> str:
    return repr(brief(text, 80))
