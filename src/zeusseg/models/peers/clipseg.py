"""CLIPSeg: a light transformer decoder over CLIP's encoders (Lüddecke & Ecker 2022, arXiv 2112.10003)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import Any, Self

import torch
from torch import Tensor, nn

from zeusseg.errors import UsageError
from zeusseg.models.peers.base import IMAGENET_PIXELS, PeerModel
from zeusseg.models.peers.libraries import import_peer_library
from zeusseg.models.text import TextTokens
from zeusseg.models.weights import brief, load_pretrained, look_up

# The decoder of "rd64-refined" by the names of transformers' `CLIPSegConfig`: what the transfer study (arXiv
# 2308.07706) starts from. A layer's number counts from 0, and its output is what is extracted (section 3.1).
DECODER: dict[str, Any] = {
    "reduce_dim": 64, "extract_layers": [3, 6, 9], "conditional_layer": 0, "decoder_num_attention_heads": 4,
    "decoder_intermediate_size": 2048, "use_complex_transposed_convolution": True,
}  # fmt: skip
# CIDAS/clipseg-rd64-refined. It keeps CLIP's positions of 14 by 14 patches, interpolated to the 22 by 22 of 352
# pixels.
PUBLISHED: dict[str, Any] = {
    "size": 352, "projection_dim": 512, **DECODER,
    "vision_config.hidden_size": 768, "vision_config.intermediate_size": 3072, "vision_config.num_hidden_layers": 12,
    "vision_config.num_attention_heads": 12, "vision_config.image_size": 224, "vision_config.patch_size": 16,
    "vision_config.hidden_act": "quick_gelu", "vision_config.layer_norm_eps": 1e-5,
    "vision_config.attention_dropout": 0.0,
    "text_config.hidden_size": 512, "text_config.intermediate_size": 2048, "text_config.num_hidden_layers": 12,
    "text_config.num_attention_heads": 8, "text_config.max_position_embeddings": 77,
    "text_config.hidden_act": "quick_gelu", "text_config.layer_norm_eps": 1e-5, "text_config.attention_dropout": 0.0,
}  # fmt: skip
WORDS = 49408  # CLIP's byte pairs, with the two that start and end a text


class ClipSegModel(PeerModel):
    """What CLIPSeg and its relatives share: encoders that may be frozen, and one decoder pass for a picture and a text.

    `settings` hold `frozen` (whether the encoders are) besides what builds the network.
    """

    decoder: Any

    @abstractmethod
    def extract(self, pixels: Tensor) -> list[Tensor]:
        """Outputs of the blocks that the decoder reads, earliest first, each (b, 1 + patches, width)."""

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> Tensor:
        """What a text conditions the decoder by: (text, projection)."""

    def encode_text(self, texts: Sequence[str]) -> TextTokens:
        """Each text is one word, its embedding: `tokens` (text, 1, projection), `pooled` (text, projection)."""
        with self._encoding():
            pooled = self.embed(texts)
        there = torch.ones(len(texts), 1, dtype=torch.bool, device=pooled.device)
        return TextTokens(pooled[:, None], there, pooled)

    def segment(self, pixels: Tensor, words: TextTokens) -> Tensor:
        """Mask logits (b, t, rows, columns). A picture is encoded once, however many texts are asked of it."""
        with self._encoding():
            states = self.extract(pixels)
        texts = words.pooled.shape[1]
        pairs = tuple(state.repeat_interleave(texts, dim=0) for state in states)
        logits: Tensor = self.decoder(pairs, words.pooled.flatten(0, 1)).logits
        return logits.reshape(len(pixels), texts, *logits.shape[1:])

    def _encoding(self) -> AbstractContextManager[Any]:
        return torch.no_grad() if self.settings["frozen"] else nullcontext()


def draw_decoder(decoder: Any) -> None:
    """Draw what joins the decoder's layers as torch does: transformers 5 draws it with a deviation of 1, from which a
    mask's logits start in the hundreds."""
    layers = set(decoder.layers.modules())
    for module in decoder.modules():
        if module not in layers and isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            module.reset_parameters()


