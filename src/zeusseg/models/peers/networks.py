"""Networks that see the picture and no words: UNet, UNet++ and DeepLabV3+, as segmentation_models_pytorch builds them.

What a model gains from words shows beside them. The study of transfer (arXiv 2308.07706 and the configurations of its
code) has them with a ResNet-50 that was trained on ImageNet, pictures of 256 pixels and the library's own defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from zeusseg.errors import UsageError
from zeusseg.models.peers.base import IMAGENET_PIXELS, PeerModel
from zeusseg.models.peers.libraries import import_peer_library
from zeusseg.models.text import TextTokens
from zeusseg.models.weights import brief, read_tensors, weights_file

# He et al., "Deep residual learning for image recognition" (2016), table 1.
ENCODERS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
# What the decoders of UNet and UNet++ end each of their stages with, the coarsest first.
DECODER_CHANNELS = [256, 128, 64, 32, 16]
WEIGHTS = (".safetensors", ".pth")


class PictureNetwork(PeerModel):
    """An encoder with the weights of a classifier, and a decoder: the same mask for whatever text.

    `settings`: those of `published`, and `frozen`, whether the encoder stays as it is (its norms' statistics too).
    """

    reads_text = False
    architecture: ClassVar[str]  # the library's name
    stride: ClassVar[int]  # that of the coarsest map, which the size must be a multiple of
    published: ClassVar[Mapping[str, Any]]

    def __init__(self, settings: Mapping[str, Any]):
        self._check(settings)
        super().__init__(settings, IMAGENET_PIXELS)
        library = import_peer_library("segmentation_models_pytorch")
        decoder = {name: value for name, value in settings.items() if name not in ("size", "encoder", "frozen")}
        self.network: Any = getattr(library, self.architecture)(settings["encoder"], encoder_weights=None, **decoder)
        self.freeze()

    @classmethod
    def load(cls, weights: str | None, changes: Mapping[str, Any], *, frozen: bool | None = None) -> Self:
        """The network with the encoder's `weights`, or with all weights drawn anew (None); the decoder's always are.

        `weights`: a .safetensors or .pth file by torchvision's names (conv1.weight, layer1.0.conv1.weight, ...; its
        classifier fc is not read), or a folder with one. `changes`: `size` (pixels), `encoder` (one of `ENCODERS`) and,
        for UNet and UNet++, `decoder_channels` (five, the coarsest first). `frozen`: as published, None trains the
        encoder. Raises `UsageError` where weights are not there or do not fit, for an unknown key or a value that the
        network cannot have, and where the extra is not installed.
        """
        unknown = sorted(set(changes) - set(cls.published))
        if unknown:
            raise UsageError(f"{cls.__name__} has no setting {unknown[0]!r}: expected {', '.join(cls.published)}")
        state = None if weights is None else _read_weights(weights_file(weights, WEIGHTS))
        model = cls({**cls.published, **changes, "frozen": bool(frozen)})
        if state is not None:
            try:
                model.network.encoder.load_state_dict(state)  # which leaves out the classifier
            except RuntimeError as error:
                raise UsageError(
                    f"{weights} does not fit the encoder {model.settings['encoder']}: expected its tensors by "
                    f"torchvision's names, all of them and no others ({brief(error)})"
                ) from error
        return model

    def encode_text(self, texts: Sequence[str]) -> TextTokens:
        """Tokens that carry nothing: zeros (text, 1, 1), `mask` (text, 1) true, `pooled` zeros (text, 1)."""
        pooled = self.pixel_mean.new_zeros(len(texts), 1)
        return TextTokens(pooled[:, None], torch.ones_like(pooled, dtype=torch.bool), pooled)

    def segment(self, pixels: Tensor, words: TextTokens) -> Tensor:
        """Mask logits (b, t, size, size): the network runs once for each picture."""
        return self.network(pixels).expand(-1, words.pooled.shape[1], -1, -1)

    @property
    def encoders(self) -> tuple[nn.Module, ...]:
        return (self.network.encoder,)

    @classmethod
    def _check(cls, settings: Mapping[str, Any]) -> None:
        size, encoder = settings["size"], settings["encoder"]
        if not isinstance(size, int) or size < 1 or size % cls.stride:
            raise UsageError(f"{cls.__name__} cannot have size {size}: expected a multiple of {cls.stride}")
        if encoder not in ENCODERS:
            raise UsageError(f"{cls.__name__} has no encoder {encoder!r}: expected one of {', '.join(ENCODERS)}")
        channels = settings.get("decoder_channels", DECODER_CHANNELS)
        if len(channels) != len(DECODER_CHANNELS):
            raise UsageError(
                f"{cls.__name__} cannot have decoder_channels {channels}: expected {len(DECODER_CHANNELS)} numbers, "
                f"the coarsest stage's first, as in {DECODER_CHANNELS}"
            )


class UNet(PictureNetwork):
    """Ronneberger et al., "U-Net" (arXiv 1505.04597), figure 1, with a ResNet as its contracting path."""

    architecture = "Unet"
    stride = 32
    published: ClassVar = {"size": 256, "encoder": "resnet50", "decoder_channels": DECODER_CHANNELS}


class UNetPlusPlus(PictureNetwork):
    """Zhou et al., "UNet++" (arXiv 1807.10165), figure 1, without its deep supervision."""

    architecture = "UnetPlusPlus"
    stride = 32
    published: ClassVar = {"size": 256, "encoder": "resnet50", "decoder_channels": DECODER_CHANNELS}


class DeepLabV3Plus(PictureNetwork):
    """Chen et al., "Encoder-decoder with atrous separable convolution" (arXiv 1802.02611), figure 2, at stride 16."""

    architecture = "DeepLabV3Plus"
    stride = 16
    published: ClassVar = {"size": 256, "encoder": "resnet50"}

    def segment(self, pixels: Tensor, words: TextTokens) -> Tensor:
        """As the others'. Raises `UsageError` in training on one picture."""
        if self.training and len(pixels) == 1:
            # One branch sees the mean of the whole picture: its norm would have one value per channel.
            raise UsageError("DeepLabV3Plus cannot be trained on a batch of 1: expected a batch size of 2 or more")
        return super().segment(pixels, words)


def _read_weights(path: Path) -> dict[str, Tensor]:
    state = read_tensors(path)
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise UsageError(f"{path} is no state dictionary: expected tensors by name, not inside something else")
    return state
