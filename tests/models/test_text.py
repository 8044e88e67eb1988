"""The download-free text encoder: words become subwords, and every text, even an empty one, becomes tokens."""

import torch

from zeusseg.models.text import SubwordTextEncoder, subwords, tokenize
from zeusseg.wording import MAX_WORDS, words_of


def test_words_are_lower_case_without_punctuation_and_numbers_keep_their_point():
    words = ["right", "ventricle", "about", "3.5", "cm", "t2", "bright"]
    assert words_of("Right ventricle: about 3.5 cm (T2-bright)") == words


def test_a_long_text_is_cut_at_the_most_words():
    assert tokenize(["word " * 500], 64)[1].shape == (1, MAX_WORDS)


def test_related_words_share_subwords_and_unrelated_ones_hardly_any():
    ventricle, ventricular, spleen = (set(subwords(w, 8192)) for w in ("ventricle", "ventricular", "spleen"))
    assert len(ventricle & ventricular) >= 10
    assert len(ventricle & spleen) <= 1


def test_subwords_are_the_word_and_its_three_to_five_grams():
    # "<ab>" has the trigrams "<ab" and "ab>"; its one 4-gram is the word itself.
    assert len(subwords("ab", 8192)) == 3


def test_tokens_are_padded_with_zeros_and_the_mask_shows_it():
    encoder = SubwordTextEncoder(width=32).eval()
    encoded = encoder(["the left kidney", "liver"])
    assert encoded.tokens.shape == (2, 3, 32)
    assert encoded.mask.tolist() == [[True, True, True], [True, False, False]]


def test_a_word_that_stands_twice_is_put_together_once():
    grams, places = tokenize(["the left kidney", "the liver"], 8192)
    assert places.tolist() == [[1, 2, 3], [1, 4, 0]]
    assert grams.shape[0] == 5
    assert not grams[0].any()
    assert [g for g in grams[3].tolist() if g] == subwords("kidney", 8192)


def test_padding_does_not_change_what_a_text_means():
    encoder = SubwordTextEncoder(width=32).eval()
    alone, beside = encoder(["liver"]), encoder(["liver", "a much longer text about something else"])
    torch.testing.assert_close(alone.pooled[0], beside.pooled[0])


def test_an_empty_text_is_one_learned_token():
    encoded = SubwordTextEncoder(width=32).eval()(["", "   ", "liver"])
    assert encoded.mask.sum(dim=1).tolist() == [1, 1, 1]
    torch.testing.assert_close(encoded.pooled[0], encoded.pooled[1])
    assert not torch.allclose(encoded.pooled[0], encoded.pooled[2])
