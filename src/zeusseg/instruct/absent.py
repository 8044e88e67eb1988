"""Words for what is not there: other structures, letters without meaning, sentences about something else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zeusseg.case import Target
from zeusseg.instruct.apart import Apart, apart_from
from zeusseg.instruct.finding import FindingAttributes, Outlier
from zeusseg.instruct.moulds import finish, moulds, pick, sentence, shortened, some_phrases
from zeusseg.instruct.phrases import state
from zeusseg.instruct.rewording import FINDINGS_KEPT, KINDS, findings_of, split_findings
from zeusseg.instruct.signals import signal_of
from zeusseg.lexicon import Lexicon, Term

# Texts for what is absent carry findings as often as reworded ones do, all in all.
FINDINGS_WHEN_ABSENT = KINDS["as written"] + (1 - KINDS["as written"]) * FINDINGS_KEPT
# Kinds of absent text and their shares.
ABSENT_KINDS = {
    "name": 0.22, "description": 0.16, "definition": 0.12, "gibberish": 0.20, "unrelated": 0.15,
    "name and definition": 0.15,
}
_KEYBOARD_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890")
_CONSONANTS, _VOWELS = "bcdfghjklmnprstvwz", "aeiou"


def absent_text(
    targets: Sequence[Target], rng: np.random.Generator, text: str | None = None, lexicon: Lexicon | None = None
) -> str:
    """An instruction for something that is none of `targets` and shares no content word with their names.

    It is another structure or finding by name, description or definition, letters without meaning, or a sentence
    about something else altogether. `text` is an instruction of the same case: its findings follow as often as
    `reword` keeps them (sentences that name a target left out). Without `text`, findings are made up; a text that
    holds none gets none.
    """
    apart = apart_from(targets, lexicon)
    kind = str(rng.choice(list(ABSENT_KINDS), p=list(ABSENT_KINDS.values())))
    findings = _made_up_findings(rng) if text is None else findings_of(text)
    findings = " ".join(part for part in split_findings(findings) if apart.allows_finding(part))
    if kind == "unrelated":
        said = " ".join(_unrelated(apart, rng) for _ in range(rng.integers(1, 4)))
    elif kind == "gibberish":
        said = gibberish(apart, rng)
        if rng.random() < 0.5:
            said = sentence("name", said, "", rng)
    else:
        said = _absent_term(kind, apart, rng)
    return finish(said, findings if rng.random() < FINDINGS_WHEN_ABSENT else "", rng)


def absent_name(targets: Sequence[Target], rng: np.random.Generator, lexicon: Lexicon | None = None) -> str:
    """A name of a structure or finding that is none of `targets` and shares no content word with their names."""
    apart = apart_from(targets, lexicon)
    return _name_of(pick(apart.terms, rng), apart, rng)


def _name_of(term: Term, apart: Apart, rng: np.random.Generator) -> str:
    names = apart.names[term.name]
    return names[0] if rng.random() < 0.5 else pick(names, rng)


def _absent_term(kind: str, apart: Apart, rng: np.random.Generator) -> str:
    term = pick(apart.terms, rng)
    definition = some_phrases(apart.phrases[term.name], rng)
    name = _name_of(term, apart, rng)
    if kind == "description" and apart.descriptions[term.name]:
        name = pick(apart.descriptions[term.name], rng)
    return sentence(kind, name, definition if kind == "definition" else shortened(definition, rng), rng)


def gibberish(apart: Apart, rng: np.random.Generator) -> str:
    """One to four words of random letters or of neighbouring keys."""
    while True:
        text = " ".join(_letters(rng) for _ in range(rng.integers(1, 5)))
        if apart.allows(text):
            return text


def _letters(rng: np.random.Generator) -> str:
    length, kind = int(rng.integers(3, 10)), rng.random()
    if kind < 0.4:
        return "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), size=length))
    if kind < 0.6:
        return "".join(pick(_CONSONANTS, rng) + pick(_VOWELS, rng) for _ in range(rng.integers(2, 5)))
    row = str(rng.choice(_KEYBOARD_ROWS, p=[0.3, 0.4, 0.25, 0.05]))
    start = int(rng.integers(0, len(row) - 3))
    keys = row[start : start + int(rng.integers(2, 6))]
    return (keys * length)[:length] if rng.random() < 0.5 else "".join(rng.choice(list(keys), size=length))


def _unrelated(apart: Apart, rng: np.random.Generator) -> str:
    """A sentence about weather, cooking, travel and the like."""
    while True:
        said = pick(moulds()["unrelated_sentences"], rng)
        if rng.random() < 0.6:
            parts = {key: pick(values, rng) for key, values in moulds()["unrelated_parts"].items()}
            for doubled in ("where", "ingredient"):
                others = [value for value in moulds()["unrelated_parts"][doubled] if value != parts[doubled]]
                parts[f"{doubled}2"] = pick(others, rng)
            said = pick(moulds()["unrelated_patterns"], rng).format(**parts)
            said = said[:1].upper() + said[1:]
        if apart.allows(said):
            return said


def _made_up_findings(rng: np.random.Generator) -> str:
    """Findings of one to three modalities that could be anyone's, said as the writer `measured` says them."""
    known = ["flair", "t1", "t2", "t1ce", "ct", "us", "mri"]
    modalities = rng.choice(known, size=int(rng.integers(1, 4)), replace=False)
    attributes = (
        FindingAttributes(
            outliers=tuple(_made_up_outlier(rng) for _ in range(rng.integers(0, 3))),
            asymmetry=pick((None, 0.2, 0.8), rng),
            foreground_share=0.4,
            frame=pick(("body", "crop", "picture"), rng),
            spacing_known=bool(rng.random() < 0.5),
        )
        for _ in modalities
    )
    return " ".join(f"{signal_of(m).name}: {state(a, m)}" for m, a in zip(modalities.tolist(), attributes, strict=True))


def _made_up_outlier(rng: np.random.Generator) -> Outlier:
    diameter = float(rng.uniform(5, 60))
    return Outlier(
        polarity=pick(("bright", "dark"), rng),
        side=pick(("left", "right", "midline"), rng),
        anterior_posterior=pick(("anterior", "middle", "posterior"), rng),
        superior_inferior=pick(("superior", "middle", "inferior"), rng),
        voxels=int(diameter**3 / 2),
        volume_ml=diameter**3 / 2000,
        diameter=diameter,
        in_plane=diameter,
        share=float(rng.uniform(0.001, 0.2)),
        roundness=float(rng.uniform(0.4, 1)),
        border=pick(("sharp", "ill-defined"), rng),
        texture=pick(("homogeneous", "heterogeneous", "ring"), rng),
        contrast=5.0,
        centre=(0.0, 0.0, 0.0),
    )


