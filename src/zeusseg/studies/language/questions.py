"""What a model is asked of a case in the language test, and what the right answer is."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, get_args

import numpy as np

from zeusseg.case import Case, Mask, Target
from zeusseg.datasets.instances import Instances, find_instances
from zeusseg.instruct.apart import apart_from, is_abnormal
from zeusseg.instruct.attributes import Attributes, is_held_out, phrase
from zeusseg.instruct.finding import Polarity
from zeusseg.instruct.knowledge import terms_of
from zeusseg.lexicon import words_of
from zeusseg.studies.language.wordings import load_wordings, make_gibberish, paraphrases_of, structure_of

_T = TypeVar("_T")

KINDS = (
    "name", "swap", "absent", "gibberish", "empty", "unrelated", "paraphrase", "negation", "contrast", "wrong image",
    "attribute", "right side", "wrong side",
)  # fmt: skip
ABSENT, UNRELATED, NEGATIONS = 6, 3, 3
MOST_CONTRASTS, MOST_ATTRIBUTES = 6, 12


@dataclass(frozen=True)
class Question:
    """One question: what is asked (`text`, word for word what the model is given) and what would be right.

    Right is the mask of `target`; None: an empty mask. `about` is the target that the question plays with: in whose
    place it is asked (swap), which is denied (negation, contrast), is not in the image (wrong image) or lies on the
    other side (wrong side). Of an attribute question, `pieces` are the numbers of the pieces meant (right is their
    union), and `held_out` says whether training leaves that combination of attributes out.
    """

    kind: str
    text: str
    target: str | None = None
    about: str | None = None
    pieces: tuple[int, ...] = ()
    held_out: bool = False


def make_questions(case: Case, targets: Sequence[Target], *, seed: int) -> list[Question]:
    """Everything that is asked of a case. The same seed and case id give the same questions.

    Raises `BadInputError` where the case has no labels.
    """
    masks = {target.name: case.mask(target) for target in targets}
    there = [target for target in targets if masks[target.name].any()]
    instances = {target.name: find_instances(case, target) for target in there}
    asked = [
        *_by_name(targets, masks),
        *(Question("swap", b.name, target=b.name, about=a.name) for a, b in itertools.permutations(there, 2)),
        *_for_nothing(targets, _rng(seed, case, "absent")),
        *(question for target in targets for question in _reworded(target)),
        *_negations(there, _rng(seed, case, "negation")),
        *_contrasts(there, masks, _rng(seed, case, "contrast")),
        *_attributes(there, instances, _rng(seed, case, "attribute")),
        *_sides(there, instances, _rng(seed, case, "right side")),
    ]
    return sorted(asked, key=lambda question: KINDS.index(question.kind))


def _rng(seed: int, case: Case, kind: str) -> np.random.Generator:
    """Every kind draws for itself, so that a change of one leaves the others as they were."""
    return np.random.default_rng([seed, zlib.crc32(case.id.encode()), KINDS.index(kind)])


def _by_name(targets: Sequence[Target], masks: Mapping[str, Mask]) -> list[Question]:
    return [
        Question("name", t.name, target=t.name)
        if masks[t.name].any()
        else Question("wrong image", t.name, about=t.name)
        for t in targets
    ]


def _for_nothing(targets: Sequence[Target], rng: np.random.Generator) -> list[Question]:
    """Texts that denote nothing in the image."""
    reserve, allows = load_wordings(), apart_from(tuple(targets)).allows
    forms = [form for form in reserve.sentence_forms if allows(form.format(x=""))]
    absent = _some([text for text in _not_in_view(targets) if allows(text)], ABSENT, rng)
    taken = frozenset(word for t in targets for name in (t.name, *t.synonyms) for word in words_of(name))
    gibberish = _some(make_gibberish(rng, taken), 3, rng)
    unrelated = _some([text for text in reserve.unrelated if allows(text)], UNRELATED, rng)
    return [
        *(Question("absent", text) for text in _in_sentences(absent, ABSENT // 2, forms, rng)),
        *(Question("gibberish", text) for text in _in_sentences(gibberish, 1, forms, rng)),
        Question("empty", ""),
        *(Question("unrelated", text) for text in unrelated),
    ]


def _not_in_view(targets: Sequence[Target]) -> list[str]:
    """Reserved things of regions that no image of these targets shows: a model that knew better would not be wrong."""
    reserve = load_wordings()
    regions = {region for target in targets for region in [_region_of(target)] if region is not None}
    shown = frozenset[str]().union(*(reserve.in_view.get(region, {region}) for region in regions))
    return [text for region, texts in reserve.absent.items() if region not in shown for text in texts]


def _region_of(target: Target) -> str | None:
    structure = structure_of(target)
    if structure is not None:
        return structure.region
    terms = terms_of(target)
    return terms[0].region if terms else None


def _in_sentences(texts: Sequence[str], count: int, forms: Sequence[str], rng: np.random.Generator) -> list[str]:
    """The first `count` of the texts each in a sentence, the others as they are."""
    sentences = [form.format(x=text) for form, text in zip(_some(forms, count, rng), texts, strict=False)]
    return [*sentences, *texts[len(sentences) :]]


def _reworded(target: Target) -> list[Question]:
    """All paraphrases, and the target's own names in sentences: the same texts in every case, to be averaged over."""
    names = (target.name, *target.synonyms)
    forms = load_wordings().sentence_forms
    sentences = [form.format(x=names[place % len(names)]) for place, form in enumerate(forms)]
    return [Question("paraphrase", text, target=target.name) for text in (*paraphrases_of(target), *sentences)]


