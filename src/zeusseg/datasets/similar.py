"""Near-duplicate images: the same picture, or the same place of the same patient, filed under two names.

A perceptual hash (DCT, 64 bits) picks the pairs worth a look, and the correlation of small pictures, at their best
shift, decides. Volumes are told by the planes at a quarter, half and three quarters of their slices, of which the least
alike counts. The hash stands brightness, size and a shift of one or two percent; a copy shifted by more may escape it.
The limits were set by looking at the pairs found in BUSI (where they tell copies from pictures of the
same kind of tissue); on LGG, ACDC and MSD-Hippocampus no pair of two patients but true copies comes near them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zeusseg.errors import BadInputError
from zeusseg.planes import stretched
from zeusseg.work import each

if TYPE_CHECKING:
    from zeusseg.case import Case
    from zeusseg.datasets.dataset import Dataset

# (bits that differ at most, correlation at least): the less alike the hashes, the surer the pictures have to be.
LIMITS = ((10, 0.80), (16, 0.92))
SIDE, SHIFT = 64, 10
PLANES = (0.25, 0.5, 0.75)


@dataclass(frozen=True, eq=False)
class Look:
    """What an image looks like: `hashes` (plane, 64) bool, `small` (plane, 64, 64) 0 to 255, and a digest of all.

    `labels` is a digest of the labels, None without any.
    """

    hashes: NDArray[np.bool_]
    small: NDArray[np.float32]
    digest: str
    labels: str | None


@dataclass(frozen=True)
class SimilarPair:
    """Two cases that look alike: `distance` in bits of 64, `correlation` up to 1, of the plane that is least alike.

    `identical`: the images are the same, value by value; `labels_differ`: and yet they are labelled differently.
    """

    first: str
    second: str
    distance: int
    correlation: float
    identical: bool
    labels_differ: bool


def find_similar(
    dataset: Dataset, case_ids: Sequence[str], *, progress: bool = True
) -> tuple[list[SimilarPair], dict[str, str]]:
    """All pairs of cases that look alike, most alike first, and why a case could not be looked at."""
    looks: dict[str, Look] = {}
    failures: dict[str, str] = {}
    found = each(partial(_look_at, dataset), case_ids, "looking at images", show=progress)
    for case_id, look in zip(case_ids, found, strict=True):
        if isinstance(look, str):
            failures[case_id] = look
        else:
            looks[case_id] = look
    pairs = [_compare(looks, first, second) for first, second in _candidates(looks)]
    alike = [pair for pair in pairs if pair is not None]
    return sorted(alike, key=lambda p: (-p.identical, -p.correlation, p.first, p.second)), failures


def group_cases(
    case_ids: Iterable[str], patients: Mapping[str, str], pairs: Iterable[SimilarPair]
) -> dict[str, str]:
    """Case to group: cases of one patient, or linked by pairs, share one, named after the first of its cases."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ids = list(case_ids)
    place = {case_id: i for i, case_id in enumerate(ids)}
    first_of: dict[str, str] = {}
    links = [(place[first_of.setdefault(patients[case_id], case_id)], place[case_id]) for case_id in ids]
    links += [(place[pair.first], place[pair.second]) for pair in pairs]
    rows, columns = np.array(links, dtype=int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(links)), (rows, columns)), shape=(len(ids), len(ids)))
    _, group = connected_components(graph, directed=False)
    names: dict[int, str] = {}
    return {case_id: names.setdefault(int(number), case_id) for case_id, number in zip(ids, group, strict=True)}


def look_at(case: Case) -> Look:
    """Hash and shrink the reference modality of a case."""
    import imagehash
    from PIL import Image

    array = case.reference.array
    flat = array.mean(axis=-1) if array.ndim == 4 else array
    places = {round((flat.shape[case.slice_axis] - 1) * part) for part in PLANES}
    hashes, small = [], []
    for place in sorted(places):
        picture = Image.fromarray(stretched(flat.take(place, axis=case.slice_axis)))
        hashes.append(imagehash.phash(picture).hash.ravel())
        small.append(np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32))
    labels = None if case.labels is None else _digest(case.labels.array)
    return Look(np.array(hashes), np.array(small), _digest(array), labels)


def _look_at(dataset: Dataset, case_id: str) -> Look | str:
    try:
        return look_at(dataset.read(case_id))
    except BadInputError as error:
        return str(error)


def _digest(array: NDArray[np.generic]) -> str:
    return hashlib.sha256(f"{array.shape}".encode() + np.ascontiguousarray(array.astype(np.float32)).data).hexdigest()


def _candidates(looks: Mapping[str, Look]) -> list[tuple[str, str]]:
    """Pairs whose hashes differ by few bits in every plane."""
    most = max(bits for bits, _ in LIMITS)
    found = []
    by_planes: dict[int, list[str]] = {}
    for case_id, look in looks.items():
        by_planes.setdefault(len(look.hashes), []).append(case_id)
    for ids in by_planes.values():
        bits = np.stack([looks[case_id].hashes for case_id in ids]).astype(np.int8)
        for i in range(1, len(ids)):
            distances = (bits[:i] != bits[i]).sum(axis=2).max(axis=1)
            found += [(ids[j], ids[i]) for j in np.flatnonzero(distances <= most)]
    return found


def _compare(looks: Mapping[str, Look], first: str, second: str) -> SimilarPair | None:
    one, other = looks[first], looks[second]
    distance = int((one.hashes != other.hashes).sum(axis=1).max())
    correlation = min(_correlation(a, b) for a, b in zip(one.small, other.small, strict=True))
    identical = one.digest == other.digest
    if not identical and not any(distance <= bits and correlation >= least for bits, least in LIMITS):
        return None
    differ = identical and None not in (one.labels, other.labels) and one.labels != other.labels
    return SimilarPair(first, second, distance, correlation, identical, differ)


def _correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """The best correlation of the middle of `first` with any place of `second`, up to `SHIFT` of 64 pixels away."""
    middle = first[SHIFT:-SHIFT, SHIFT:-SHIFT]
    middle = middle - middle.mean()
    windows = np.lib.stride_tricks.sliding_window_view(second, middle.shape)
    windows = windows - windows.mean(axis=(-1, -2), keepdims=True)
    lengths = np.linalg.norm(windows, axis=(-1, -2)) * np.linalg.norm(middle)
    return float(((windows * middle).sum(axis=(-1, -2)) / np.maximum(lengths, 1e-9)).max())
