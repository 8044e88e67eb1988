"""What each modality of a phantom truly shows of its lesions, measured on the noise-free image and the exact masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Mask
from zeusseg.datasets.phantom_lesions import LABELS
from zeusseg.datasets.phantom_shapes import Field

# A part is seen when it differs from the tissue around by this share of it and by twice the noise.
SEEN_SHARE = 0.10
SEEN_NOISE = 2.0
# Within this distance of the midline a lesion is called midline.
MIDLINE_MM = 6.0
PARTS = ("oedema", "enhancing tumour", "necrosis", "liver lesion")


@dataclass(frozen=True)
class PartTruth:
    """One part of a lesion (`oedema`, `enhancing tumour`, `necrosis`, `liver lesion`) as one modality shows it.

    `contrast` is (part - surroundings) / |surroundings| of the noise-free image (for `ct`: the difference in HU);
    `polarity` is `iso` where it cannot be told from the surroundings.
    """

    part: str
    polarity: str
    contrast: float
    volume_ml: float


@dataclass(frozen=True)
class LesionTruth:
    """One lesion as one modality shows it.

    side: `left`, `right` (the patient's) or `midline`; ap: `anterior`/`posterior`; level: `superior`/`inferior`
    (halves of the body's cross-section and of the imaged slab); place: lobe or organ. polarity: `bright`, `dark`, or
    `iso` (not seen) of the most conspicuous part. volume_ml and diameter_mm (largest extent within an axial slice)
    are of the parts seen with that polarity, holes filled; lesion_volume_ml and lesion_diameter_mm of all of it.
    border: `sharp`/`ill-defined`. homogeneity: `homogeneous`, or `heterogeneous` where parts of it differ visibly.
    enhancement: `ring`, `solid` or `none`, and None where the modality cannot show it.
    centre_voxel: canonical (x, y, z).
    """

    number: int
    side: str
    ap: str
    level: str
    place: str
    polarity: str
    volume_ml: float
    diameter_mm: float
    lesion_volume_ml: float
    lesion_diameter_mm: float
    border: str
    homogeneity: str
    enhancement: str | None
    centre_voxel: tuple[float, float, float]
    parts: tuple[PartTruth, ...]

    @property
    def equivalent_diameter_mm(self) -> float:
        """Diameter of the ball that has `volume_ml`."""
        return float((6 * self.volume_ml * 1000 / np.pi) ** (1 / 3))


@dataclass(frozen=True)
class PhantomTruth:
    """All lesions of one modality, the largest first. None of them: `no_lesion`."""

    modality: str
    lesions: tuple[LesionTruth, ...]

    @property
    def count(self) -> int:
        return len(self.lesions)

    @property
    def no_lesion(self) -> bool:
        return not self.lesions

    @property
    def visible(self) -> tuple[LesionTruth, ...]:
        """The lesions that this modality can show."""
        return tuple(lesion for lesion in self.lesions if lesion.polarity != "iso")

    def to_json(self) -> dict[str, Any]:
        return {"modality": self.modality, "count": self.count, "lesions": [asdict(lesion) for lesion in self.lesions]}


@dataclass(frozen=True, eq=False)
class Site:
    """One lesion on the final grid, whatever a modality shows of it: its mask (x, y, z), the healthy tissue around it
    that it is compared with, and where it is."""

    number: int
    mask: Mask
    around: Mask
    side: str
    ap: str
    level: str
    place: str
    ill_defined: bool


def side_of(x_mm: float) -> str:
    """The patient's side of a place `x_mm` to the right of the body's midline."""
    if abs(x_mm) < MIDLINE_MM:
        return "midline"
    return "right" if x_mm > 0 else "left"


def tissue_around(mask: Mask, healthy: Mask) -> Mask:
    """The healthy voxels within four voxels in plane of a lesion; where there are none, all that are not lesion."""
    from scipy.ndimage import binary_dilation

    around = binary_dilation(mask, np.ones((3, 3, 1), dtype=bool), iterations=4) & healthy & ~mask
    return around if around.any() else ~mask


def describe_truth(
    modality: str,
    clean: Field,
    noise: float,
    labels: NDArray[np.uint8],
    sites: Sequence[Site],
    spacing_mm: tuple[float, float, float],
    enhances: bool,
) -> PhantomTruth:
    """State what `clean` (x, y, z; noise-free) shows of each lesion.

    `noise` is in the units of `clean`; `enhances` says whether contrast agent shows in this modality.
    """
    lesions = [_lesion(modality, clean, noise, labels, site, spacing_mm, enhances) for site in sites]
    return PhantomTruth(modality, tuple(sorted(lesions, key=lambda item: -item.lesion_volume_ml)))


def _lesion(
    modality: str,
    clean: Field,
    noise: float,
    labels: NDArray[np.uint8],
    site: Site,
    spacing_mm: tuple[float, float, float],
    enhances: bool,
) -> LesionTruth:
    from scipy.ndimage import binary_fill_holes

    surround = float(np.median(clean[site.around]))
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    # Hounsfield units may be near 0 around a lesion, so a share of them means nothing: compare with water's scale.
    scale, seen_share = (1.0, 8.0) if modality == "ct" else (max(abs(surround), 1e-6), SEEN_SHARE)
    parts, masks = [], {}
    for name in PARTS:
        mask = site.mask & (labels == LABELS[name])
        if not mask.any():
            continue
        difference = float(np.median(clean[mask])) - surround
        seen = abs(difference) / scale >= seen_share and abs(difference) >= SEEN_NOISE * noise
        polarity = ("bright" if difference > 0 else "dark") if seen else "iso"
        parts.append(PartTruth(name, polarity, difference / scale, float(mask.sum()) * voxel_ml))
        masks[name] = mask
    seen_parts = [part for part in parts if part.polarity != "iso"]
    polarity = max(seen_parts, key=lambda part: abs(part.contrast)).polarity if seen_parts else "iso"
    shown = np.zeros_like(site.mask)
    for part in seen_parts:
        if part.polarity == polarity:
            shown |= masks[part.part]
    for k in np.flatnonzero(shown.any(axis=(0, 1))):
        shown[:, :, k] = binary_fill_holes(shown[:, :, k])
    enhancement = None
    if enhances:
        ring, solid = "necrosis" in masks, "enhancing tumour" in masks
        enhancement = "ring" if ring and solid else "solid" if solid else "none"
    levels = [part.contrast for part in parts]
    varied = len(parts) > 1 and (max(levels) - min(levels)) >= 2 * seen_share
    return LesionTruth(
        number=site.number,
        side=site.side,
        ap=site.ap,
        level=site.level,
        place=site.place,
        polarity=polarity,
        volume_ml=float(shown.sum()) * voxel_ml,
        diameter_mm=axial_diameter_mm(shown, spacing_mm),
        lesion_volume_ml=float(site.mask.sum()) * voxel_ml,
        lesion_diameter_mm=axial_diameter_mm(site.mask, spacing_mm),
        border="ill-defined" if site.ill_defined else "sharp",
        homogeneity="heterogeneous" if varied else "homogeneous",
        enhancement=enhancement,
        centre_voxel=_centre(site.mask),
        parts=tuple(parts),
    )


def _centre(mask: Mask) -> tuple[float, float, float]:
    x, y, z = np.argwhere(mask).mean(axis=0)
    return (float(x), float(y), float(z))


def axial_diameter_mm(mask: Mask, spacing_mm: Sequence[float]) -> float:
    """The largest extent of a mask (x, y, z) within one axial slice, in mm, voxel edges included; 0 where empty.

    >>> axial_diameter_mm(np.ones((3, 1, 1), dtype=bool), (2.0, 2.0, 5.0))
    6.0
    """
    from scipy.spatial.distance import pdist

    largest = 0.0
    for k in np.flatnonzero(mask.any(axis=(0, 1))):
        plane = np.pad(mask[:, :, k], 1)
        inside = plane[:-2, 1:-1] & plane[2:, 1:-1] & plane[1:-1, :-2] & plane[1:-1, 2:]
        border = np.argwhere(mask[:, :, k] & ~inside) * np.asarray(spacing_mm[:2])
        apart = float(pdist(border).max()) if len(border) > 1 else 0.0
        largest = max(largest, apart + float(np.mean(spacing_mm[:2])))
    return largest
