"""A case as a stack of slices that a 2-D model can read, and the way back from slice masks to a volume."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from zeusseg.case import Array, Case, Mask, Volume
from zeusseg.planes import cut, uncut

Float = NDArray[np.float32]
# Most tissue lies in this window (liver, kidney, blood, fat to dense bone's edge), in Hounsfield units.
CT_CENTRE_HU, CT_WIDTH_HU = 50.0, 200.0


def foreground(array: Array) -> Mask:
    """Voxels that are not background: those that differ from the commonest border value, where that is common.

    Skull-stripped, z-scored and CT images have backgrounds other than zero; a crop without background is all tissue.
    """
    faces = [array.take(i, axis) for axis in range(3) for i in (0, -1) if array.shape[axis] > 1]
    border = np.concatenate([face.ravel() for face in faces])
    values, counts = np.unique(border, return_counts=True)
    inside = array != values[counts.argmax()]
    if counts.max() < 0.2 * border.size or inside.mean() < 0.01:
        return np.ones(array.shape, dtype=bool)
    return inside


def normalise(volume: Volume, modality: str) -> Float:
    """Intensities (x, y, z[, 3]) that a network can read, about -3 to 3.

    CT keeps Hounsfield units, scaled by a soft-tissue window. Anything else has no unit: mean and deviation of the
    foreground between its 0.5th and 99.5th percentile become 0 and 1.
    """
    array = volume.array.astype(np.float32)
    if modality == "ct":
        return np.clip((array - CT_CENTRE_HU) / CT_WIDTH_HU, -3.0, 3.0).astype(np.float32)
    values = array[foreground(array)]
    low, high = np.percentile(values, (0.5, 99.5))
    clipped = np.clip(values, low, high)
    deviation = float(clipped.std())
    return np.clip((array - clipped.mean()) / (deviation if deviation > 0 else 1.0), -4.0, 6.0).astype(np.float32)


def plane_spacing_mm(case: Case) -> tuple[float, float]:
    """Edge lengths (row, column) of a slice's pixels in millimetres."""
    first, second = (s for i, s in enumerate(case.spacing_mm) if i != case.slice_axis)
    return second, first


@dataclass(frozen=True)
class Slicing:
    """How a model wants its slices: `context` neighbours on each side as channels, pixels of `pixel_mm`.

    `pixel_mm` None leaves the pixels as they are. Where the spacing is unknown, as it is in pictures, `longest_side`
    gives the longer edge of every slice in pixels (None: as it is).
    """

    context: int = 1
    pixel_mm: float | None = None
    longest_side: int | None = None

    @property
    def channels(self) -> int:
        """Channels per modality. With one neighbour on each side, a colour picture's three channels fit as well."""
        return 2 * self.context + 1


@dataclass
class SliceStack:
    """One case ready for the model: `images` (modality, plane, row, column, 1 or 3) float16, `present` (modality,)."""

    images: Tensor
    present: Tensor
    axis: int
    planes_shape: tuple[int, int, int]

    def __len__(self) -> int:
        return int(self.images.shape[1])

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """SHA-256 of each modality's normalised voxels: what a frozen encoder sees of it follows from them."""
        return tuple(hashlib.sha256(np.ascontiguousarray(m.numpy()).data).hexdigest() for m in self.images)

    def read(self, plane: int, slicing: Slicing) -> Tensor:
        """One slice with its neighbours, (modality, channel, row, column) float32; the edges repeat."""
        if self.images.shape[-1] == 3:
            return self.images[:, plane].permute(0, 3, 1, 2).float()
        around = torch.arange(plane - slicing.context, plane + slicing.context + 1).clamp(0, len(self) - 1)
        return self.images[:, around, :, :, 0].float()


def stack_slices(case: Case, modalities: Sequence[str], slicing: Slicing) -> SliceStack:
    """Cut a case for a model that knows `modalities`; those it lacks are zeros and marked as not present."""
    axis = case.slice_axis
    planes: dict[str, Tensor] = {}
    for name, volume in case.images.items():
        if name not in modalities:
            continue
        array = cut(normalise(volume, name), axis)
        array = array[..., None] if array.ndim == 3 else array
        if array.shape[-1] == 3 and slicing.channels != 3:
            array = array.mean(axis=-1, keepdims=True)
        planes[name] = resize(torch.from_numpy(np.ascontiguousarray(array)), case, slicing, "bilinear").half()
    depth = max(p.shape[-1] for p in planes.values())
    first = next(iter(planes.values()))
    images = first.new_zeros(len(modalities), *first.shape[:3], depth)
    for name, values in planes.items():
        images[list(modalities).index(name)] = values
    shape = tuple(n for i, n in enumerate(case.shape) if i != axis)
    present = torch.tensor([name in planes for name in modalities])
    return SliceStack(images, present, axis, (case.shape[axis], shape[1], shape[0]))


def stack_masks(case: Case, masks: Sequence[Mask], slicing: Slicing) -> Tensor:
    """Masks (x, y, z) of a case cut and resized like its images: (target, plane, row, column) uint8."""
    cut_masks = [np.ascontiguousarray(cut(mask, case.slice_axis)).astype(np.float32)[..., None] for mask in masks]
    resized = [resize(torch.from_numpy(m), case, slicing, "bilinear")[..., 0] > 0.5 for m in cut_masks]
    return torch.stack(resized).to(torch.uint8)


def resize(planes: Tensor, case: Case, slicing: Slicing, mode: str) -> Tensor:
    """Planes (plane, row, column, channel) resampled within the plane, as `slicing` has it."""
    shape, pixel_mm = planes.shape[1:3], slicing.pixel_mm
    if pixel_mm is not None and case.spacing_known:
        size = [max(1, round(n * s / pixel_mm)) for n, s in zip(shape, plane_spacing_mm(case), strict=True)]
    elif slicing.longest_side is not None and not case.spacing_known:
        size = [max(1, round(n * slicing.longest_side / max(shape))) for n in shape]
    else:
        return planes
    moved = planes.permute(0, 3, 1, 2)
    shrinks = size[0] < planes.shape[1]
    resized = functional.interpolate(moved, size=size, mode=mode, align_corners=False, antialias=shrinks)
    return resized.permute(0, 2, 3, 1)


def restore_planes(values: Tensor, stack: SliceStack) -> NDArray[np.float32]:
    """Slice values (target, plane, row, column) back on the case's grid: (target, x, y, z) float32."""
    size = stack.planes_shape[1:]
    if values.shape[-2:] != size:
        values = functional.interpolate(values, size=size, mode="bilinear", align_corners=False)
    return np.stack([uncut(v, stack.axis) for v in values.float().numpy()])
