"""Words as names are compared by: one spelling for each, and those that carry no meaning of their own set apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

SIDES = frozenset({"left", "right"})


@dataclass(frozen=True)
class _Spelling:
    same_word: Mapping[str, str]
    stop_words: frozenset[str]
    finding_words: frozenset[str]


@lru_cache(maxsize=1)
def _data() -> _Spelling:
    import yaml

    text = files("zeusseg.lexicon").joinpath("spelling.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    return _Spelling(data["same_word"], frozenset(data["stop_words"]), frozenset(data["finding_words"]))


@lru_cache(maxsize=16384)
def words_of(text: str) -> tuple[str, ...]:
    """The words of a text in lower case and one spelling: plurals, British forms and adjectives become their noun.

    >>> words_of("Cardiac oedema, LVC & Tumours")
    ('heart', 'edema', 'lvc', 'tumor')
    """
    same_word = _data().same_word
    return tuple(_one_spelling(word, same_word) for word in re.findall(r"[^\W_]+", text.casefold()))


@lru_cache(maxsize=16384)
def content_words(text: str) -> frozenset[str]:
    """The words of a text that carry meaning: stop words and sides left out.

    >>> sorted(content_words("the left Kidneys"))
    ['kidney']
    """
    return frozenset(words_of(text)) - _data().stop_words - SIDES


def finding_words() -> frozenset[str]:
    """Words in which findings tell place, form and modality; there they denote no target."""
    return _data().finding_words


def _one_spelling(word: str, same_word: Mapping[str, str]) -> str:
    if word in same_word:
        return same_word[word]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return same_word.get(word, word)
