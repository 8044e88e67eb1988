"""Models that we compare with, each one file behind `PeerModel`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from zeusseg.errors import UsageError

if TYPE_CHECKING:
    from zeusseg.models.peers.base import PeerModel

# Where each is; they are imported when they are asked for, because their libraries are optional.
PEERS = {
    "clipseg": ("clipseg", "ClipSeg"),
    "biomedclipseg": ("biomedclipseg", "BiomedClipSeg"),
    "cris": ("cris", "Cris"),
    "unet": ("networks", "UNet"),
    "unetplusplus": ("networks", "UNetPlusPlus"),
    "deeplabv3plus": ("networks", "DeepLabV3Plus"),
}


def peer_class(name: str) -> type[PeerModel]:
    """The class of a peer model. Raises `UsageError` for an unknown one."""
    if name not in PEERS:
        raise UsageError(f"unknown peer model {name!r}: expected one of {', '.join(PEERS)}")
    module, kind = PEERS[name]
    return getattr(import_module(f"zeusseg.models.peers.{module}"), kind)
