"""The ground floor: what an image, a target and a case are. Everything else in `zeusseg` stands on these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from zeusseg.errors import BadInputError

Array = NDArray[np.generic]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Grid:
    """The voxel grid of a file, before anything was reoriented.

    `shape` has three axes. `affine` (4, 4) maps a voxel index to millimetres in RAS+ (NIfTI's convention).
    A picture counts as a radiological axial view: columns run to the left, rows to the back, one plane.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    kind: Literal["nifti", "picture"] = "nifti"


@dataclass(frozen=True, eq=False)
class Volume:
    """One image in canonical orientation, with the way back to its file.

    `array` is (x, y, z), or (x, y, z, 3) for a colour picture; x runs to the right, y to the front, z to the head,
    as nearly as axis flips and permutations allow (oblique grids stay oblique). `affine` belongs to `array`.

    >>> flipped = Volume.from_file(np.arange(6).reshape(3, 2, 1), np.diag([-1.0, 1.0, 1.0, 1.0]))
    >>> flipped.array[:, 0, 0].tolist()
    [4, 2, 0]
    >>> flipped.to_file(flipped.array)[:, 0, 0].tolist()
    [0, 2, 4]
    """

    array: Array
    affine: NDArray[np.float64]
    file_grid: Grid

    @classmethod
    def from_file(
        cls, array: Array, affine: NDArray[np.float64], kind: Literal["nifti", "picture"] = "nifti"
    ) -> Volume:
        """Bring an array as stored in a file, (i, j, k) or (i, j, k, 3), into canonical orientation.

        Only flips and permutes axes, so no value changes. Raises `BadInputError` where the affine is singular.
        """
        from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

        affine = np.asarray(affine, dtype=np.float64)
        singular = not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12
        if affine.shape != (4, 4) or singular:
            raise BadInputError(f"the affine {affine.tolist()} maps no grid to space: expected an invertible 4x4")
        orientation = io_orientation(affine)
        shape = (array.shape[0], array.shape[1], array.shape[2])
        return cls(
            array=np.ascontiguousarray(apply_orientation(array, orientation)),
            affine=affine @ inv_ornt_aff(orientation, shape),
            file_grid=Grid(shape, affine, kind),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """The three spatial sizes (x, y, z)."""
        return (self.array.shape[0], self.array.shape[1], self.array.shape[2])

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel along x, y and z in millimetres."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return (float(x), float(y), float(z))

    def to_file(self, array: Array) -> Array:
        """Undo the reorientation: an array on this volume's grid (x, y, z), as the file's own axes have it."""
        from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform

        if array.shape[:3] != self.shape:
            raise ValueError(f"array of shape {array.shape} is not on the grid {self.shape}")
        back = ornt_transform(axcodes2ornt("RAS"), io_orientation(self.file_grid.affine))
        return np.ascontiguousarray(apply_orientation(array, back))

    def same_grid(self, other: Volume) -> bool:
        """Whether both have the same voxels in the same place (to a hundredth of a voxel edge)."""
        tolerance = 1e-2 * min(self.spacing_mm)
        return self.shape == other.shape and bool(np.allclose(self.affine, other.affine, atol=tolerance))


@dataclass(frozen=True)
class Target:
    """What to segment: a name, the label value or values that make it up, and the words people use for it."""

    name: str
    values: tuple[int, ...]
    synonyms: tuple[str, ...] = ()
    definition: str = ""


@dataclass(frozen=True, eq=False)
class Case:
    """One examination of one patient: modalities on one grid, perhaps labels. A missing modality is an absent key.

    The first image is the reference modality, whose file grid masks are written on. `labels.array` holds integers.
    Where `spacing_known` is false the header's millimetres mean nothing: distances are then in voxels.
    `notices` says what was done to the images on the way in (a modality resampled, say).
    """

    id: str
    patient: str
    images: Mapping[str, Volume]
    labels: Volume | None = None
    spacing_known: bool = True
    notices: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.images:
            raise BadInputError(f"case {self.id!r} has no image: expected at least one modality")
        first = next(iter(self.images))
        parts = dict(self.images) if self.labels is None else {**self.images, "labels": self.labels}
        for name, volume in parts.items():
            if not volume.same_grid(self.reference):
                raise BadInputError(
                    f"case {self.id!r}: {name} {volume.shape} is not on the grid of {first} {self.reference.shape}; "
                    "resample it to that grid first"
                )

    @property
    def reference(self) -> Volume:
        return next(iter(self.images.values()))

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.reference.shape

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel edges in millimetres, or (1, 1, 1), meaning voxels, where the spacing is unknown."""
        return self.reference.spacing_mm if self.spacing_known else (1.0, 1.0, 1.0)

    @property
    def slice_axis(self) -> int:
        """The axis that slices are cut across: the coarsest, or the one of fewest planes where spacing is unknown.

        Ties go to the axial axis (2), then the coronal (1): an isotropic volume is read in axial slices.
        """
        coarseness = np.array(self.spacing_mm) if self.spacing_known else -np.array(self.shape, dtype=float)
        return int(max(reversed(range(3)), key=lambda axis: round(float(coarseness[axis]), 3)))

    def mask(self, target: Target) -> Mask:
        """The reference mask (x, y, z) of a target. Raises `BadInputError` where the case has no labels."""
        if self.labels is None:
            raise BadInputError(f"case {self.id!r} has no labels, so {target.name!r} has no reference mask")
        return np.isin(self.labels.array, target.values)

    def without_labels(self) -> Case:
        return replace(self, labels=None)

    def with_modalities(self, names: Sequence[str]) -> Case:
        """The same case with only these modalities. Raises `BadInputError` where it has none of them."""
        kept = {name: volume for name, volume in self.images.items() if name in names}
        if not kept:
            raise BadInputError(f"case {self.id!r} has {sorted(self.images)} but none of {sorted(names)}")
        return replace(self, images=kept)


class CaseSource(Protocol):
    """Anything that reads cases by id: a data set on disk, or a list in memory."""

    @property
    def targets(self) -> tuple[Target, ...]: ...

    @property
    def case_ids(self) -> tuple[str, ...]: ...

    def read(self, case_id: str, *, labels: bool = True) -> Case:
        """Read one case; with `labels=False` the label file is not even opened. Raises `BadInputError`."""
        ...


def find_target(targets: Iterable[Target], name: str) -> Target | None:
    """The target of this name or synonym (case does not matter), or None."""
    wanted = name.strip().casefold()
    ordered: Iterator[Target] = iter(targets)
    return next((t for t in ordered if wanted in {t.name.casefold(), *(s.casefold() for s in t.synonyms)}), None)
