"""Phantoms: made-up patients whose images follow from physics and whose masks and findings are known exactly."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from zeusseg.case import Case, Mask, Target, Volume
from zeusseg.datasets.phantom_abdomen import build_abdomen, liver_place
from zeusseg.datasets.phantom_brain import brain_place, build_brain
from zeusseg.datasets.phantom_files import phantom_targets, write_case, write_splits, write_targets
from zeusseg.datasets.phantom_lesions import LABELS, Anatomy, lesion_count
from zeusseg.datasets.phantom_physics import (
    RANDOMISED,
    TISSUE_CODES,
    USUAL,
    Look,
    acquire,
    clean_image,
    tissue_values,
)
from zeusseg.datasets.phantom_several import COUNTS
from zeusseg.datasets.phantom_shapes import fine_axes
from zeusseg.datasets.phantom_truth import PhantomTruth, Site, describe_truth, side_of, tissue_around
from zeusseg.errors import UsageError
from zeusseg.files import write_text
from zeusseg.work import each

Region = Literal["brain", "abdomen"]
# The first of each region is its reference modality.
MODALITIES: dict[str, tuple[str, ...]] = {
    "brain": ("t1", "t1ce", "t2", "flair", "ct"),
    "abdomen": ("t1", "t1ce", "t2", "ct"),
}
USUAL_MODALITIES: dict[str, tuple[str, ...]] = {"brain": ("t1", "t1ce", "t2", "flair"), "abdomen": ("t1", "t2", "ct")}
SPACING_MM: dict[str, tuple[float, float, float]] = {"brain": (2.0, 2.0, 5.0), "abdomen": (3.6, 3.6, 6.0)}
SPLITS: Mapping[str, float] = MappingProxyType({"train": 0.75, "val": 0.1, "test": 0.15})
# Of data sets with several lesions, so many patients have none: a model must not find one by being asked.
LESION_FREE = 0.2
# What lesions are compared with when a modality's truth is stated.
HEALTHY = {"brain": ("grey matter", "white matter", "deep grey matter"), "abdomen": ("liver",)}


@dataclass(frozen=True, eq=False)
class Phantom:
    """A case with labels, what can be segmented in it, and what each of its modalities truly shows."""

    case: Case
    targets: tuple[Target, ...]
    truth: dict[str, PhantomTruth]


def make_phantom(
    seed: int,
    region: Region = "brain",
    lesions: int | None = None,
    modalities: Sequence[str] | None = None,
    randomise: bool = False,
    shape: tuple[int, int, int] = (96, 96, 16),
    spacing_mm: tuple[float, float, float] | None = None,
    *,
    several: bool = False,
) -> Phantom:
    """Make one patient. The same arguments give the same patient; another choice of modalities, the same body.

    `lesions` is their number (None: drawn, none in about 30 %). `randomise` also varies contrast, resolution, noise
    and file orientation widely. `shape` (x, y, z) and `spacing_mm` are of the canonical grid, the body at its middle;
    by default 2 x 2 x 5 mm for a brain and 3.6 x 3.6 x 6 mm for an abdomen. Images are int16 (CT in HU).
    `several`: two to four lesions of a brain instead (`lesions` may say how many), on about the same level and apart
    from each other, so that axial slices show them together. Each is small (outer radius 6 to 7.5 mm) or large (13 to
    17 mm), on the left or on the right, and enhances (solid or ring) or does not; not all are alike.
    Raises `UsageError` for an unknown region or modality, and where there cannot be several lesions.
    """
    if region not in get_args(Region):
        raise UsageError(f"unknown phantom region {region!r}: expected one of {', '.join(get_args(Region))}")
    chosen = tuple(modalities) if modalities is not None else USUAL_MODALITIES[region]
    unknown = [name for name in chosen if name not in MODALITIES[region]]
    if unknown or not chosen:
        raise UsageError(
            f"a {region} phantom has no modality {', '.join(map(repr, unknown)) or '(none was named)'}: "
            f"expected some of {', '.join(MODALITIES[region])}"
        )
    if several and (region != "brain" or lesions not in (None, *COUNTS)):
        raise UsageError(
            f"several lesions were asked for with region={region!r}, lesions={lesions}: "
            f"expected a brain, and lesions from {COUNTS[0]} to {COUNTS[-1]} or None"
        )
    code = get_args(Region).index(region)
    body_rng, lesion_rng, file_rng = (np.random.default_rng([seed, code, part]) for part in range(3))
    spacing = spacing_mm or SPACING_MM[region]
    count = lesion_count(lesion_rng)  # drawn even where it is given, so that the rest stays the same
    if several:
        count = int(lesion_rng.choice(COUNTS))
    count = count if lesions is None else lesions
    axes = fine_axes(shape, spacing)
    if region == "brain":
        anatomy = build_brain(body_rng, lesion_rng, axes, count, several)
    else:
        anatomy = build_abdomen(body_rng, lesion_rng, axes, count)
    labels = _coarse_labels(anatomy.label)
    owner = _coarse_owner(anatomy.owner, labels)
    # Voxels of pure healthy tissue only: border mixtures would blur what a lesion is compared with.
    healthy = _pure(np.isin(anatomy.tissue, [TISSUE_CODES[name] for name in HEALTHY[region]])) & (owner == 0)
    sites = _sites(anatomy, owner, healthy, region)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = [-(size - 1) / 2 * edge for size, edge in zip(shape, spacing, strict=True)]
    look = RANDOMISED if randomise else USUAL
    images: dict[str, Volume] = {}
    truth: dict[str, PhantomTruth] = {}
    for name in chosen:
        clean, stored, noise = _modality(seed, code, region, name, anatomy, spacing, look)
        images[name] = _volume(stored, affine, file_rng if randomise else None)
        truth[name] = describe_truth(name, clean, noise, labels, sites, spacing, _enhances(name, region))
    case = Case(
        id=f"{region}_{seed:05d}",
        patient=f"{region}_{seed:05d}",
        images=images,
        labels=_volume(labels, affine, file_rng if randomise else None),
    )
    return Phantom(case, phantom_targets([region]), truth)


def write_phantoms(
    out: Path,
    count: int,
    seed: int,
    regions: Sequence[Region] = ("brain",),
    modalities: Sequence[str] | None = None,
    randomise: bool = False,
    missing: float = 0.0,
    splits: Mapping[str, float] = SPLITS,
    shape: tuple[int, int, int] = (96, 96, 16),
    spacing_mm: tuple[float, float, float] | None = None,
    *,
    several: bool = False,
) -> None:
    """Write `count` patients as a data set of layout `folder`, which `load_dataset` reads.

    `out`/CASE/{MODALITY,labels}.nii.gz, targets.yaml, splits.json, and truth.jsonl with what each modality truly
    shows. The regions take turns; a modality that a region does not have is left out there. `missing` is the share of
    patients that lack some of their modalities (never all). `several`: brains with two to four lesions that side, size
    or enhancement tells apart, and every fifth or so without any. Raises `UsageError` as `make_phantom` does.
    """

    def write_one(index: int) -> dict[str, Any]:
        region = regions[index % len(regions)]
        wanted = modalities if modalities is not None else USUAL_MODALITIES[region]
        if len(regions) > 1:
            wanted = [name for name in wanted if name in MODALITIES[region]]
        rng = np.random.default_rng([seed, index])
        if rng.uniform() < missing and len(wanted) > 1:
            kept = set(rng.choice(len(wanted), rng.integers(1, len(wanted)), replace=False).tolist())
            wanted = [name for place, name in enumerate(wanted) if place in kept]
        body = int(rng.integers(2**31))  # two data sets of different seeds share no patient
        free = several and rng.uniform() < LESION_FREE
        phantom = make_phantom(
            body, region, 0 if free else None, wanted, randomise, shape, spacing_mm, several=several and not free
        )
        case_id = f"{region}_{index:04d}"
        write_case(out / case_id, replace(phantom, case=replace(phantom.case, id=case_id, patient=case_id)))
        shown = {name: truth.to_json() for name, truth in phantom.truth.items()}
        return {"case": case_id, "region": region, "seed": body, "truth": shown}

    entries = list(each(write_one, range(count), "making phantoms"))
    lines, case_ids = [json.dumps(entry) + "\n" for entry in entries], [entry["case"] for entry in entries]
    write_targets(out / "targets.yaml", regions)
    write_splits(out / "splits.json", case_ids, splits)
    write_text(out / "truth.jsonl", "".join(lines))


def _modality(
    seed: int, code: int, region: str, name: str, anatomy: Anatomy, spacing: tuple[float, float, float], look: Look
) -> tuple[NDArray[np.float32], NDArray[np.int16], float]:
    """The clean image, the stored one, and the noise in units of the clean one. Each modality has its own randomness,
    so that leaving one out changes no other."""
    rng = np.random.default_rng([seed, code, 100 + MODALITIES["brain"].index(name)])
    clean = clean_image(anatomy.tissue, tissue_values(name, region == "abdomen", look, rng))
    stored, noise = acquire(clean, name, spacing, look, rng)
    return clean, stored, noise


def _enhances(modality: str, region: str) -> bool:
    """Whether contrast agent shows: after gadolinium, and in the abdominal CT, which is in the portal venous phase."""
    return modality == "t1ce" or (modality == "ct" and region == "abdomen")


def _blocks(fine: NDArray[np.generic]) -> NDArray[np.generic]:
    """The four sub-voxels of each voxel on a new first axis: (4, x, y, z)."""
    return np.stack([fine[i::2, j::2] for i in (0, 1) for j in (0, 1)])


def _pure(fine: Mask) -> Mask:
    return np.asarray(_blocks(fine).all(axis=0), dtype=np.bool_)


def _coarse_labels(fine: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The label that most sub-voxels of each voxel have; of equal ones the higher, so that a border voxel that is
    half structure and half background counts as structure everywhere."""
    blocks = _blocks(fine)
    best, votes = np.zeros(blocks.shape[1:], dtype=np.uint8), np.zeros(blocks.shape[1:], dtype=np.uint8)
    for value in np.unique(fine):
        count = (blocks == value).sum(axis=0, dtype=np.uint8)
        more = count >= np.maximum(votes, 1)
        best[more], votes[more] = value, count[more]
    return best


