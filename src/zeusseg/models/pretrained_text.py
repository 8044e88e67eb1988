"""Texts through a frozen model of transformers: one linear projection is trained, and each text is embedded once.

Zeus (arXiv 2504.07336) encodes the instruction with a frozen text encoder, and "one linear layer maps it to the input
width" of the mask decoder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from zeusseg.models.text import TextTokens
from zeusseg.models.text_loading import LoadedText, load_text
from zeusseg.work import notify

CACHE_BYTES = 512 * 2**20
TEXTS_TOGETHER = 64


class TextStates(NamedTuple):
    """What the frozen model makes of one text, on the CPU: `tokens` (word, hidden) without special tokens and padding,
    and `pooled` (hidden of the pooled vector), in 32 bits."""

    tokens: Tensor
    pooled: Tensor


class FrozenText:
    """A frozen text model with all that it has said, the oldest forgotten beyond `cache_bytes`.

    No `nn.Module`, so that neither checkpoints nor optimizers see it; copies of an encoder share it.
    """

    def __init__(self, loaded: LoadedText, cache_bytes: int = CACHE_BYTES):
        self.loaded, self.cache_bytes = loaded, cache_bytes
        self.model = loaded.model.eval().requires_grad_(False)
        self._said: dict[str, TextStates] = {}
        self._bytes, self._told = 0, False

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenText:
        return self

    def states(self, texts: Sequence[str], device: torch.device) -> list[TextStates]:
        """The states of every text; those not seen before are embedded together, on `device`."""
        new = [text for text in dict.fromkeys(texts) if text not in self._said]
        known = {text: self._said[text] for text in texts if text in self._said}
        for start in range(0, len(new), TEXTS_TOGETHER):
            some = new[start : start + TEXTS_TOGETHER]
            known |= dict(zip(some, self._embed(some, device), strict=True))
        self._keep((text, known[text]) for text in new)
        return [known[text] for text in texts]

    def _keep(self, entries: Iterable[tuple[str, TextStates]]) -> None:
        for text, states in entries:
            self._said[text] = states
            self._bytes += states.tokens.nbytes + states.pooled.nbytes
        while self._bytes > self.cache_bytes:
            oldest = self._said.pop(next(iter(self._said)))
            self._bytes -= oldest.tokens.nbytes + oldest.pooled.nbytes

    def _embed(self, texts: list[str], device: torch.device) -> Iterable[TextStates]:
        # What is kept must not depend on the precision of whoever asked first.
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            self._move(device)
            ids, there, special = (part.to(device) for part in self._tokenize(texts))
            # SigLIP was trained on texts padded to its context, the padding unmasked.
            output = self.model(ids, attention_mask=None if self.loaded.padded else there)
            hidden = output.last_hidden_state.float()
            own = self.loaded.pooling == "own"
            pooled = output.pooler_output.float() if own else pool(self.loaded.pooling, hidden, there)
            words = there & ~special
            # An empty text has nothing but special tokens: they are its words then.
            words = torch.where(words.any(dim=1, keepdim=True), words, there)
            hidden, pooled, words = hidden.cpu(), pooled.cpu(), words.cpu()
        return [TextStates(hidden[i, words[i]], pooled[i].clone()) for i in range(len(texts))]

    def _move(self, device: torch.device) -> None:
        dtype = precision(self.loaded.decoder, device)
        if self.model.device != device or self.model.dtype != dtype:
            self.model.to(device=device, dtype=dtype)

    def _tokenize(self, texts: list[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Token numbers, which of them are there (padding is not) and which are special, each (text, token)."""
        words, context = self.loaded.tokenizer, self.loaded.context
        asked = {"return_special_tokens_mask": True, "return_attention_mask": True, "return_token_type_ids": False}
        encoded = words(texts, verbose=False, **asked)
        cut = sum(len(ids) > context for ids in encoded["input_ids"])
        if cut:
            encoded = words(texts, truncation=True, max_length=context, **asked)
            if not self._told:
                notify(
                    f"{cut} of {len(texts)} texts are longer than the {context} tokens that {self.loaded.name} reads: "
                    "they are cut there (this is said once)"
                )
                self._told = True
        rows = []
        for ids, special in zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True):
            # Tokenizers of language models may add nothing, and make nothing of an empty text.
            rows.append((ids, special) if ids else ([self.loaded.empty_id], [1]))
        length = context if self.loaded.padded else max(len(ids) for ids, _ in rows)
        numbers = torch.full((len(rows), length), words.pad_token_id)
        there, marked = torch.zeros_like(numbers, dtype=torch.bool), torch.zeros_like(numbers, dtype=torch.bool)
        for i, (ids, special) in enumerate(rows):
            place = slice(length - len(ids), length) if self.loaded.padded_left else slice(0, len(ids))
            numbers[i, place], there[i, place] = torch.tensor(ids), True
            marked[i, place] = torch.tensor(special, dtype=torch.bool)
        return numbers, there, marked


def pool(pooling: str, hidden: Tensor, there: Tensor) -> Tensor:
    """One vector per text (text, hidden) from its tokens (text, token, hidden), padded on the right where not `there`:
    the first token ("cls"), the mean of all ("mean"), or the last ("last")."""
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "mean":
        return (hidden * there[..., None]).sum(dim=1) / there.sum(dim=1, keepdim=True)
    return hidden[torch.arange(len(hidden), device=hidden.device), there.sum(dim=1) - 1]


def precision(decoder: bool, device: torch.device) -> torch.dtype:
    """Language models (`decoder`) run in bfloat16 on a GPU; everything else in 32 bits, which the small ones can afford
    and processors multiply fastest."""
    return torch.bfloat16 if decoder and device.type == "cuda" else torch.float32


class PretrainedTextEncoder(nn.Module):
    """Texts (a sequence of strings) to `TextTokens` through a frozen model and a trained linear projection.

    The pooled vector is what the model's family takes for one: CLIP's last ("end of text") token, SigLIP's head, BERT's
    first token or the mean that a sentence encoder's folder asks for, a language model's last token. It goes through
    the tokens' own projection, except SigLIP's: behind its head, it lies in another space than the tokens.
    Special tokens are no words; an empty text has no others, and keeps them.
    """

    def __init__(self, frozen: FrozenText, width: int):
        super().__init__()
        self.frozen = frozen
        self.projection = nn.Linear(frozen.loaded.hidden, width)
        pooled = frozen.loaded.pooled_hidden
        self.pooled_projection = nn.Linear(pooled, width) if pooled is not None else None

    @property
    def fingerprint(self) -> str:
        """Which weights: a digest of the folder, or the hub's commit."""
        return self.frozen.loaded.fingerprint

    @property
    def frozen_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.frozen.model.parameters())

    def forward(self, texts: Sequence[str]) -> TextTokens:
        weight = self.projection.weight
        states = self.frozen.states(texts, weight.device)
        lengths = [len(text.tokens) for text in states]
        words = self.projection(torch.cat([text.tokens for text in states]).to(weight))
        mask = torch.arange(max(lengths), device=weight.device) < torch.tensor(lengths, device=weight.device)[:, None]
        project = self.projection if self.pooled_projection is None else self.pooled_projection
        pooled = project(torch.stack([text.pooled for text in states]).to(weight))
        return TextTokens(pad_sequence(words.split(lengths), batch_first=True), mask, pooled)


def load_text_encoder(model: str, width: int) -> PretrainedTextEncoder:
    """A frozen text encoder from a folder or hub id. Raises `UsageError` as `load_text` does."""
    return PretrainedTextEncoder(FrozenText(load_text(model)), width)
