"""What the text encoder learns of words alone."""

import math

import pytest
import torch
from torch.nn import functional

from zeusseg.case import Target
from zeusseg.lexicon import Lexicon, shipped_lexicon
from zeusseg.models.text import SubwordTextEncoder, TextTokens
from zeusseg.training.lexicon import NONSENSE, OPPOSED, TEMPERATURE, VIEWS, LexiconTask, learn_lexicon

TARGETS = (
    Target("RV", (1,), ("right ventricle",), "the crescent of blood at the front"),
    Target("MLV", (2,), ("left ventricular myocardium",), "the ring of muscle"),
)


def test_a_batch_follows_from_seed_and_number():
    task = LexiconTask(TARGETS, seed=3)
    assert task.draw(5)[0] == LexiconTask(TARGETS, seed=3).draw(5)[0]
    assert task.draw(5)[0] != task.draw(6)[0]


def test_every_batch_has_two_wordings_of_each_target_and_texts_that_mean_nothing():
    texts, meanings, _ = LexiconTask(TARGETS).draw(0)
    assert len(texts) == len(meanings)
    assert meanings.tolist()[: 2 * VIEWS] == [0, 0, 1, 1]
    nonsense = meanings[-NONSENSE:].tolist()
    assert len(set(nonsense)) == NONSENSE
    assert max(nonsense) < 0


def test_a_target_is_worded_in_the_lexicons_names_and_in_the_data_sets_definition():
    task = LexiconTask(TARGETS)
    said = " ".join(text for i in range(60) for text in task.draw(i)[0][:VIEWS]).casefold()
    assert "ventriculus dexter" in said
    assert "crescent of blood at the front" in said
    assert "right ventricle" in {name for concept in task.of_targets for name in concept.terms}
    assert "right ventricle" not in {name for concept in task.others for name in concept.terms}


def test_contrasts_come_in_pairs_that_only_the_order_of_names_tells_apart():
    texts, meanings, _ = LexiconTask(TARGETS).draw(0)
    pairs = [
        (one, other) for i, one in enumerate(texts) for j, other in enumerate(texts)
        if i < j and one != other and sorted(one.split()) == sorted(other.split()) and meanings[i] != meanings[j]
    ]
    assert len(pairs) >= OPPOSED // 2  # of some the words differ by a full stop or a comma beside a name


def test_part_and_whole_are_neither_alike_nor_pushed_apart():
    task = LexiconTask(TARGETS)
    for number in range(40):
        _, meanings, unsure = task.draw(number)
        concepts = {i: task.of_targets[i] for i in range(2)}
        if unsure[0, 2 * VIEWS :].any():
            column = int(unsure[0, 2 * VIEWS :].nonzero()[0]) + 2 * VIEWS
            assert meanings[column] != 0
            break
    else:
        pytest.fail("the heart was never in the batch with its right ventricle")
    assert "heart" in concepts[0].under


def test_the_loss_is_that_of_supervised_contrastive_learning():
    """Of two meanings worded twice each, all at right angles but for their own kind: worked out by hand."""
    task = LexiconTask(())
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    task.draw = lambda number: (list("abcd"), torch.tensor([0, 0, 1, 1]), torch.zeros(4, 4, dtype=torch.bool))
    loss = task.loss(lambda texts: TextTokens(vectors[:, None], torch.ones(4, 1, dtype=torch.bool), vectors), 0)
    alike = math.exp(1 / TEMPERATURE)
    assert float(loss) == pytest.approx(-math.log(alike / (alike + 2)), rel=0.01)


def test_a_pair_of_unsure_meaning_does_not_count():
    task = LexiconTask(())
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    unsure = torch.zeros(3, 3, dtype=torch.bool)
    unsure[:, 2] = unsure[2] = True
    task.draw = lambda number: (list("abc"), torch.tensor([0, 0, 1]), unsure)
    loss = task.loss(lambda texts: TextTokens(vectors[:, None], torch.ones(3, 1, dtype=torch.bool), vectors), 0)
    assert float(loss) == pytest.approx(0.0, abs=1e-6)


def test_an_encoder_that_learnt_the_lexicon_finds_terms_by_their_other_names():
    torch.manual_seed(0)
    encoder = SubwordTextEncoder(32)
    few = Lexicon(shipped_lexicon().terms[::20])
    terms = [term.name for term in few.terms]
    others = [term.names[-1] for term in few.terms]
    before = found_first(encoder, terms, others)
    learn_lexicon(encoder, LexiconTask((), few), 120, progress=False)
    assert before < 0.5 * len(terms)
    assert found_first(encoder, terms, others) > 0.8 * len(terms)


def found_first(encoder: SubwordTextEncoder, terms: list[str], others: list[str]) -> int:
    with torch.inference_mode():
        first, second = (functional.normalize(encoder(names).pooled, dim=-1) for names in (terms, others))
    return int((second @ first.T).argmax(dim=1).eq(torch.arange(len(terms))).sum())
