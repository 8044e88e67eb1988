"""What the text encoder learns from the lexicon alone: wordings of one thing belong together, whatever the sentence.

Contrastive learning over terms and definitions, as SAT does with its knowledge tree (Zhao et al. 2025), with all
wordings of a term in a batch as each other's positives (Khosla et al. 2020, equation 2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from zeusseg.case import Target
from zeusseg.instruct.absent import absent_text
from zeusseg.instruct.attributes import Attributes, Side, Size, phrase
from zeusseg.instruct.finding import Polarity
from zeusseg.instruct.knowledge import Known, known_targets, phrases_of
from zeusseg.instruct.moulds import contrast, denial, finish, pick, sentence, some_phrases
from zeusseg.lexicon import Lexicon, Term, shipped_lexicon
from zeusseg.models.text import TextTokens
from zeusseg.work import track

TEMPERATURE = 0.1
VIEWS = 2
# Terms of a batch, beside the targets, which are in every one; and texts that mean none of them.
TERMS, NONSENSE = 24, 6
KINDS = {"name": 0.35, "description": 0.3, "definition": 0.2, "name and definition": 0.15}
BARE_NAMES = 0.3
CONTRASTED = 0.25
# Pairs of contrasts in a batch that differ in the order of their two names alone.
OPPOSED = 8
# Sets of attributes in a batch, each a meaning of its own.
ATTRIBUTED = 6
LEARNING_RATE = 2e-3
TEXTS_AT_ONCE = 20
# Sets the draws of the lexicon apart from those of samples and clicks.
LEXICON = 2


@dataclass(frozen=True, eq=False)
class _Concept:
    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    phrases: tuple[str, ...]
    definition: str
    terms: frozenset[str]
    under: frozenset[str]


class LexiconTask:
    """Batches of wordings, and the loss of a text encoder on them. Batch number i follows from the seed and i."""

    def __init__(self, targets: Sequence[Target] = (), lexicon: Lexicon | None = None, seed: int = 0):
        lexicon = lexicon or shipped_lexicon()
        self.seed, self.targets, self.lexicon = seed, tuple(targets), lexicon
        self.of_targets = [_target(known) for known in known_targets(self.targets, lexicon)]
        taken = frozenset[str]().union(*(concept.terms for concept in self.of_targets))
        self.others = [_concept(term) for term in lexicon.terms if term.name not in taken]

    def draw(self, number: int) -> tuple[list[str], Tensor, Tensor]:
        """Texts, what each means (text,), and which pairs must not be pushed apart (text, text).

        Texts of one number mean the same: a thing, the denial of a target, or some pieces of one. Those of things of
        which one is part or kind of the other are neither alike nor different.
        """
        rng = np.random.default_rng([self.seed, LEXICON, number])
        order = rng.permutation(len(self.others))[:TERMS]
        concepts = [*self.of_targets, *(self.others[int(i)] for i in order)]
        texts = [self._wording(concept, concepts, rng) for concept in concepts for _ in range(VIEWS)]
        texts += [denial(pick(target.names, rng), rng) for target in self.of_targets for _ in range(VIEWS)]
        meanings = [i for i in range(len(texts) // VIEWS) for _ in range(VIEWS)]
        for one, other in self._opposed(concepts, rng):
            # The same words but for the order of the names: nothing else tells the two apart.
            names, form = (pick(one.names, rng), pick(other.names, rng)), int(rng.integers(2**31))
            texts += [contrast(*order, np.random.default_rng(form)) for order in (names, names[::-1])]
            meanings += [concepts.index(one), concepts.index(other)]
        for wanted in _attributes(rng):
            meanings += [max(meanings) + 1] * VIEWS
            named = pick(self.of_targets or concepts, rng)
            texts += [sentence("name", phrase(pick(named.names, rng), wanted, rng), "", rng) for _ in range(VIEWS)]
        texts += [absent_text(self.targets, rng, "", self.lexicon) for _ in range(NONSENSE)]
        meanings += [-1 - i for i in range(NONSENSE)]
        # What is said of a concept is unsure beside what is said of another one that it overlaps.
        places = torch.tensor([meaning if 0 <= meaning < len(concepts) else len(concepts) for meaning in meanings])
        near = torch.zeros(len(concepts) + 1, len(concepts) + 1, dtype=torch.bool)
        near[:-1, :-1] = torch.tensor([[_overlap(a, b) for b in concepts] for a in concepts])
        return texts, torch.tensor(meanings), near[places][:, places]

    def _opposed(
        self, concepts: Sequence[_Concept], rng: np.random.Generator
    ) -> list[tuple[_Concept, _Concept]]:
        """Pairs of different things that do not overlap: targets among each other where there are several, else a
        target and anything; and anything with anything."""
        found = []
        for place in range(OPPOSED):
            first = self.of_targets if place % 2 == 0 and self.of_targets else concepts
            one = pick(first, rng)
            second = self.of_targets if place % 4 == 0 and len(self.of_targets) > 1 else concepts
            others = _apart(one, second)
            found += [(one, pick(others, rng))] if others else []
        return found

    def _wording(self, concept: _Concept, concepts: Sequence[_Concept], rng: np.random.Generator) -> str:
        """The concept in other words, or as what is meant in place of another one: of a target, another target as
        often as not."""
        if rng.random() < CONTRASTED:
            targets = self.of_targets if concept in self.of_targets and rng.random() < 0.5 else []
            others = [c for c in targets if c is not concept] or _apart(concept, concepts)
            if others:
                return contrast(pick(concept.names, rng), pick(pick(others, rng).names, rng), rng)
        return _wording(concept, rng)

    def loss(self, encode: Callable[[Sequence[str]], TextTokens], number: int) -> Tensor:
        """Supervised contrastive loss of batch `number` on the encoder's pooled texts."""
        texts, meanings, unsure = self.draw(number)
        embedded = functional.normalize(_pooled(encode, texts).float(), dim=-1)
        alike = embedded @ embedded.T / TEMPERATURE
        same = (meanings[:, None] == meanings[None]).to(alike.device)
        itself = torch.eye(len(texts), dtype=torch.bool, device=alike.device)
        logits = alike.masked_fill(itself | (unsure.to(alike.device) & ~same), float("-inf"))
        logged = logits - logits.logsumexp(dim=1, keepdim=True)
        positive = same & ~itself
        anchors = positive.any(dim=1)
        each = logged.masked_fill(~positive, 0.0).sum(dim=1)[anchors] / positive.sum(dim=1)[anchors]
        return -each.mean()


