"""A torchvision that was built for CUDA, beside a torch for CPUs: what imports it must not fail over it.

Package indices offer torchvision for CUDA alone. Beside a torch for CPUs its compiled part does not load, so that the
operations which its Python files name at import do not exist; and lightning and transformers import it wherever it is
installed. Naming the operations is enough, since nothing of ours calls them.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch

OPERATIONS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# What a library defines is gone when it is.
_named: list[torch.library.Library] = []


def guard_torchvision() -> None:
    """To be called before anything that imports torchvision. Where that fits, or is not there, it does nothing.

    torchvision itself is not imported: it takes a second.
    """
    if _named or torch.version.cuda is not None:
        return
    found = find_spec("torchvision")
    places = found.submodule_search_locations if found else None
    if not places or "+cu" not in (Path(places[0]) / "version.py").read_text(encoding="utf-8"):
        return
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for schema in OPERATIONS:
        library.define(schema)  # type: ignore[no-untyped-call]
    _named.append(library)
