"""Words as the compact text encoder counts them."""

from __future__ import annotations

import re

MAX_WORDS = 80
_WORD = re.compile(r"[^\W_]+(?:\.\d+)?")


def words_of(text: str) -> list[str]:
    """Lower-case words of a text, without punctuation.

    >>> words_of("Right ventricle: about 3.5 cm (T2-bright)")
    ['right', 'ventricle', 'about', '3.5', 'cm', 't2', 'bright']
    """
    return _WORD.findall(text.lower())