class ClipSeg(ClipSegModel):
    """CLIPSeg. Its presence is that of its surest pixel.

    `load` freezes published encoders: CLIPSeg trains its decoder alone (section 3.1). The transfer study's
    configuration (arXiv 2308.07706) leaves them unfrozen, but it calls transformers' forward pass, which computes them
    without gradients, so that what it reports was reached with encoders that never changed.
    """

    def __init__(self, settings: Mapping[str, Any], network: Any = None):
        """`network`: transformers' `CLIPSegForImageSegmentation` of these settings; None: one with weights drawn anew.

        The names of its parts are kept, so that this model's state has the keys of the published files.
        """
        super().__init__(settings, IMAGENET_PIXELS)
        import_peer_library("open_clip")
        from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

        with understandable("clipseg"):
            check_extraction(self.settings, self.settings["vision_config.num_hidden_layers"])
            check_size(self.size, self.settings["vision_config.patch_size"])
            if network is None:
                options = {key: self.settings[key] for key in ("projection_dim", *DECODER)}
                parts = {name: under(self.settings, name) for name in ("vision_config", "text_config")}
                network = CLIPSegForImageSegmentation(CLIPSegConfig(**options, **parts))
                draw_decoder(network.decoder)
        self.clip, self.decoder = network.clip, network.decoder
        self.freeze()

    @classmethod
    def load(cls, weights: str | None, changes: Mapping[str, Any], *, frozen: bool | None = None) -> Self:
        """`weights`: in transformers' format; `changes`: `PUBLISHED` has the keys, beside weights `size` alone.

        With weights, the position embeddings are interpolated to `size`, which must be a multiple of the patch.
        """
        check_changes("clipseg", changes, PUBLISHED)
        if weights is None:
            return cls({**PUBLISHED, **changes, "frozen": bool(frozen)})
        check_changes(f"clipseg with the weights of {weights}", changes, ["size"])
        network = load_clipseg(weights)
        size = changes.get("size", PUBLISHED["size"])
        return cls({**settings_of(network.config), "size": size, "frozen": frozen is not False}, network)

    @property
    def encoders(self) -> tuple[nn.Module, ...]:
        return (self.clip,)

    def extract(self, pixels: Tensor) -> list[Tensor]:
        output = self.clip.vision_model(pixel_values=pixels, output_hidden_states=True, interpolate_pos_encoding=True)
        return picked(output.hidden_states, self.settings["extract_layers"])

    def embed(self, texts: Sequence[str]) -> Tensor:
        ids, _ = clip_tokens(texts, self.settings["text_config.max_position_embeddings"])
        # No mask: attention looks back only, and what stands behind the end of a text is not read.
        return self.clip.get_text_features(ids.to(self.pixel_mean.device)).pooler_output


def load_clipseg(weights: str) -> Any:
    """transformers' `CLIPSegForImageSegmentation` of a folder or hub id. Raises `UsageError` where it is none."""
    import_peer_library("open_clip")
    from transformers import CLIPSegForImageSegmentation

    publication = look_up(weights, "config.json")
    told = publication.settings("config.json")
    if told.get("model_type") != "clipseg":
        raise UsageError(
            f"{weights} is of the kind {told.get('model_type')!r}: expected a CLIPSeg in transformers' format, as "
            "CIDAS/clipseg-rd64-refined is"
        )
    revision = {"revision": publication.revision} if publication.revision else {}
    network: Any = load_pretrained(CLIPSegForImageSegmentation, publication.model, weights, **revision)
    if network.config.text_config.vocab_size != WORDS:
        raise UsageError(
            f"{weights} has {network.config.text_config.vocab_size} words: expected the {WORDS} byte pairs of CLIP"
        )
    return network


def settings_of(config: Any) -> dict[str, Any]:
    """The keys of `PUBLISHED` in a `CLIPSegConfig`, but for `size`, which it does not say."""
    found = {}
    for key in PUBLISHED:
        part, _, name = key.rpartition(".")
        if key != "size":
            value = getattr(getattr(config, part) if part else config, name)
            found[key] = list(value) if isinstance(value, tuple) else value
    return found


def picked(states: Sequence[Tensor], blocks: Sequence[int]) -> list[Tensor]:
    """The outputs of `blocks` (from 0) among hidden states, the first of which is what goes into block 0."""
    return [states[block + 1] for block in blocks]


def clip_tokens(texts: Sequence[str], context: int) -> tuple[Tensor, Tensor]:
    """CLIP's byte pairs of texts: numbers (text, token), 0 behind the end, and which are there (text, token).

    A text longer than `context` is cut and keeps its end.
    """
    numbers = _clip_tokenizer()(list(texts), context_length=context)
    ends = (numbers == WORDS - 1).int().argmax(dim=1)
    there = torch.arange(context) <= ends[:, None]
    longest = int(ends.max()) + 1
    return numbers[:, :longest], there[:, :longest]


@lru_cache(maxsize=1)
def _clip_tokenizer() -> Any:
    return import_peer_library("open_clip").tokenizer.SimpleTokenizer()


def under(settings: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The settings whose dotted keys begin with `prefix`, without it."""
    start = f"{prefix}."
    return {key.removeprefix(start): value for key, value in settings.items() if key.startswith(start)}


def check_changes(model: str, changes: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise `UsageError` where `changes` have a key that is not among the `known`."""
    unknown = [key for key in changes if key not in known]
    if unknown:
        raise UsageError(f"{model} does not let {', '.join(unknown)} be changed: expected one of {', '.join(known)}")


def check_extraction(settings: Mapping[str, Any], blocks: int, prefix: str = "") -> None:
    """Raise `UsageError` where blocks to extract are not there, or no layer of the decoder would read the text."""
    layers, conditional = settings[f"{prefix}extract_layers"], settings[f"{prefix}conditional_layer"]
    if not layers or any(block not in range(blocks) for block in layers):
        raise UsageError(f"{prefix}extract_layers is {layers}: expected numbers of blocks from 0 to {blocks - 1}")
    if conditional not in range(len(layers)):
        raise UsageError(f"{prefix}conditional_layer is {conditional}: expected 0 to {len(layers) - 1}")


def check_size(size: int, patch: int) -> None:
    """Raise `UsageError` where a side (pixels) is not made of whole patches."""
    if size <= 0 or size % patch:
        raise UsageError(f"size is {size}: expected a multiple of the patch, {patch} pixels")


@contextmanager
def understandable(model: str) -> Iterator[None]:
    """Errors of transformers about a configuration that cannot be, as `UsageError`."""
    from huggingface_hub.errors import StrictDataclassError

    try:
        yield
    except (StrictDataclassError, TypeError, ValueError) as error:
        raise UsageError(f"{model} cannot be built with these settings: {brief(error)}") from error
