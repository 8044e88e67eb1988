"""What a model answers, and how its text is taken out of it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from zeusseg.errors import BadInputError

_FENCE = re.compile(r"^```[a-z]*\s*|\s*```$", re.IGNORECASE)


class UnusableAnswerError(BadInputError):
    """A model answered, but not with anything that can be used. The text says why."""


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
    bare = _FENCE.sub("", text.strip()).strip()
    if not bare:
        raise UnusableAnswerError("the answer is empty")
    found = _first_object(bare)
    if found is None:
        if plain and "{" not in bare:
            return " ".join(bare.split())
        raise UnusableAnswerError(f"the answer is no JSON object: {_shown(bare)}")
    value = found.get(field)
    if not isinstance(value, str) or not value.strip():
        raise UnusableAnswerError(f"the answer has no text in the field {field!r}: {_shown(bare)}")
    return " ".join(value.split())


def repair(request: Request, answer: str, problem: str) -> Request:
    """The same question again, with what was wrong with the first answer."""
    return Request(
        f"{request.text}\n\nYour last answer could not be used ({problem}). It began: {_shown(answer)}\n"
        f'Answer again, with nothing but {{"{request.field}": "..."}}.',
        request.field,
        request.pictures,
    )


def _first_object(text: str) -> dict[str, object] | None:
    decoder = json.JSONDecoder(strict=False)
    for start in (place.start() for place in re.finditer(r"\{", text)):
        try:
            value, _ = decoder.raw_decode(text, start)
        except ValueError:
            continue
        if isinstance(value, dict):
            return value
    return None


def _shown(text: str) -> str:
    flat = " ".join(text.split())
    return repr(flat if len(flat) <= 80 else flat[:77] + "...")
