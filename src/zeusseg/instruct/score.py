"""How true the statements of the writer `measured` are, told on phantoms whose truth is known.

`python -m zeusseg.instruct.score` prints the rates that the documentation states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from zeusseg.instruct.finding import Finding, Outlier

if TYPE_CHECKING:
    from zeusseg.datasets.phantom import Region
    from zeusseg.datasets.phantom_truth import LesionTruth, PhantomTruth

SIZE_TOLERANCE = 0.25


@dataclass(frozen=True)
class TruthScore:
    """Counts over lesions that their modality shows, and over images.

    A lesion is `found` where a stated area's centre lies within it (within the radius of its longest extent). `side`,
    `polarity` and `size` count lesions of which the stated area says the truth: a lesion that was not found counts as
    wrong in all three. Size is the diameter of the ball of the same volume, true within 25 %. `unfounded` areas are
    those that no lesion accounts for; `silent` counts lesion-free images of which nothing was stated.
    """

    lesions: int = 0
    found: int = 0
    side: int = 0
    polarity: int = 0
    size: int = 0
    images: int = 0
    unfounded: int = 0
    lesion_free: int = 0
    silent: int = 0

    def __add__(self, other: TruthScore) -> TruthScore:
        return TruthScore(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(TruthScore)})

    def rates(self) -> dict[str, float]:
        """Shares of the lesions that were found, and whose side, polarity and size were right; of lesion-free images
        that were left alone; and unfounded areas per image. NaN where there is nothing to count."""
        rates = {name: _ratio(getattr(self, name), self.lesions) for name in ("found", "side", "polarity", "size")}
        return {
            **rates,
            "silent": _ratio(self.silent, self.lesion_free),
            "unfounded_per_image": _ratio(self.unfounded, self.images),
        }


def score_against_truth(
    findings: Mapping[str, Finding], truth: Mapping[str, PhantomTruth], spacing_mm: Sequence[float]
) -> dict[str, TruthScore]:
    """Compare a case's findings with its truth, modality by modality. Findings need their attributes."""
    scores: dict[str, TruthScore] = {}
    for modality, finding in findings.items():
        attributes = finding.attributes
        outliers = () if attributes is None else attributes.outliers
        scores[modality] = _score_image(outliers, truth[modality], np.asarray(spacing_mm))
    return scores


def score_phantoms(
    count: int, seed: int = 0, region: Region = "brain", randomise: bool = False
) -> dict[str, TruthScore]:
    """Score `measured` on so many phantoms, of the seeds from `seed` on; by modality, and over `all` of them."""
    from zeusseg.datasets.phantom import make_phantom
    from zeusseg.instruct.measured import MeasuredWriter

    writer = MeasuredWriter()
    totals: dict[str, TruthScore] = {}
    for number in range(seed, seed + count):
        phantom = make_phantom(number, region, randomise=randomise)
        findings = writer.findings(phantom.case.without_labels())
        for modality, score in score_against_truth(findings, phantom.truth, phantom.case.spacing_mm).items():
            totals[modality] = totals.get(modality, TruthScore()) + score
    totals["all"] = sum(totals.values(), TruthScore())
    return totals


def _score_image(outliers: Sequence[Outlier], truth: PhantomTruth, spacing_mm: np.ndarray) -> TruthScore:
    pairs = _pair(outliers, truth.visible, spacing_mm)
    return TruthScore(
        lesions=len(truth.visible),
        found=len(pairs),
        side=sum(outlier.side == lesion.side for outlier, lesion in pairs),
        polarity=sum(outlier.polarity == lesion.polarity for outlier, lesion in pairs),
        size=sum(
            abs(outlier.diameter - lesion.equivalent_diameter_mm) <= SIZE_TOLERANCE * lesion.equivalent_diameter_mm
            for outlier, lesion in pairs
        ),
        images=1,
        unfounded=len(outliers) - len(pairs),
        lesion_free=int(truth.no_lesion),
        silent=int(truth.no_lesion and not outliers),
    )


def _pair(
    outliers: Sequence[Outlier], lesions: Sequence[LesionTruth], spacing_mm: np.ndarray
) -> list[tuple[Outlier, LesionTruth]]:
    """Each lesion with the area nearest to its centre, the nearest pairs first, each used once."""
    distances = sorted(
        (float(np.linalg.norm((np.array(outlier.centre) - lesion.centre_voxel) * spacing_mm)), i, j)
        for i, outlier in enumerate(outliers)
        for j, lesion in enumerate(lesions)
    )
    pairs: dict[int, int] = {}
    for distance, i, j in distances:
        if i not in pairs.values() and j not in pairs and distance <= lesions[j].lesion_diameter_mm / 2:
            pairs[j] = i
    return [(outliers[i], lesions[j]) for j, i in pairs.items()]


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _main() -> None:
    import argparse

    parser = argparse.ArgumentParser(prog="python -m zeusseg.instruct.score", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="phantoms (default 200)")
    parser.add_argument("--seed", type=int, default=100_000, help="seed of the first phantom (default 100000)")
    parser.add_argument("--region", choices=("brain", "abdomen"), default="brain")
    parser.add_argument("--randomise", action="store_true", help="vary contrast, resolution and noise widely")
    arguments = parser.parse_args()
    scores = score_phantoms(arguments.count, arguments.seed, arguments.region, arguments.randomise)
    for modality, score in scores.items():
        rates = ", ".join(f"{name} {rate:.3f}" for name, rate in score.rates().items())
        print(f"{modality}: {rates} (n = {score.lesions} lesions, {score.images} images, {asdict(score)})")


if __name__ == "__main__":
    _main()
