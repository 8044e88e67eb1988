"""How often checking a statement against the image gives the right answer, told on phantoms whose truth is known.

`python -m zeusseg.instruct.score_checks` prints the rates that the documentation states; with `--data DATA --target T`
on real images, whose masks tell where the target is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zeusseg.case import Target
from zeusseg.errors import BadInputError
from zeusseg.instruct.agreement import check
from zeusseg.instruct.finding import FindingAttributes
from zeusseg.instruct.instruction import Instruction
from zeusseg.instruct.measure import measure
from zeusseg.work import each

if TYPE_CHECKING:
    from zeusseg.datasets.dataset import Dataset
    from zeusseg.datasets.phantom_truth import LesionTruth

# Share of the head's width from its middle within which a lesion is on neither side.
NEAR_MIDLINE = 0.08
OPPOSITE = {"left": "right", "right": "left", "bright": "dark", "dark": "bright"}


def score_checks(count: int, seed: int = 0) -> dict[tuple[str, bool], Counter[str]]:
    """Verdicts over brain phantoms with one lesion and as many with none, of the seeds from `seed` on.

    Keys are what a statement is about and whether it is true. About each lesion that a modality shows, a true sentence
    is checked, and the same with the wrong side, signal or twice the size; of each image that nothing stands out;
    and of each image without a lesion that there is one.
    """
    from zeusseg.datasets.phantom import make_phantom

    verdicts: dict[tuple[str, bool], Counter[str]] = {}
    for number in range(seed, seed + count):
        for lesions in (0, 1):
            phantom = make_phantom(number, lesions=lesions)
            for modality, volume in phantom.case.without_labels().images.items():
                measured = measure(volume, modality=modality)
                visible = phantom.truth[modality].visible
                if lesions and not visible:
                    continue
                told = _told(visible[0]) if visible else _told_of_nothing()
                for about, is_true, text in told:
                    verdict = _verdict(text, about, modality, measured)
                    verdicts.setdefault((about, is_true), Counter())[verdict] += 1
    return verdicts


def score_real(dataset: Dataset, target_name: str) -> dict[tuple[str, bool], Counter[str]]:
    """Verdicts over the images of a data set that have the target: on its true side and on the other, and that nothing
    stands out, which is false. Sides are told by the mask's middle; masks near the midline have none."""
    target = next(t for t in dataset.targets if t.name == target_name)
    verdicts: dict[tuple[str, bool], Counter[str]] = {}
    for found in each(partial(_score_real_case, dataset, target), dataset.case_ids, "scoring"):
        for modality, about, is_true, verdict in found:
            verdicts.setdefault((f"{modality}: {about}", is_true), Counter())[verdict] += 1
    return verdicts


def _score_real_case(dataset: Dataset, target: Target, case_id: str) -> list[tuple[str, str, bool, str]]:
    try:
        case = dataset.read(case_id)
    except BadInputError:
        return []
    mask = case.mask(target)
    if not mask.any():
        return []
    x = float(np.nonzero(mask)[0].mean())
    rows = []
    for modality, volume in case.images.items():
        measured = measure(volume, modality=modality, spacing_known=case.spacing_known)
        inside = np.flatnonzero((volume.array != volume.array.flat[0]).any(axis=(1, 2)))
        from_middle = (x - (inside[0] + inside[-1]) / 2) / (inside[-1] - inside[0] + 1)
        told = [("nothing stands out", False, "No lesion is seen.")]
        if abs(from_middle) > NEAR_MIDLINE:
            side = "right" if from_middle > 0 else "left"  # the canonical grid's x runs to the patient's right
            told += [("side", True, f"A lesion on the {side}."), ("side", False, f"A lesion on the {OPPOSITE[side]}.")]
        rows += [(modality, about, true, _verdict(text, about, modality, measured)) for about, true, text in told]
    return rows


def _told(lesion: LesionTruth) -> Iterator[tuple[str, bool, str]]:
    """Sentences about one lesion: what each is about, whether it is true, and the sentence."""
    yield "nothing stands out", False, "No lesion is seen."
    yield "signal", True, _sentence(lesion)
    yield "signal", False, _sentence(replace(lesion, polarity=OPPOSITE[lesion.polarity]))
    yield "size", True, _sentence(lesion)
    yield "size", False, _sentence(replace(lesion, volume_ml=8 * lesion.volume_ml))
    if lesion.side in OPPOSITE:
        yield "side", True, _sentence(lesion)
        yield "side", False, _sentence(replace(lesion, side=OPPOSITE[lesion.side]))


def _told_of_nothing() -> Iterator[tuple[str, bool, str]]:
    yield "nothing stands out", True, "No lesion is seen."
    yield "a lesion", False, "A bright lesion of 20 mm on the left."


def _sentence(lesion: LesionTruth) -> str:
    place = "in the midline" if lesion.side == "midline" else f"on the {lesion.side}"
    return f"A {lesion.polarity} lesion of {lesion.equivalent_diameter_mm:.0f} mm {place}."


def _verdict(text: str, about: str, modality: str, measured: FindingAttributes) -> str:
    checks = {c.about: c.verdict for c in check(Instruction("", "", "", {modality: text}), {modality: measured})}
    if about == "a lesion":  # refuted where any part of it is
        return next((verdict for verdict in checks.values() if verdict != "agrees"), "agrees")
    return checks.get("presence" if about == "nothing stands out" else about, checks.get("presence", "not checked"))


def _main() -> None:
    import argparse

    parser = argparse.ArgumentParser(prog="python -m zeusseg.instruct.score_checks", description=__doc__)
    parser.add_argument("--count", type=int, default=60, help="phantoms with a lesion, as many without (default 60)")
    parser.add_argument("--seed", type=int, default=200_000, help="seed of the first phantom (default 200000)")
    parser.add_argument("--data", type=Path, help="folder of real cases with masks, in place of phantoms")
    parser.add_argument("--target", default="lesion", help="the target whose masks tell the truth (default lesion)")
    arguments = parser.parse_args()
    if arguments.data:
        from zeusseg.datasets import load_dataset

        found = score_real(load_dataset(arguments.data, allow_leaks=True), arguments.target)
    else:
        found = score_checks(arguments.count, arguments.seed)
    for (about, is_true), counts in sorted(found.items()):
        total = counts.total()
        rates = ", ".join(f"{verdict} {100 * counts[verdict] / total:.1f} %" for verdict in sorted(counts))
        print(f"{about}, {'true' if is_true else 'false'} (n = {total}): {rates}")


if __name__ == "__main__":
    _main()
