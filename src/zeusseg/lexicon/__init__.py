"""Anatomy and findings in words: plain files, and how they are looked up. Knows no images and no models."""

from zeusseg.lexicon.spelling import content_words, words_of
from zeusseg.lexicon.terms import Lexicon, Term, load_lexicon, shipped_lexicon

__all__ = ["Lexicon", "Term", "content_words", "load_lexicon", "shipped_lexicon", "words_of"]
