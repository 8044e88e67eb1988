"""The model: images and instructions in, one mask and one presence logit per instruction out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from zeusseg.models.alignment import STRIDE, TextPixelAlignment
from zeusseg.models.backbone import Backbone, load_backbone
from zeusseg.models.clicks import Clicks
from zeusseg.models.decoder import DecodedMasks, InstructionDecoder, PixelDecoder
from zeusseg.models.fusion import FUSIONS, StackedFusion
from zeusseg.models.neck import MOST_SCALES, FeaturePyramid, Features, PretrainedEncoder, SingleMap
from zeusseg.models.pretrained_text import PretrainedTextEncoder, load_text_encoder
from zeusseg.models.sam_decoder import SamInstructionDecoder
from zeusseg.models.stacking import groups_of, stack_modalities
from zeusseg.models.text import TEXT_ENCODERS, SubwordTextEncoder, TextTokens
from zeusseg.models.vision import VISION_ENCODERS, VisionEncoder

PRETRAINED, RANDOM, SAM = "pretrained:", "random:", "sam"
PRETRAINED_CHANNELS = (32, 64, 128, 192)
COMPACT_CHANNELS = (24, 48, 96, 160, 224)


@dataclass
class ZeusOutput:
    """`masks` (batch, target, height, width) and `presence` (batch, target), both logits.

    `alignment` (batch, target, height / 4 or so, width / 4 or so): logits of the text-to-pixel alignment, in training.
    """

    masks: Tensor
    presence: Tensor
    alignment: Tensor | None = None


def pick(kind: str, choices: Mapping[str, type], name: str, others: str = "") -> type:
    """The part of that name; an unknown one is refused with the names there are."""
    if name not in choices:
        raise ValueError(f"unknown {kind} {name!r}: expected one of {', '.join(sorted(choices))}{others}")
    return choices[name]


class ZeusModel(nn.Module):
    """A light mask decoder that follows instructions over any subset of modalities (Zeus, arXiv 2504.07336).

    `modalities` is how many modalities the model knows; `channels` how many channels each brings (a slice and its
    neighbours, or red, green and blue). `vision` is "compact", "pretrained:MODEL" or "random:MODEL" (the same, its
    weights drawn anew: a control); `text` "subword" or "pretrained:MODEL"; `decoder` "instruction", "sam" or
    "sam:MODEL". MODEL is a folder or a hub id; one that `encoders` holds under its last name is taken from there.
    `lora_rank` and `unfrozen_blocks` train a pretrained vision encoder in part; with `alignment` a second head is
    trained that holds pixels against the instruction before it is decoded (`models.alignment`); with `coordinates` our
    decoder's queries see where a pixel is, which "on the left" needs, and which suits images that show the whole body
    part, not crops. Raises `ValueError` for an unknown part, `UsageError` where a model cannot be loaded.
    """

    # Whether it says by itself how likely a target is there at all.
    has_presence = True

    def __init__(
        self,
        modalities: int,
        channels: int,
        fusion: str = "early",
        vision: str = "compact",
        text: str = "subword",
        decoder: str = "instruction",
        width: int = 128,
        vision_channels: Sequence[int] | None = None,
        norm: str = "batch",
        lora_rank: int = 0,
        unfrozen_blocks: int = 0,
        alignment: bool = False,
        coordinates: bool = False,
        encoders: Path | None = None,
    ):
        super().__init__()
        kind, _, place = decoder.partition(":")
        if kind not in ("instruction", SAM):
            raise ValueError(f"unknown decoder {decoder!r}: expected instruction, sam or sam:MODEL")
        self.channels = channels
        if text.startswith(PRETRAINED):
            self.text: PretrainedTextEncoder | SubwordTextEncoder = load_text_encoder(_place(text, encoders), width)
        else:
            self.text = pick("text encoder", TEXT_ENCODERS, text, f" or {PRETRAINED}MODEL")(width)
        scheme = pick("fusion", FUSIONS, fusion)
        make: Callable[[int], VisionEncoder]
        self.backbone_: tuple[Backbone, ...] = ()
        if vision.startswith((PRETRAINED, RANDOM)):
            if channels not in (1, 3):
                raise ValueError(f"a pretrained encoder takes slices of 1 or 3 channels, not {channels}: set "
                                 "slices.context to 0 or 1")
            backbone = load_backbone(
                _place(vision, encoders), random=vision.startswith(RANDOM), unfrozen_blocks=unfrozen_blocks,
                lora_rank=lora_rank,
            )
            self.backbone_ = (backbone,)
            # The compact encoder's finest scale, half resolution, is one that no pretrained encoder has.
            scales = tuple(vision_channels or PRETRAINED_CHANNELS)[-MOST_SCALES:]
            neck = SingleMap(backbone) if kind == SAM else FeaturePyramid(backbone, scales, norm)
            encoder = PretrainedEncoder(backbone, neck)
            make = lambda inputs: encoder  # noqa: E731 (there is one, whatever it is asked for)
            scheme = StackedFusion if fusion == "early" else scheme
            self.stride = backbone.multiple
        else:
            compact = pick("vision encoder", VISION_ENCODERS, vision, f", {PRETRAINED}MODEL or {RANDOM}MODEL")
            if lora_rank or unfrozen_blocks:
                raise ValueError(f"lora_rank and unfrozen_blocks are for pretrained encoders, not for {vision!r}")
            make = lambda inputs: compact(inputs, tuple(vision_channels or COMPACT_CHANNELS), norm)  # noqa: E731
            self.stride = 2 ** len(vision_channels or COMPACT_CHANNELS)
        self.fusion = scheme(make, modalities, channels, width)
        feature_channels = self.fusion.encoder.channels
        if kind == SAM:
            if coordinates:
                raise ValueError("coordinates are for the decoder instruction: SAM's has its own")
            self.pixels: PixelDecoder | None = None
            # SAM's image embedding has a stride of 16.
            embedding = max(i for i, stride in enumerate(self.fusion.encoder.strides) if stride <= 16 or i == 0)
            self.decoder: nn.Module = SamInstructionDecoder(
                feature_channels, width, _place(decoder, encoders) if place else None, embedding
            )
        else:
            self.pixels = PixelDecoder(feature_channels, norm)
            self.decoder = InstructionDecoder(self.pixels.channels, width, coordinates=coordinates)
        self.alignment: TextPixelAlignment | None = None
        if alignment:
            strides = self.fusion.encoder.strides
            scale = max(i for i, stride in enumerate(strides) if stride <= STRIDE or i == 0)
            # The pixel decoder puts one scale, of full resolution, before those of the encoder.
            self.aligned_scale = scale + (self.pixels is not None)
            self.alignment = TextPixelAlignment(feature_channels[scale], width)

    @property
    def backbone(self) -> Backbone | None:
        """The pretrained vision encoder, where the model has one."""
        return self.backbone_[0] if self.backbone_ else None

    @property
    def frozen(self) -> dict[str, str]:
        """Fingerprints of the frozen encoders, which a checkpoint of this model does not hold."""
        vision = {} if self.backbone is None else {"vision": self.backbone.fingerprint}
        return vision | ({"text": self.text.fingerprint} if isinstance(self.text, PretrainedTextEncoder) else {})

    def encode_text(self, texts: Sequence[str]) -> TextTokens:
        return self.text(texts)

    def encoder_slots(self, present: Tensor) -> list[tuple[int, tuple[int, ...]]]:
        """What a pretrained encoder is to be shown of a sample with `present` (m,): slots, and the modalities in each.

        Each present modality has a slot of its own; in early fusion, each group of three that holds any, and what it
        looks like follows from all of them.
        """
        kept = tuple(present.nonzero()[:, 0].tolist())
        if not self.stacks:
            return [(m, (m,)) for m in kept]
        return [(slot, kept) for slot, group in enumerate(groups_of(len(present))) if set(group) & set(kept)]

    def encoder_image(self, images: Tensor, present: Tensor, slot: int) -> Tensor:
        """What the encoder is shown (1 or 3, h, w) in one slot of a sample: `images` (m, c, h, w), `present` (m,)."""
        padded = pad_to_stride(images, self.stride)
        if not self.stacks:
            return padded[slot]
        return stack_modalities(padded[None], present[None])[0][0, slot]

    def padded_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The (height, width) that images of this size have for the encoder: multiples of `stride`."""
        return (size[0] + -size[0] % self.stride, size[1] + -size[1] % self.stride)

    @property
    def stacks(self) -> bool:
        """Whether a pretrained encoder sees several modalities at once."""
        return isinstance(self.fusion, StackedFusion)

    @property
    def slots(self) -> int:
        """How many slots `Features` have for this model."""
        return self.fusion.slots

    def forward(
        self, images: Tensor | Features, present: Tensor, texts: TextTokens, which: Tensor,
        clicks: Clicks | None = None,
    ) -> ZeusOutput:
        """Segment.

        `images` (batch, modality, channel, height, width), or what a frozen encoder made of them; `present` (batch,
        modality) bool, at least one true per sample; `texts` the distinct instructions; `which` (batch, target) picks
        an instruction for each target of each sample; `clicks` go beside the words.
        """
        words = TextTokens(texts.tokens[which], texts.mask[which], texts.pooled[which])
        shown = images.size if isinstance(images, Features) else (images.shape[-2], images.shape[-1])
        size = self.padded_size(shown)
        if isinstance(images, Tensor):
            images = pad_to_stride(images, self.stride)

        aligned: list[Tensor] = []

        def decode(features: list[Tensor]) -> DecodedMasks:
            pixels = features if self.pixels is None else self.pixels(features)
            if self.alignment is not None and self.training:
                aligned.append(self.alignment(pixels[self.aligned_scale], words.pooled))
            return self.decoder(pixels, words.tokens, words.mask, words.pooled, clicks, size)

        decoded = self.fusion(images, present, decode, words)
        masks = decoded.masks
        if masks.shape[-2:] != size:
            masks = functional.interpolate(masks, size=size, mode="bilinear", align_corners=False)
        # Late fusion decodes each modality: what the instruction means is to be told in all of them together.
        alignment = torch.stack(aligned).mean(dim=0) if aligned else None
        if alignment is not None:
            rows, columns = (-(-n * m // k) for n, m, k in zip(shown, alignment.shape[-2:], size, strict=True))
            alignment = alignment[..., :rows, :columns]
        return ZeusOutput(masks[..., : shown[0], : shown[1]], decoded.presence, alignment)


def pad_to_stride(images: Tensor, stride: int) -> Tensor:
    """Pad rows and columns (..., c, h, w) at their ends, repeating the edge, to multiples of `stride`."""
    rows, columns = (-n % stride for n in images.shape[-2:])
    if not rows and not columns:
        return images
    flat = functional.pad(images.flatten(0, -4), (0, columns, 0, rows), mode="replicate")
    return flat.reshape(*images.shape[:-2], *flat.shape[-2:])


def _place(name: str, encoders: Path | None) -> str:
    """The folder or hub id after the colon, or the copy that lies in `encoders`."""
    model = name.partition(":")[2]
    copy = encoders / Path(model).name if encoders else None
    return str(copy) if copy is not None and copy.is_dir() else model


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """Trainable and all parameters, those of frozen encoders among the latter."""
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    every = {id(p): p.numel() for p in model.parameters()}
    if isinstance(model, ZeusModel):
        every |= {id(p): p.numel() for p in model.backbone.parameters()} if model.backbone else {}
        every[0] = model.text.frozen_parameters if isinstance(model.text, PretrainedTextEncoder) else 0
    return trained, sum(every.values())


def distinct(texts: Sequence[Sequence[str]]) -> tuple[list[str], Tensor]:
    """Distinct texts and, for each (sample, target), which of them it is: each is embedded once.

    >>> distinct([["a", "b"], ["a", "a"]])[1].tolist()
    [[0, 1], [0, 0]]
    """
    order = {text: i for i, text in enumerate(dict.fromkeys(t for sample in texts for t in sample))}
    return list(order), torch.tensor([[order[t] for t in sample] for sample in texts])
