"""A small text encoder that needs no download: words as bags of subword n-grams, then a transformer.

A word is the mean of the embeddings of its hashed character n-grams (Bojanowski et al., TACL 2017), so that an
inflected, compounded or never-seen word still lands near its relatives.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from einops import rearrange
from torch import Tensor, nn

from zeusseg.wording import MAX_WORDS, words_of

MAX_GRAMS = 24
SUBWORD_DEVIATION = 0.05


@dataclass
class TextTokens:
    """Encoded texts: `tokens` (text, word, width), `mask` (text, word; true for a word), `pooled` (text, width)."""

    tokens: Tensor
    mask: Tensor
    pooled: Tensor


@lru_cache(maxsize=65536)
def subwords(word: str, buckets: int) -> list[int]:
    """Bucket numbers (1 … buckets - 1) of a word and of its 3- to 5-grams, the word itself first."""
    marked = f"<{word}>"
    grams = [marked[i : i + n] for n in (3, 4, 5) for i in range(len(marked) - n + 1) if n < len(marked)]
    # A CRC is stable over runs and machines, which Python's own hash is not.
    return [1 + zlib.crc32(gram.encode()) % (buckets - 1) for gram in [marked, *grams]][:MAX_GRAMS]


def tokenize(texts: Sequence[str], buckets: int) -> tuple[Tensor, Tensor]:
    """Texts to their distinct words (distinct, gram), as subword buckets padded with 0, and which of them stand where
    (text, word). Word 0 has no subwords: it pads, and is the one word of a text without words.
    """
    split = [words_of(text)[:MAX_WORDS] for text in texts]
    numbers = {word: number for number, word in enumerate(dict.fromkeys(w for words in split for w in words), start=1)}
    grams = torch.zeros(len(numbers) + 1, MAX_GRAMS, dtype=torch.long)
    for word, number in numbers.items():
        found = subwords(word, buckets)
        grams[number, : len(found)] = torch.tensor(found)
    length = max([1, *(len(words) for words in split)])
    places = [[numbers[word] for word in words] + [0] * (length - len(words)) for words in split]
    return grams, torch.tensor(places, dtype=torch.long).reshape(len(texts), length)


class SubwordTextEncoder(nn.Module):
    """Texts (a sequence of strings) to `TextTokens`; an empty text becomes one learned token."""

    def __init__(self, width: int = 128, buckets: int = 8192, layers: int = 2, heads: int = 4):
        super().__init__()
        self.buckets = buckets
        self.subwords = nn.Embedding(buckets, width, padding_idx=0)
        # Small, because the optimizer's steps have a fixed size: from unit variance, words would take long to learn.
        nn.init.normal_(self.subwords.weight, std=SUBWORD_DEVIATION)
        with torch.no_grad():
            self.subwords.weight[0] = 0.0
        self.empty = nn.Parameter(torch.randn(width) * 0.02)
        self.norm = nn.LayerNorm(width)
        # No dropout: rewording already shows every text in many forms.
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.transformer = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.pool = nn.Linear(width, 1, bias=False)

    def forward(self, texts: Sequence[str]) -> TextTokens:
        # The same few hundred words make up all texts of a batch: each is put together once.
        grams, places = (ids.to(self.empty.device) for ids in tokenize(texts, self.buckets))
        mask = places > 0
        empty = ~mask.any(dim=1)
        count = (grams > 0).sum(dim=-1, keepdim=True).clamp(min=1)
        words = (self.subwords(grams).sum(dim=1) / count.sqrt())[places]
        words = torch.where(empty[:, None, None], self.empty.expand_as(words), words)
        mask = mask | (empty[:, None] & (torch.arange(mask.shape[1], device=mask.device) == 0))
        tokens = self.norm(words) + sinusoid(words.shape[1], words.shape[2]).to(words)
        tokens = self.transformer(tokens, src_key_padding_mask=~mask)
        weights = self.pool(tokens).squeeze(-1).masked_fill(~mask, float("-inf")).softmax(dim=-1)
        return TextTokens(tokens, mask, torch.einsum("t w, t w d -> t d", weights, tokens))


def sinusoid(length: int, width: int) -> Tensor:
    """Sinusoidal positions (length, width), Vaswani et al. 2017, section 3.5."""
    frequency = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    angle = torch.arange(length)[:, None] * frequency
    return rearrange(torch.stack([angle.sin(), angle.cos()], dim=-1), "l d two -> l (d two)")


TEXT_ENCODERS = {"subword": SubwordTextEncoder}
