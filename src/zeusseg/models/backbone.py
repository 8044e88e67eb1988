"""Pretrained vision encoders behind one face: an image in, feature maps out, whatever family the encoder is of."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Self

import torch
from torch import Tensor, nn

from zeusseg.errors import UsageError
from zeusseg.models import openclip
from zeusseg.models.adaptation import add_lora, load_trained_state, trained_state, unfreeze
from zeusseg.models.families import FAMILIES, blocks_of, places, vision_config
from zeusseg.models.weights import Publication, digest, draw_random, load_pretrained, look_up

# The part of z-scored intensities that becomes the encoder's black to white. Encoders were trained on pictures, whose
# pixels fill 0 to 1, and each subtracts its pictures' mean and deviation itself. A window that is the same for every
# image keeps what normalisation achieved: the same tissue has the same brightness everywhere. Within 2.5 deviations
# lies nearly all tissue; a wider one would show it in a few greys, and what is brighter or darker is as visible when
# it is wholly white or black.
WINDOW = (-2.5, 2.5)
# Deviations of weights that are drawn.
LEAST_DEVIATION, USUAL_DEVIATION = 1e-4, 0.02
Pixels = tuple[Sequence[float], Sequence[float]]


def load_backbone(model: str, *, random: bool = False, unfrozen_blocks: int = 0, lora_rank: int = 0) -> Backbone:
    """The vision encoder of a folder or hub id, in transformers' format or open_clip's around a timm ViT.

    Of a model with a text tower or a mask decoder, only the vision encoder is read. `random` takes its architecture
    alone and draws the weights from a fixed seed: a control, for which the configuration files suffice.
    `unfrozen_blocks` trains the last blocks (or stages), `lora_rank` low-rank changes of attention; else it is frozen.
    Raises `UsageError` for a model that is not there, is of no known kind, lacks weights, or cannot be adapted so.
    """
    try:
        import transformers
    except ImportError as error:
        raise UsageError(f"the vision encoder {model} needs the extra: pip install 'zeusseg[pretrained]'") from error
    if unfrozen_blocks and lora_rank:
        raise UsageError("either the last blocks are trained (unfrozen_blocks) or LoRA (lora_rank), not both")

    publication = look_up(model, "config.json", openclip.CONFIG)
    timm = publication.config.name == openclip.CONFIG
    config = openclip.vit_config(publication) if timm else vision_config(publication)
    family = FAMILIES[config.model_type]
    pixels = _pixel_statistics(publication)
    network = getattr(transformers, family.network)
    if random:
        if getattr(config, "initializer_range", 1.0) < LEAST_DEVIATION:
            # SAM's configuration says 1e-10, for weights that are loaded: drawn so, every image would look the same.
            config.initializer_range = USUAL_DEVIATION
        encoder = draw_random(network, config, **family.options)
        name = "random-" + digest(encoder.state_dict(), publication.config.read_bytes(), pixels)
    elif timm:
        weights = openclip.vit_weights(publication)
        encoder = load_pretrained(network, None, model, state_dict=weights, config=config, **family.options)
        name = publication.fingerprint
    else:
        revision = {"revision": publication.revision} if publication.revision else {}
        encoder = load_pretrained(network, publication.model, model, config=config, **revision, **family.options)
        name = publication.fingerprint

    backbone = Backbone(encoder, pixels, name)
    if lora_rank:
        add_lora(encoder, lora_rank)
    unfreeze(backbone.blocks, unfrozen_blocks)
    return backbone.eval()


class Backbone(nn.Module):
    """An encoder whose weights stay as they were published, except for what it was told to train.

    `channels` and `strides` have one entry per feature map, finest first; a plain transformer has the same stride
    several times. Image sides must be multiples of `multiple`. `fingerprint` tells its weights from others.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, encoder: Any, pixels: Pixels, fingerprint: str):
        super().__init__()
        self.encoder = encoder.requires_grad_(False).eval()
        self.fingerprint = fingerprint
        self.family = FAMILIES[encoder.config.model_type]
        self.places = places(len(self.blocks))
        self.channels, self.strides = self.family.shapes(encoder.config, len(self.places))
        self.multiple = self.strides[-1]
        mean, std = (torch.as_tensor(values, dtype=torch.float32) for values in pixels)
        if encoder.config.num_channels != len(mean):
            mean, std = (values.mean().expand(encoder.config.num_channels) for values in (mean, std))
        self.register_buffer("mean", mean.reshape(-1, 1, 1).clone(), persistent=False)
        self.register_buffer("std", std.reshape(-1, 1, 1).clone(), persistent=False)

    @property
    def blocks(self) -> nn.ModuleList:
        """Its transformer blocks, or its stages."""
        return blocks_of(self.encoder)

    @property
    def trains(self) -> bool:
        return any(p.requires_grad for p in self.encoder.parameters())

    def train(self, mode: bool = True) -> Self:
        """As any module's, but the encoder itself never drops anything out nor renews statistics of its batches."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, image: Tensor) -> list[Tensor]:
        """Feature maps, map i of (b, channels[i], h / strides[i], w / strides[i]).

        `image` (b, 1 or 3, h, w): a slice, a slice between its neighbours, or red, green and blue; intensities as
        `inference.slices.normalise` makes them. Raises `ValueError` for other channels or sides.
        """
        if image.shape[1] not in (1, 3) or any(side % self.multiple for side in image.shape[2:]):
            raise ValueError(
                f"the encoder takes images of 1 or 3 channels, sides multiples of {self.multiple}: not "
                f"{tuple(image.shape[1:])}"
            )
        # Not inference mode: what follows is trained on the maps.
        with nullcontext() if self.trains else torch.no_grad():
            return self.family.read(self.encoder, self._pixels(image), self.places)

    def trained_state(self) -> dict[str, Tensor]:
        """Of its parameters only those that are trained."""
        return trained_state(self.encoder)

    def load_trained_state(self, state: dict[str, Tensor]) -> None:
        """Take back what `trained_state` gave. Raises `ValueError` where it belongs to another adaptation."""
        load_trained_state(self.encoder, state)

    def _pixels(self, image: Tensor) -> Tensor:
        """Intensities (b, 1 or 3, h, w) as the encoder's own pixels (b, 1 or 3 as it takes them, h, w)."""
        low, high = WINDOW
        shown = ((image - low) / (high - low)).clamp(0, 1)
        if shown.shape[1] != len(self.mean):
            # One channel for three is repeated. Three for one: the slice lies between its neighbours, and green is
            # nearest to what the eye takes for brightness.
            middle = shown.shape[1] // 2
            shown = shown[:, middle : middle + 1].expand(-1, len(self.mean), -1, -1)
        return (shown - self.mean) / self.std


def _pixel_statistics(publication: Publication) -> Pixels:
    """Mean and deviation that the encoder's pictures (0 to 1) were given in training; 0.5 where it is not said."""
    for name in ("preprocessor_config.json", "processor_config.json", openclip.CONFIG):
        settings = publication.settings(name)
        # Some files nest what concerns images under a name of their own.
        for part in (settings, *(inner for inner in settings.values() if isinstance(inner, dict))):
            if part.get("do_normalize") is False:
                return (0.0,), (1.0,)
            for mean, std in (("image_mean", "image_std"), ("mean", "std")):
                if part.get(mean) and part.get(std):
                    return tuple(part[mean]), tuple(part[std])
    return (0.5,), (0.5,)
