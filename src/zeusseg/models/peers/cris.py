"""CRIS: CLIP-driven referring image segmentation (Wang et al., CVPR 2022, arXiv 2111.15174), as a peer model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from zeusseg.errors import UsageError
from zeusseg.models.peers.base import PeerModel
from zeusseg.models.peers.cris_parts import DensePooling, FusionNeck, Projector, WordDecoder
from zeusseg.models.peers.libraries import import_peer_library
from zeusseg.models.text import TextTokens
from zeusseg.models.weights import brief, read_tensors, weights_file

# The published CRIS with ResNet-50. `context` is what CLIP has positions for, and what the study of Poudel et al.
# (arXiv 2308.07706) reads; CRIS itself stops at 17 tokens on RefCOCO, which no weight depends on.
PUBLISHED: dict[str, Any] = {
    "size": 416, "context": 77, "embed": 1024,
    "vision.layers": [3, 4, 6, 3], "vision.width": 64,
    "text.layers": 12, "text.width": 512, "text.heads": 8,
    "neck.fine": 256, "neck.coarse": 1024,
    "decoder.layers": 3, "decoder.heads": 8, "decoder.feedforward": 2048, "decoder.dropout": 0.1,
}  # fmt: skip
WITH_WEIGHTS = ("size",)
SUFFIXES = (".pth", ".pt", ".safetensors")
# The coarsest map's stride, and the side of the pictures that CLIP's position embedding was trained on.
STRIDE, CLIP_SIDE = 32, 224
# The published checkpoint was saved from a model inside DistributedDataParallel.
WRAPPER = "module."


class Cris(PeerModel):
    """CLIP's ResNet and text transformer, a neck that multiplies maps by the sentence, a decoder that reads the words.

    A mask's logit is the similarity of the text to that pixel, at stride 4: CRIS's text-to-pixel contrastive loss is
    the binary cross-entropy between it and the mask. The decoder has the width of the words (`text.width`).
    `settings` hold `frozen` (whether CLIP is; as published, everything is trained) besides what builds the network.
    Raises `UsageError` for settings that make no network.
    """

    def __init__(self, settings: Mapping[str, Any]):
        _check(settings)
        super().__init__(settings)
        open_clip = import_peer_library("open_clip")
        channels, words, embed = settings["vision.width"], settings["text.width"], settings["embed"]
        self.backbone = open_clip.model.CLIP(
            embed,
            open_clip.model.CLIPVisionCfg(
                layers=tuple(settings["vision.layers"]), width=channels, image_size=CLIP_SIDE
            ),
            open_clip.model.CLIPTextCfg(
                context_length=settings["context"], width=words, heads=settings["text.heads"],
                layers=settings["text.layers"],
            ),
            quick_gelu=True,
        )  # fmt: skip
        pooling = self.backbone.visual.attnpool
        self.backbone.visual.attnpool = DensePooling(CLIP_SIDE // STRIDE, 32 * channels, pooling.num_heads, embed)
        self.neck = FusionNeck(
            (8 * channels, 16 * channels, embed), settings["neck.fine"], words, settings["neck.coarse"]
        )
        self.decoder = WordDecoder(
            settings["decoder.layers"], words, settings["decoder.heads"], settings["decoder.feedforward"],
            settings["decoder.dropout"],
        )  # fmt: skip
        self.proj = Projector(words, embed)
        self.freeze()

    @classmethod
    def load(cls, weights: str | None, changes: Mapping[str, Any], *, frozen: bool | None = None) -> Self:
        """As `PeerModel.load`. `weights`: a published checkpoint (.pth, .pt, .safetensors), or a folder with one.

        With weights, only `size` may be changed. `frozen` None trains the encoders: so do CRIS and the study of
        Poudel et al.; true keeps the statistics of their batch normalisation too.
        """
        unknown = [key for key in changes if key not in PUBLISHED]
        if unknown:
            raise UsageError(f"CRIS has no setting {unknown[0]!r}: expected one of {', '.join(PUBLISHED)}")
        fixed = [key for key in changes if key not in WITH_WEIGHTS]
        if weights is not None and fixed:
            raise UsageError(
                f"{fixed[0]} cannot be changed where CRIS starts from weights ({weights}): change only "
                f"{', '.join(WITH_WEIGHTS)}, or leave the weights out"
            )
        state = None if weights is None else _read(weights_file(weights, SUFFIXES))
        model = cls({**PUBLISHED, **changes, "frozen": bool(frozen)})
        if state is not None:
            model._fill(state, f"{weights}")
        return model

    @property
    def encoders(self) -> tuple[nn.Module, ...]:
        return (self.backbone,)

    def encode_text(self, texts: Sequence[str]) -> TextTokens:
        """As `PeerModel.encode_text`: `tokens` are `text.width` wide and include start and end, `pooled` is `embed`
        wide. A text longer than the context is cut before its end token."""
        clip = self.backbone
        tokenize = import_peer_library("open_clip").tokenize
        ids = tokenize(list(texts), context_length=self.settings["context"]).to(self.pixel_mean.device)
        # CLIP's end token has the highest number; behind it there is padding, whose number is also a word's.
        ends = ids.argmax(dim=1)
        longest = int(ends.max()) + 1
        places = torch.arange(longest, device=ids.device)
        tokens = clip.token_embedding(ids[:, :longest]) + clip.positional_embedding[:longest]
        # No word looks ahead, so that leaving padding out changes none of them.
        tokens = clip.ln_final(clip.transformer(tokens, attn_mask=clip.attn_mask[:longest, :longest]))
        pooled = tokens[torch.arange(len(ids), device=ids.device), ends] @ clip.text_projection
        return TextTokens(tokens, places <= ends[:, None], pooled)

    def segment(self, pixels: Tensor, words: TextTokens) -> Tensor:
        """As `PeerModel.segment`, with logits at stride 4. A training step needs two pairs of picture and text or more:
        batch normalisation of a single sentence is not defined."""
        visual = self.backbone.visual
        count = words.tokens.shape[1]
        maps = [visual.layer2(visual.layer1(visual.stem(pixels)))]
        maps.append(visual.layer3(maps[-1]))
        maps.append(visual.attnpool(visual.layer4(maps[-1])))
        maps = [repeat(found, "b c h w -> (b t) c h w", t=count) for found in maps]
        tokens, mask, sentence = (
            rearrange(field, "b t ... -> (b t) ...") for field in (words.tokens, words.mask, words.pooled)
        )
        fused = self.decoder(self.neck(maps, sentence), tokens, mask)
        return rearrange(self.proj(fused, sentence), "(b t) h w -> b t h w", t=count)

    def _fill(self, state: Mapping[str, Tensor], source: str) -> None:
        """Every weight from a checkpoint. Raises `UsageError` where `source` has others than this architecture."""
        try:
            report = self.load_state_dict(state, strict=False)
        except RuntimeError as error:
            raise UsageError(f"{source} does not fit the published CRIS with ResNet-50: {brief(error)}") from error
        for keys, what in ((report.missing_keys, "lacks"), (report.unexpected_keys, "has, beyond it,")):
            if keys:
                raise UsageError(
                    f"{source} is not the published CRIS with ResNet-50: it {what} {len(keys)} tensors ({keys[0]}, ...)"
                )


def _check(settings: Mapping[str, Any]) -> None:
    expected = {**PUBLISHED, "frozen": False}
    if settings.keys() != expected.keys():
        odd = sorted(settings.keys() ^ expected.keys())
        raise UsageError(f"CRIS's settings are {', '.join(expected)}: {', '.join(odd)} is missing or unknown")
    if settings["size"] <= 0 or settings["size"] % STRIDE:
        raise UsageError(f"CRIS reads squares whose side is a multiple of {STRIDE}: size is {settings['size']}")
    # Four: the fixed positions of a map are sines and cosines of its columns and of its rows.
    divisors = {"text.heads": settings["text.heads"], "decoder.heads": settings["decoder.heads"], "four": 4}
    for name, divisor in divisors.items():
        if settings["text.width"] % divisor:
            raise UsageError(f"text.width is {settings['text.width']}: expected a multiple of {name} ({divisor})")


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, by the names of an unwrapped model."""
    content = read_tensors(path)
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping):
        raise UsageError(f"{path} holds {type(content).__name__}: expected a state dict, by itself or as state_dict")
    return {key.removeprefix(WRAPPER): tensor for key, tensor in state.items()}
