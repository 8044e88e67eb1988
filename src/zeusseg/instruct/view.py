"""What an image shows of the body: its outline, and the plane between left and right."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from zeusseg.case import Mask, Volume
from zeusseg.instruct.foreground import Foreground, WorkGrid, find_foreground, work_grid
from zeusseg.instruct.measure import CT_WINDOW_HU
from zeusseg.instruct.symmetry import SagittalPlane, find_plane

# A target that fills so much of what looks like a body in air is no part of one: the image is a tight crop of it.
MOST_OF_A_BODY = 0.25


@dataclass(frozen=True, eq=False)
class View:
    """What a case shows of the body: the modality that shows most of it on its work grid, and the sagittal plane.

    `plane` is None where there are no sides of the patient to tell: in crops and pictures.
    """

    grid: WorkGrid
    foreground: Foreground
    plane: SagittalPlane | None

    @property
    def voxels(self) -> int:
        """Voxels of the case that belong to the body (of a crop or picture: to what is in view)."""
        return int(self.foreground.mask.sum()) * self.grid.voxels_per_block

    def around(self, mask: Mask) -> View:
        """The same view, but as a crop where much of what was taken for a body in air is the mask (x, y, z) itself.

        In a tight crop the target stands out from what is around it as a body does.
        """
        if self.plane is None or mask.sum() <= MOST_OF_A_BODY * self.voxels:
            return self
        whole = np.ones_like(self.foreground.mask)
        return View(self.grid, replace(self.foreground, mask=whole, frame="crop"), None)

    def body(self, shape: tuple[int, int, int]) -> Mask:
        """The body on the case's own grid (x, y, z)."""
        blocks = [
            np.minimum(np.arange(n) // factor, size - 1)
            for n, factor, size in zip(shape, self.grid.factors, self.foreground.mask.shape, strict=True)
        ]
        return self.foreground.mask[np.ix_(*blocks)]


def look_at(volume: Volume, modality: str, spacing_known: bool) -> View:
    """What one image shows of the body."""
    # As `instruct.measure` looks at an image.
    grid = work_grid(volume, spacing_known)
    is_ct = modality.casefold() == "ct" and float(grid.image.min()) < -500
    image = np.clip(grid.image, *CT_WINDOW_HU) if is_ct else grid.image
    foreground = find_foreground(grid.image, kind=volume.file_grid.kind, is_ct=is_ct)
    plane = find_plane(foreground.mask, image, grid.edges) if foreground.frame == "body" else None
    return View(grid, foreground, plane)
