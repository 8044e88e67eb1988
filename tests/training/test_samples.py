"""Training samples: repeatable by number, honest about what is there, worded in many ways."""

import numpy as np
import pytest
import torch

from zeusseg.case import Case, Target, Volume
from zeusseg.inference.slices import Slicing
from zeusseg.instruct.knowledge import known_targets
from zeusseg.training.batches import RoundSampler, collate
from zeusseg.training.config import FitConfig
from zeusseg.training.samples import SampleStream, pad_to, prepare

TARGETS = (Target("lesion", (1,), ("tumor",), "a bright spot"), Target("cyst", (2,), (), "a dark spot"))
SLICING = Slicing(context=1)
MODALITIES = ("flair", "t1", "t2")


def volume(array: np.ndarray) -> Volume:
    return Volume.from_file(array, np.diag([1.0, 1.0, 4.0, 1.0]))


@pytest.fixture(scope="module")
def stream() -> SampleStream:
    rng = np.random.default_rng(0)
    labels = np.zeros((40, 36, 5), dtype=np.uint8)
    labels[10:20, 10:20, 1:3] = 1
    images = {m: volume(rng.normal(100, 20, labels.shape) + 80 * (labels == 1)) for m in ("flair", "t1")}
    case = Case("c", "p", images, volume(labels))
    texts = [f"Segment the {t.name}. FLAIR: a bright area. T1: a grey area." for t in TARGETS]
    prepared = prepare(case, TARGETS, texts, MODALITIES, SLICING)
    options = FitConfig(steps=10, batch_size=4, absent_targets=2)
    return SampleStream([prepared], TARGETS, MODALITIES, SLICING, (32, 32), options)


def test_a_sample_follows_from_its_number_alone(stream):
    first = stream[3]
    stream[7]
    again = stream[3]
    assert first["texts"] == again["texts"]
    torch.testing.assert_close(first["images"], again["images"])
    assert not torch.equal(first["images"], stream[4]["images"])


def test_shapes_and_absent_targets(stream):
    sample = stream[0]
    assert sample["images"].shape == (3, 3, 32, 32)
    assert sample["masks"].shape == (6, 32, 32)  # two targets, two queries that turn one of them, two absent ones
    assert len(sample["texts"]) == 6
    assert not sample["masks"][[1, 4, 5]].any()  # the cyst is nowhere, and the last two targets are made up


def test_right_words_go_with_masks_and_absent_words_with_none(stream):
    texts_with_masks = set()
    for i in range(40):
        sample = stream[i]
        texts_with_masks |= {t for t, m in zip(sample["texts"], sample["masks"], strict=True) if m.any()}
    assert len(texts_with_masks) > 5
    known = known_targets(TARGETS)[0]
    words = [words.casefold() for words in (*known.names, *known.descriptions, *known.phrases, "a bright spot")]
    assert [text for text in texts_with_masks if not any(word in text.casefold() for word in words)] == []


def test_a_negated_target_has_an_empty_mask_and_a_contrast_the_whole_one(stream):
    kinds = set()
    for i in range(60):
        rng = np.random.default_rng([0, i])
        look = stream.draw(rng)
        present = stream.draw_modalities(look, rng)
        turned = stream.turn(look, present, rng)
        _, masks = stream.show(look, turned)
        for query, mask in zip(turned, masks[len(look.targets) :], strict=True):
            kinds.add(query.kind)
            assert torch.equal(mask, masks[query.target] if query.kind == "contrast" else torch.zeros_like(mask))
        asked = stream.ask(look, turned, masks, present, rng)
        # Their masks are compared with those of their target.
        assert asked["targets"].tolist()[len(look.targets) :][: len(turned)] == [query.target for query in turned]
    assert kinds == {"negated", "contrast", "instead"}


def test_without_turned_queries_none_are_asked(stream):
    options = stream.fit.model_copy(update={"turned_queries": 0})
    plain = SampleStream(stream.cases, TARGETS, MODALITIES, SLICING, (32, 32), options)
    assert len(plain[0]["texts"]) == 4


def test_modalities_are_dropped_but_never_all_and_never_made_up(stream):
    drawn = {tuple(stream[i]["present"].tolist()) for i in range(200)}
    assert drawn == {(True, True, False), (True, False, False), (False, True, False)}


def test_planes_that_hold_a_target_are_known(stream):
    assert stream.cases[0].planes_of_target == ((1, 2), ())


def test_a_batch_lists_each_text_once(stream):
    batch = collate([stream[0], stream[0]])
    assert len(batch.texts) == len(set(batch.texts))
    assert torch.equal(batch.which[0], batch.which[1])
    assert [batch.texts[i] for i in batch.which[0]] == stream[0]["texts"]


def test_a_round_goes_on_where_the_steps_taken_ended():
    taken = 0
    sampler = RoundSampler(lambda: taken, steps_per_round=2, batch_size=3)
    assert (list(sampler), len(sampler)) == ([0, 1, 2, 3, 4, 5], 6)
    taken = 5
    assert list(sampler) == [15, 16, 17, 18, 19, 20]


def test_padding_is_even_and_uses_the_lowest_value():
    padded = pad_to(torch.full((1, 2, 3), 5.0).index_fill(2, torch.tensor([0]), -1.0), (4, 6))
    assert padded.shape == (1, 4, 6)
    assert padded[0, 0].tolist() == [-1.0] * 6
    assert padded[0, 1].tolist() == [-1.0, -1.0, 5.0, 5.0, -1.0, -1.0]


def test_the_reference_modality_is_dropped_more_seldom_than_the_others(stream):
    drawn = [tuple(stream[i]["present"].tolist()) for i in range(400)]
    shares = {subset: drawn.count(subset) / 400 for subset in set(drawn)}
    # flair stays with 1 - 0.5 x 0.15 = 0.925, t1 with 0.5; where both go (0.0375), both stay.
    assert shares[True, True, False] == pytest.approx(0.925 * 0.5 + 0.075 * 0.5, abs=0.08)
    assert shares[True, False, False] == pytest.approx(0.925 * 0.5, abs=0.08)
    assert shares[False, True, False] == pytest.approx(0.075 * 0.5, abs=0.03)


def test_words_about_a_dropped_modality_are_dropped_with_it(stream):
    for i in range(60):
        sample = stream[i]
        flair, t1, _ = sample["present"].tolist()
        words = " ".join(sample["texts"]).lower()
        assert flair or "flair:" not in words
        assert t1 or "t1:" not in words
    assert any("t1:" in " ".join(stream[i]["texts"]).lower() for i in range(60))