def _pooled(encode: Callable[[Sequence[str]], TextTokens], texts: Sequence[str]) -> Tensor:
    """Pooled texts (text, width), short and long ones encoded apart: most of a batch would be padding otherwise."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    parts = [order[start : start + TEXTS_AT_ONCE] for start in range(0, len(order), TEXTS_AT_ONCE)]
    pooled = torch.cat([encode([texts[i] for i in part]).pooled for part in parts])
    return pooled[torch.tensor(order).argsort()]


def learn_lexicon(encoder: torch.nn.Module, task: LexiconTask, steps: int, *, progress: bool = True) -> None:
    """Train a text encoder on the lexicon alone, in place."""
    if not steps:
        return
    optimizer = torch.optim.AdamW(encoder.parameters(), LEARNING_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.05)
    for number in track(range(steps), "learning the lexicon", steps, show=progress):
        loss = task.loss(encoder, number)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        schedule.step()


def _attributes(rng: np.random.Generator) -> list[Attributes]:
    """Different sets of attributes, of one to three each."""
    found: set[Attributes] = set()
    while len(found) < ATTRIBUTED:
        side: Side | None = pick((None, "left", "right"), rng)
        size: Size | None = pick((None, "small", "large"), rng)
        polarity: Polarity = pick(("bright", "dark"), rng)
        signal = pick((None, ("t1ce", polarity), (pick(("flair", "t1", "t2", "ct"), rng), polarity)), rng)
        found |= {Attributes(side, size, signal)} - {Attributes()}
    return sorted(found, key=repr)


def _overlap(one: _Concept, other: _Concept) -> bool:
    """Whether one of two things is part or kind of the other."""
    return bool(one.terms & other.under or other.terms & one.under)


def _apart(one: _Concept, others: Sequence[_Concept]) -> list[_Concept]:
    """Those of the others that it is neither the same as, nor part or kind of, nor they of it."""
    return [other for other in others if other is not one and not _overlap(other, one)]


def _concept(term: Term) -> _Concept:
    phrases = (*phrases_of(term), *_related(term))
    return _Concept(term.names, term.descriptions, phrases, term.definition, frozenset({term.name}), term.under)


def _target(known: Known) -> _Concept:
    """A data set's target with all terms that are called so."""
    return _Concept(
        known.names, known.descriptions, (*known.phrases, *(_related(known.terms[0]) if known.terms else ())),
        known.definition,
        frozenset(term.name for term in known.terms), frozenset(name for term in known.terms for name in term.under),
    )


def _related(term: Term) -> tuple[str, ...]:
    """What a term belongs to, in phrases."""
    return (*(f"part of the {whole}" for whole in term.part_of), *(f"a kind of {kind}" for kind in term.is_a))


def _wording(concept: _Concept, rng: np.random.Generator) -> str:
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    described = kind == "description" and concept.descriptions
    name = pick(concept.descriptions if described else concept.names, rng)
    if kind in ("name", "description") and rng.random() < BARE_NAMES:
        return name
    definition = some_phrases(concept.phrases, rng) if len(concept.phrases) > 1 else concept.definition
    if kind != "name" and concept.definition and rng.random() < 0.2:
        definition = concept.definition
    return finish(sentence(kind, name, definition, rng), "", rng)
