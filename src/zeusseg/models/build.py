"""From what a checkpoint's header says to the model that its weights belong to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from zeusseg.models.peers import peer_class
from zeusseg.models.peers.base import PeerModel
from zeusseg.models.zeus import ZeusModel

SegmentationModel: TypeAlias = ZeusModel | PeerModel


def build_model(parts: Mapping[str, Any], encoders: Path | None = None) -> SegmentationModel:
    """The model of these `parts`: the arguments of `ZeusModel`, or a `peer`'s name and its `settings`.

    A frozen encoder that lies in `encoders` is taken from there. Raises as `ZeusModel` and the peer do.
    """
    if "peer" in parts:
        return peer_class(parts["peer"])(parts["settings"])
    return ZeusModel(**parts, encoders=encoders)
