"""Time of the four usual measures (Dice, IoU, HD95, NSD) against MONAI, surface-distance and medpy, as ratios.

`python benchmarks/metrics.py [--data $DATA] [--rounds 7]`

Masks of 240 x 240 x 155 voxels of 1 mm: a tumour, a whole brain, and a tumour with false voxels far away; with --data
also the whole tumours of real patients (brats2013), against the same shifted and roughened. All programs measure the
same masks in each round, one after the other, in an order that is drawn anew. Ratios are formed within a round.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zeusseg.metrics import Definitions, compute_scores

SHAPE, SPACING, TOLERANCE = (240, 240, 155), (1.0, 1.0, 1.0), 2.0
MEASURES = ("dice", "iou", "hd95", "nsd_2")
Mask = NDArray[np.bool_]


def ball(centre: tuple[float, ...], radii: tuple[float, ...], rng: np.random.Generator) -> Mask:
    """An ellipsoid with a bumpy surface: waves of a few voxels, as outlines have them."""
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), axis=-1) - np.array(centre)
    waves = sum(
        0.02 * np.sin(grid @ rng.normal(0, 0.25, 3) + rng.uniform(0, 6)) for _ in range(6)
    )
    return np.linalg.norm(grid / np.array(radii), axis=-1) + waves < 1


def masks(data: Path | None) -> Iterator[tuple[str, Mask, Mask]]:
    rng = np.random.default_rng(0)
    tumour = ball((150, 90, 80), (28, 22, 18), rng), ball((152, 91, 79), (27, 23, 19), rng)
    yield "tumour", *tumour
    yield "whole brain", ball((120, 120, 78), (68, 85, 65), rng), ball((121, 120, 79), (68, 84, 66), rng)
    yield "far speckle", tumour[0] | (rng.random(SHAPE) < 2e-4), tumour[1]
    if data is not None:
        from zeusseg.datasets import load_dataset

        dataset = load_dataset(data / "brats2013")
        whole = max(dataset.targets, key=lambda target: len(target.values))
        for case_id in dataset.case_ids:
            reference = dataset.read(case_id).mask(whole)
            prediction = np.roll(reference, (2, -1, 1), axis=(0, 1, 2)) & (rng.random(reference.shape) < 0.995)
            yield f"real {whole.name}, {case_id}", prediction, reference


def ours(prediction: Mask, reference: Mask) -> dict[str, float]:
    return compute_scores(prediction, reference, SPACING, measures=MEASURES)


def ours_elements(prediction: Mask, reference: Mask) -> dict[str, float]:
    return compute_scores(prediction, reference, SPACING, Definitions(surface="elements"), measures=MEASURES)


def monai(prediction: Mask, reference: Mask) -> dict[str, float]:
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance, compute_iou, compute_surface_dice

    pair = [torch.from_numpy(mask)[None, None] for mask in (prediction, reference)]
    options = {"include_background": True, "spacing": SPACING}
    return {
        "dice": compute_dice(*pair).item(),
        "iou": compute_iou(*pair).item(),
        "hd95": compute_hausdorff_distance(*pair, percentile=95, **options).item(),
        "nsd_2": compute_surface_dice(*pair, class_thresholds=[TOLERANCE], **options).item(),
    }


def surface_distance(prediction: Mask, reference: Mask) -> dict[str, float]:
    import surface_distance as package

    dice = package.compute_dice_coefficient(reference, prediction)
    distances = package.compute_surface_distances(reference, prediction, SPACING)
    return {
        "dice": dice,
        "iou": dice / (2 - dice),
        "hd95": package.compute_robust_hausdorff(distances, 95),
        "nsd_2": package.compute_surface_dice_at_tolerance(distances, TOLERANCE),
    }


def medpy(prediction: Mask, reference: Mask) -> dict[str, float]:
    """Without NSD, which it does not have."""
    from medpy.metric import binary

    return {
        "dice": binary.dc(prediction, reference),
        "iou": binary.jc(prediction, reference),
        "hd95": binary.hd95(prediction, reference, SPACING),
    }


# Each peer beside the definition of ours that gives the same values; medpy's HD95 pools both directions.
PEERS: dict[str, tuple[Callable[[Mask, Mask], dict[str, float]], Callable[[Mask, Mask], dict[str, float]]]] = {
    "MONAI": (monai, ours),
    "surface-distance": (surface_distance, ours_elements),
    "medpy (no NSD)": (medpy, ours),
}


def seconds(call: Callable[[Mask, Mask], dict[str, float]], prediction: Mask, reference: Mask) -> float:
    started = time.perf_counter()
    call(prediction, reference)
    return time.perf_counter() - started


def floor(prediction: Mask, reference: Mask) -> dict[str, float]:
    """Reading both masks once and counting: no program that is given whole masks can be quicker."""
    return {"shared": np.count_nonzero(prediction & reference)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder that holds brats2013")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    rng = np.random.default_rng(1)
    print(f"{given.rounds} rounds; median ratio of times (lowest to highest), theirs / ours")
    print("| masks | " + " | ".join(PEERS) + " | ours, ms | of it reading, ms |")
    print("| --- " * (len(PEERS) + 3) + "|")
    for name, prediction, reference in masks(given.data):
        check(name, prediction, reference)
        calls = {"ours": ours, "elements": ours_elements, "floor": floor}
        calls |= {peer: theirs for peer, (theirs, _) in PEERS.items()}
        for call in calls.values():
            call(prediction, reference)  # what is imported or built once is not timed
        rounds = []
        for _ in range(given.rounds):
            order = rng.permutation(list(calls))
            rounds.append({key: seconds(calls[key], prediction, reference) for key in order})
        cells = []
        for peer, (_, mine) in PEERS.items():
            key = "elements" if mine is ours_elements else "ours"
            ratios = [found[peer] / found[key] for found in rounds]
            cells.append(f"{np.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})")
        times = [f"{1000 * np.median([found[key] for found in rounds]):.1f}" for key in ("ours", "floor")]
        print(f"| {name} | " + " | ".join([*cells, *times]) + " |", flush=True)


def check(name: str, prediction: Mask, reference: Mask) -> None:
    """The same values, or the comparison means nothing."""
    for theirs, mine in list(PEERS.values())[:2]:
        expected, found = theirs(prediction, reference), mine(prediction, reference)
        for measure in MEASURES:
            if not np.isclose(expected[measure], found[measure], rtol=1e-5):
                raise SystemExit(f"{name}: {measure} is {found[measure]}, {theirs.__name__} says {expected[measure]}")


if __name__ == "__main__":
    main()
