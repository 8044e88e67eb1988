"""Words that turn a target's mask: negated, set against another target, or told apart by side, size and signal."""

from __future__ import annotations

import numpy as np

from zeusseg.instruct.attributes import Attributes, phrase
from zeusseg.instruct.knowledge import Known
from zeusseg.instruct.moulds import contrast, denial, finish, sentence
from zeusseg.instruct.rewording import kept, name_of


def negated_text(known: Known, findings: str, rng: np.random.Generator) -> str:
    """An instruction that names a target only to say that it is not wanted, or not there: it asks for nothing."""
    return finish(denial(name_of(known, rng), rng), kept(findings, rng), rng)


def contrast_text(wanted: str, other: str, findings: str, rng: np.random.Generator) -> str:
    """An instruction for one thing, by its name, that also names another, to leave it out."""
    return finish(contrast(wanted, other, rng), kept(findings, rng), rng)


def attribute_text(known: Known, wanted: Attributes, findings: str, rng: np.random.Generator) -> str:
    """An instruction for those pieces of a target that have the attributes."""
    return finish(sentence("name", phrase(name_of(known, rng), wanted, rng), "", rng), kept(findings, rng), rng)
