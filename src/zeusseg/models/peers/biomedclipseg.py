"""BiomedCLIPSeg: CLIPSeg's decoder over BiomedCLIP's encoders, as the transfer study has it (arXiv 2308.07706)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from zeusseg.errors import UsageError
from zeusseg.models import openclip
from zeusseg.models.peers.base import CLIP_PIXELS
from zeusseg.models.peers.clipseg import (
    DECODER,
    WORDS,
    ClipSegModel,
    check_changes,
    check_extraction,
    check_size,
    clip_tokens,
    draw_decoder,
    load_clipseg,
    picked,
    settings_of,
    under,
    understandable,
)
from zeusseg.models.peers.libraries import import_peer_library
from zeusseg.models.pretrained_text import pool
from zeusseg.models.text_loading import load_text
from zeusseg.models.weights import brief, load_pretrained, look_up

# microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224: its sizes by the names of transformers' ViT and BERT.
VISION: dict[str, Any] = {
    "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
    "image_size": 224, "patch_size": 16, "hidden_act": "gelu", "layer_norm_eps": 1e-6,
}  # fmt: skip
TEXT: dict[str, Any] = {
    "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
    "max_position_embeddings": 512, "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
}  # fmt: skip
PUBLISHED: dict[str, Any] = {
    "size": 224, "context": 256, "projection": 512, **{f"vision.{key}": value for key, value in VISION.items()},
    **{f"text.{key}": value for key, value in TEXT.items()},
    **{f"decoder.{key}": value for key, value in DECODER.items()},
}  # fmt: skip
DECODER_KEYS = [f"decoder.{key}" for key in DECODER]
DECODER_WEIGHTS = "decoder_weights"
HEAD = "text.proj."


class Encoders(NamedTuple):
    """transformers' `ViTModel` and `BertModel`, and the projection of a pooled text (width) to (projection)."""

    vision: Any
    text: Any
    projection: nn.Module


class BiomedClipSeg(ClipSegModel):
    """BiomedCLIPSeg; with `decoder_weights`, BiomedCLIPSeg-D. Its presence is that of its surest pixel.

    The decoder reads the outputs of blocks 3, 6 and 9, counted from 0, as CLIPSeg's does. The study's code reads blocks
    4, 7 and 10: it adds the one that skips the embedding to a list that does not hold the embedding. The projection of
    a picture has no part in a mask and is not loaded.

    `settings` hold the tokenizer's own JSON (`tokenizer`), so that a saved model needs no folder.
    """

    def __init__(self, settings: Mapping[str, Any], encoders: Encoders | None = None):
        """`encoders`: those of these settings; None: with weights drawn anew, as the decoder's always are here."""
        super().__init__(settings, CLIP_PIXELS)
        import_peer_library("open_clip")
        from transformers import CLIPSegConfig
        from transformers.models.clipseg.modeling_clipseg import CLIPSegDecoder

        with understandable("biomedclipseg"):
            vision = under(self.settings, "vision")
            check_extraction(self.settings, vision["num_hidden_layers"], "decoder.")
            check_size(self.size, vision["patch_size"])
            if self.settings["context"] > self.settings["text.max_position_embeddings"]:
                raise UsageError(
                    f"context is {self.settings['context']}: expected at most text.max_position_embeddings, "
                    f"{self.settings['text.max_position_embeddings']}"
                )
            self.vision, self.text, self.text_projection = encoders or draw_encoders(self.settings)
            read = {key: vision[key] for key in ("hidden_size", "num_attention_heads", "patch_size")}
            self.decoder = CLIPSegDecoder(CLIPSegConfig(
                vision_config=read, projection_dim=self.settings["projection"], **under(self.settings, "decoder")
            ))  # fmt: skip
            draw_decoder(self.decoder)
        self._words = tokenizer_of(self.settings["tokenizer"], self.settings["context"])
        self.freeze()

    @classmethod
    def load(cls, weights: str | None, changes: Mapping[str, Any], *, frozen: bool | None = None) -> Self:
        """`weights`: in open_clip's format; `changes`: `PUBLISHED` has the keys, beside weights `size` and `decoder.*`.

        The change `decoder_weights` is a CLIPSeg in transformers' format whose decoder is taken, with its `decoder.*`.
        Without weights, texts are CLIP's byte pairs: PubMedBERT's vocabulary comes with its files alone.
        """
        check_changes("biomedclipseg", changes, [*PUBLISHED, DECODER_WEIGHTS])
        own = {key: value for key, value in changes.items() if key != DECODER_WEIGHTS}
        donor = load_clipseg(changes[DECODER_WEIGHTS]) if changes.get(DECODER_WEIGHTS) else None
        if donor is not None:
            fixed = [key for key in PUBLISHED if key not in DECODER_KEYS]
            check_changes(f"biomedclipseg with {DECODER_WEIGHTS}", own, fixed)
            told = settings_of(donor.config)
            own |= {f"decoder.{key}": told[key] for key in DECODER}
        if weights is None:
            told = {"tokenizer": None, "text.vocab_size": WORDS, "pooling": "cls", "frozen": bool(frozen)}
            model = cls({**PUBLISHED, **own, **told})
        else:
            check_changes(f"biomedclipseg with the weights of {weights}", own, ["size", *DECODER_KEYS])
            encoders, told = load_encoders(weights)
            model = cls({**PUBLISHED, **told, **own, "frozen": frozen is not False}, encoders)
        if donor is not None:
            try:
                model.decoder.load_state_dict(donor.decoder.state_dict())
            except RuntimeError as error:
                raise UsageError(
                    f"the decoder of {changes[DECODER_WEIGHTS]} does not fit these encoders: {brief(error)}"
                ) from error
        return model

    @property
    def encoders(self) -> tuple[nn.Module, ...]:
        return self.vision, self.text, self.text_projection

    def extract(self, pixels: Tensor) -> list[Tensor]:
        output = self.vision(pixel_values=pixels, output_hidden_states=True, interpolate_pos_encoding=True)
        return picked(output.hidden_states, self.settings["decoder.extract_layers"])

    def embed(self, texts: Sequence[str]) -> Tensor:
        ids, there = (part.to(self.pixel_mean.device) for part in self._words(texts))
        hidden = self.text(ids, attention_mask=there).last_hidden_state
        return self.text_projection(pool(self.settings["pooling"], hidden, there))


