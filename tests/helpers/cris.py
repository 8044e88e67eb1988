"""A tiny CRIS, and what is asked of it."""

from __future__ import annotations

from collections import Counter

import torch
from torch import nn

from zeusseg.models.peers.cris import PUBLISHED, Cris
from zeusseg.models.peers.libraries import import_peer_library
from zeusseg.models.text import TextTokens

tokenize = import_peer_library("open_clip").tokenize
TINY = {
    "size": 64, "embed": 24, "vision.layers": [1, 1, 1, 1], "vision.width": 8, "text.layers": 2, "text.width": 16,
    "text.heads": 2, "neck.fine": 8, "neck.coarse": 32, "decoder.layers": 2, "decoder.heads": 2,
    "decoder.feedforward": 32,
}  # fmt: skip
SHORT, LONG = "a polyp", "one small pink round polyp, located at the top left of the picture"
START, END = 49406, 49407
# CLIP's temperature, which its own loss reads and no mask does.
UNUSED = "backbone.logit_scale"


def tiny(**changes) -> Cris:
    """A tiny CRIS whose residual branches are open: they start closed, and would hide what is behind them."""
    torch.manual_seed(0)
    model = Cris({**PUBLISHED, **TINY, **changes, "frozen": False})
    for name, parameter in model.named_parameters():
        if name.endswith("bn3.weight"):
            nn.init.ones_(parameter)
    return model.eval()


def pixels(count: int = 2, size: int = 64) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def ask(model: Cris, picture: torch.Tensor, *texts: str) -> torch.Tensor:
    """Masks of all pictures for all texts."""
    found = model.encode_text(texts)
    each = [field.expand(len(picture), *field.shape) for field in (found.tokens, found.mask, found.pooled)]
    return model.segment(picture, TextTokens(*each))


def checkpoint(model: Cris) -> dict[str, object]:
    """What CRIS's training saves: the wrapped model's state beside that of its optimizer and its schedule."""
    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    return {"epoch": 50, "best_iou": 0.6, "state_dict": state, "scheduler": {"milestones": Counter([35])}}