def _negations(there: Sequence[Target], rng: np.random.Generator) -> list[Question]:
    if not there:
        return []
    forms = _some(load_wordings().negated_forms, NEGATIONS, rng)
    denied = [there[int(rng.integers(len(there)))].name for _ in forms]
    return [Question("negation", f.format(x=name), about=name) for f, name in zip(forms, denied, strict=True)]


def _contrasts(there: Sequence[Target], masks: Mapping[str, Mask], rng: np.random.Generator) -> list[Question]:
    """One target and not another. Where masks overlap (a lesion and its core) that would ask for neither of them."""
    pairs = [(x.name, y.name) for x, y in itertools.permutations(there, 2)]
    apart = _some([(x, y) for x, y in pairs if not (masks[x] & masks[y]).any()], MOST_CONTRASTS, rng)
    forms = load_wordings().contrast_forms
    texts = [str(rng.choice(forms)).format(x=x, y=y) for x, y in apart]
    return [Question("contrast", text, target=x, about=y) for text, (x, y) in zip(texts, apart, strict=True)]


def _attributes(
    there: Sequence[Target], instances: Mapping[str, Instances], rng: np.random.Generator
) -> list[Question]:
    """Attributes that single out one of several lesions: held-out combinations first, then those that say no more
    than they need, then what was drawn."""
    ranked: list[tuple[bool, bool, float, Question]] = []
    for target in there:
        pieces = instances[target.name]
        if len(pieces.each) < 2 or not is_abnormal(target):
            continue
        for wanted in _combinations(pieces):
            meant = pieces.matching(wanted)
            if meant is None or len(meant) != 1:
                continue
            text, held_out = f"the {phrase(target.name, wanted, rng)}", is_held_out(wanted)
            question = Question("attribute", text, target.name, pieces=meant, held_out=held_out)
            ranked.append((not held_out, not _all_needed(pieces, wanted), float(rng.random()), question))
    return [question for *_, question in sorted(ranked, key=lambda entry: entry[:3])[:MOST_ATTRIBUTES]]


def _combinations(pieces: Instances) -> list[Attributes]:
    """Every set of one to three attributes that could be said of these pieces."""
    polarities: tuple[Polarity, ...] = get_args(Polarity)
    modalities = sorted({modality for piece in pieces.each for modality in piece.signal})
    signals = [None, *((modality, polarity) for modality in modalities for polarity in polarities)]
    return [
        Attributes(side=side, size=size, signal=signal)
        for side in (None, "left", "right")
        for size in (None, "small", "large")
        for signal in signals
        if (side, size, signal) != (None, None, None)
    ]


def _all_needed(pieces: Instances, wanted: Attributes) -> bool:
    """Whether no attribute can be left out without meaning other pieces, too."""
    said = [name for name in ("side", "size", "signal") if getattr(wanted, name) is not None]
    shorter = [replace(wanted, **{name: None}) for name in said] if len(said) > 1 else []
    return all(pieces.matching(less) != pieces.matching(wanted) for less in shorter)


def _sides(
    there: Sequence[Target], instances: Mapping[str, Instances], rng: np.random.Generator
) -> list[Question]:
    """The side of the body on which all of a finding lies, and the other. Organs are on theirs by nature."""
    questions = []
    for target in there:
        sides = {piece.side for piece in instances[target.name].each}
        if not is_abnormal(target) or len(sides) != 1 or None in sides:
            continue
        for side in ("left", "right"):
            text = f"the {phrase(target.name, Attributes(side=side), rng)}"
            questions.append(
                Question("right side", text, target=target.name, about=target.name)
                if side in sides
                else Question("wrong side", text, about=target.name)
            )
    return questions


def _some(choices: Sequence[_T], count: int, rng: np.random.Generator) -> list[_T]:
    """`count` different ones of the choices, or all, in random order."""
    return [choices[int(place)] for place in rng.permutation(len(choices))[:count]]
