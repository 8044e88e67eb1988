"""Phantoms as teachers: their slices, their labels, and what is true of their lesions in each modality."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from zeusseg.datasets.phantom import MODALITIES, Phantom, Region, make_phantom
from zeusseg.datasets.phantom_lesions import LABELS
from zeusseg.datasets.phantom_truth import PhantomTruth
from zeusseg.files import write_atomically
from zeusseg.inference.slices import SliceStack
from zeusseg.planes import cut
from zeusseg.pretraining.config import PhantomsConfig
from zeusseg.pretraining.slices import SlicedCase, planes_with_tissue, slice_case
from zeusseg.work import each

CLASSES = max(LABELS.values()) + 1
LESIONS = tuple(LABELS[name] for name in ("oedema", "enhancing tumour", "necrosis", "liver lesion"))
ALL_MODALITIES = tuple(dict.fromkeys(name for names in MODALITIES.values() for name in names))
# Attribute → the words whose place is the class. The first two of `polarity` and of `side` are each other's mirror.
ATTRIBUTES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "modality": ALL_MODALITIES,
        "lesion": ("absent", "present"),
        "polarity": ("bright", "dark", "iso"),
        "side": ("left", "right", "midline"),
        "enhancement": ("none", "solid", "ring"),
    }
)
UNDEFINED = -1


def load_phantoms(config: PhantomsConfig, seed: int, cache: Path, *, progress: bool) -> list[SlicedCase]:
    """The phantoms of a pretraining, in memory (1.2 MB each as configured); those not yet in `cache` are made first."""
    bodies = np.random.default_rng([seed, 0]).integers(2**31, size=config.count).tolist()
    regions = [config.regions[i % len(config.regions)] for i in range(config.count)]
    plans = [(body, region, _path(cache, config, body)) for body, region in zip(bodies, regions, strict=True)]
    todo = [plan for plan in plans if not _readable(plan[2])]
    for _ in each(partial(_make, config=config), todo, "making phantoms", show=progress):
        pass
    return [_load(path, region) for _, region, path in plans]


def _path(cache: Path, config: PhantomsConfig, body: int) -> Path:
    grid = "x".join(map(str, (*config.shape, *(config.spacing_mm or ()))))
    return cache / f"{body:010d}_{grid}.safetensors"


def _readable(path: Path) -> bool:
    try:
        return bool(load_file(path))
    except (SafetensorError, OSError):
        return False


def _make(plan: tuple[int, Region, Path], config: PhantomsConfig) -> None:
    body, region, path = plan
    phantom = make_phantom(
        body, region, modalities=MODALITIES[region], randomise=True, shape=config.shape, spacing_mm=config.spacing_mm
    )
    sliced = phantom_slices(phantom)
    assert sliced.labels is not None
    tensors = {"images": sliced.stack.images[..., 0], "labels": sliced.labels, **sliced.attributes}
    with write_atomically(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary)


def _load(path: Path, region: Region) -> SlicedCase:
    tensors = load_file(path)
    images, labels = tensors.pop("images")[..., None], tensors.pop("labels")
    planes, rows, columns = labels.shape
    stack = SliceStack(images, torch.ones(len(images), dtype=torch.bool), 2, (planes, rows, columns))
    return SlicedCase(MODALITIES[region], stack, planes_with_tissue(stack), labels, tensors)


def phantom_slices(phantom: Phantom) -> SlicedCase:
    """Cut a phantom with its labels, and state what its truth says of each modality."""
    case = phantom.case
    sliced = slice_case(case, tuple(case.images))
    assert case.labels is not None
    sliced.labels = torch.from_numpy(np.ascontiguousarray(cut(case.labels.array, case.slice_axis)).astype(np.uint8))
    told: dict[str, Callable[[Any], str | None]] = {
        "polarity": lambda lesion: lesion.polarity,
        "side": lambda lesion: lesion.side,
        "enhancement": lambda lesion: lesion.enhancement,
    }
    truths = [phantom.truth[name] for name in sliced.modalities]
    sliced.attributes = {
        name: torch.tensor([_class(name, truth, tell) for truth in truths]) for name, tell in told.items()
    }
    return sliced


def _class(attribute: str, truth: PhantomTruth, tell: Callable[[Any], str | None]) -> int:
    """The class that all lesions of the phantom share in this modality: a slice may show any of them."""
    words = {tell(lesion) for lesion in truth.lesions}
    word = words.pop() if len(words) == 1 else None
    return UNDEFINED if word is None else ATTRIBUTES[attribute].index(word)