def _coarse_owner(fine: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Which lesion each voxel that is labelled as lesion belongs to."""
    lesion = np.isin(labels, [LABELS[name] for name in ("oedema", "enhancing tumour", "necrosis", "liver lesion")])
    return np.where(lesion, _blocks(fine).max(axis=0), 0).astype(np.uint8)


def _sites(anatomy: Anatomy, owner: NDArray[np.uint8], healthy: Mask, region: str) -> tuple[Site, ...]:
    place = brain_place if region == "brain" else liver_place
    sites = []
    for number, lesion in enumerate(anatomy.lesions, start=1):
        mask = owner == number
        if not mask.any():
            continue
        sites.append(
            Site(
                number=number,
                mask=mask,
                around=tissue_around(mask, healthy),
                side=side_of(lesion.centre[0]),
                ap="anterior" if lesion.centre[1] > 0 else "posterior",
                level="superior" if np.argwhere(mask)[:, 2].mean() >= (owner.shape[2] - 1) / 2 else "inferior",
                place=place(lesion.centre),
                ill_defined=lesion.ragged_mm > 1.2,
            )
        )
    return tuple(sites)


def _volume(array: NDArray[np.generic], affine: NDArray[np.float64], rng: np.random.Generator | None) -> Volume:
    """A canonical array as read from a file: stored as RAS, or (with `rng`) flipped and permuted at random."""
    from nibabel.orientations import apply_orientation, inv_ornt_aff

    if rng is None:
        return Volume.from_file(array, affine)
    turned = np.stack([rng.permutation(3), rng.choice((-1, 1), 3)], axis=1)
    file_affine = affine @ inv_ornt_aff(turned, array.shape)
    return Volume.from_file(np.ascontiguousarray(apply_orientation(array, turned)), file_affine)