def draw_encoders(settings: Mapping[str, Any]) -> Encoders:
    """Encoders of these settings, with weights drawn anew."""
    from transformers import BertConfig, BertModel, ViTConfig, ViTModel

    vision = ViTModel(ViTConfig(**under(settings, "vision")), add_pooling_layer=False)
    text = BertModel(BertConfig(**under(settings, "text")), add_pooling_layer=False)
    return Encoders(vision, text, text_head(settings["text.hidden_size"], settings["projection"]))


def text_head(width: int, projection: int) -> nn.Module:
    """What open_clip calls an "mlp" projection."""
    hidden = (width + projection) // 2
    return nn.Sequential(nn.Linear(width, hidden, bias=False), nn.GELU(), nn.Linear(hidden, projection, bias=False))


def load_encoders(weights: str) -> tuple[Encoders, dict[str, Any]]:
    """The encoders of an open_clip folder or hub id, and the settings that they bring.

    Raises `UsageError` where it is not a plain ViT and a BERT with a projection of two layers, each with its weights.
    """
    import_peer_library("open_clip")
    from transformers import BertModel, ViTModel

    publication = look_up(weights, openclip.CONFIG)
    config = openclip.vit_config(publication)
    state = openclip.vit_weights(publication)
    vision = load_pretrained(ViTModel, None, weights, state_dict=state, config=config, add_pooling_layer=False)
    loaded = load_text(weights)
    if not isinstance(loaded.model, BertModel):
        raise UsageError(f"{weights} has the text encoder {type(loaded.model).__name__}: expected open_clip's BERT")
    path = next(found for name in openclip.WEIGHTS if (found := publication.find(name)))
    projections = {name: tensor.float() for name, tensor in openclip.tensors_under(path, HEAD).items()}
    try:
        width = len(projections["2.weight"])
        head = text_head(loaded.hidden, width)
        head.load_state_dict(projections)
    except (KeyError, RuntimeError) as error:
        raise UsageError(
            f"{weights} has no projection of texts in two layers, {HEAD}0.weight and {HEAD}2.weight: {brief(error)}"
        ) from error
    settings: dict[str, Any] = {f"vision.{key}": getattr(config, key) for key in VISION}
    settings |= {f"text.{key}": getattr(loaded.model.config, key) for key in (*TEXT, "vocab_size")}
    settings |= {
        "tokenizer": loaded.tokenizer.backend_tokenizer.to_str(), "context": loaded.context,
        "pooling": loaded.pooling, "projection": width,
    }  # fmt: skip
    return Encoders(vision, loaded.model, head), settings


def tokenizer_of(told: str | None, context: int) -> Callable[[Sequence[str]], tuple[Tensor, Tensor]]:
    """From texts to numbers (text, token) and which of them are there (text, token), at most `context` tokens a text.

    `told`: the JSON of a tokenizer; None: CLIP's byte pairs.
    """
    if told is None:
        return partial(clip_tokens, context=context)
    from tokenizers import Tokenizer

    words = Tokenizer.from_str(told)
    words.enable_truncation(context)
    words.enable_padding()
    return partial(own_tokens, words=words)


def own_tokens(texts: Sequence[str], words: Any) -> tuple[Tensor, Tensor]:
    """`clip_tokens` with another tokenizer, one of the library tokenizers that cuts and pads by itself."""
    encoded = words.encode_batch(list(texts))
    there = torch.tensor([text.attention_mask for text in encoded], dtype=torch.bool)
    return torch.tensor([text.ids for text in encoded]), there
