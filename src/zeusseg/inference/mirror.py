"""Mirrored patients: what was left is right, in the image and in the words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from zeusseg.case import Target

SIDES: Mapping[str, str] = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
_SIDE = re.compile(r"\b(left|right|Left|Right)\b")


def mirror_words(text: str) -> str:
    """Swap left and right, keeping capitals.

    >>> mirror_words("Left frontal, right of the midline; bright")
    'Right frontal, left of the midline; bright'
    """
    return _SIDE.sub(lambda found: SIDES[found.group()], text)


def sided(targets: Sequence[Target]) -> Target | None:
    """The first target whose words say left or right: mirrored, a patient would have it on the wrong side."""
    return next((t for t in targets if _SIDE.search(" ".join((t.name, *t.synonyms, t.definition)))), None)
