"""The writer `prompt:P5`: a prompt of arXiv 2308.07706 (P0 to P9) whose attributes are measured on the image alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zeusseg.case import Case, Mask, Target, Volume
from zeusseg.errors import BadInputError
from zeusseg.instruct.finding import Finding, LocalWriter, Outlier, refuse_labels
from zeusseg.instruct.measure import measure
from zeusseg.instruct.phrases import state
from zeusseg.instruct.prompts import (
    Facts,
    Region,
    attributes_of,
    describe,
    families,
    family_of,
    only_from_reference,
    prompt_text,
    variant_of,
    with_told,
)


@dataclass(frozen=True)
class RegionsFinding(Finding):
    """A finding with the regions of the picture that its prompt describes."""

    regions: tuple[Region, ...] = ()


class PromptWriter(LocalWriter):
    """Writes one kind of prompt. What the study took from reference masks is taken from the areas that stand out.

    `about` is what the owners of the data say of each case beside its image; of it view, phase, sex, age and image
    quality are used, and a diagnosis never. `notice` names the attributes of the kind that it cannot know. Areas that
    stand out fill 30 % of the picture at most (`areas.LARGEST_SHARE`), so that none is ever called large. Raises
    `UsageError` for a kind or a target that there are no prompts for.
    """

    model = ""
    prompt_version = "1"

    def __init__(self, kind: str, targets: Sequence[Target], about: Mapping[str, Mapping[str, str]]) -> None:
        self.name = f"prompt:{kind}"
        self._kind = kind
        self._about = about
        of_targets = tuple(dict.fromkeys(family_of(target) for target in targets))
        self._measures = any(set(attributes_of(name, kind)) & set(families()[name].measured) for name in of_targets)
        self.notice = _notice(self.name, {name: only_from_reference(name, kind) for name in of_targets})

    def findings(self, case: Case) -> dict[str, Finding]:
        """The areas that stand out from the reference image, where the prompt has a use for them.

        Raises `ValueError` for a case that carries labels, `BadInputError` for an image of several planes.
        """
        refuse_labels(case)
        if not self._measures:
            return {}
        if case.shape[2] != 1:
            raise BadInputError(
                f"case {case.id!r} is a volume of shape {case.shape}: the prompts describe pictures of one plane; "
                "take another writer"
            )
        modality = next(iter(case.images))
        attributes = measure(case.reference, modality=modality, spacing_known=case.spacing_known)
        # What differs from the tissue the other way (a shadow beside a bright rim, say) is not another one of the same.
        alike = [outlier for outlier in attributes.outliers if outlier.polarity == attributes.outliers[0].polarity]
        regions = tuple(_region(outlier, case, attributes.foreground_share) for outlier in alike)
        return {modality: RegionsFinding(modality, state(attributes, modality), attributes, regions)}

    def unite(self, case_id: str, findings: Mapping[str, Finding], target: Target) -> str:
        """The prompt for a target; attributes that were not measured are left out."""
        family = family_of(target)
        facts = Facts()
        if families()[family].measured:
            found = (finding.regions for finding in findings.values() if isinstance(finding, RegionsFinding))
            facts = describe(next(found, ()))
        facts = with_told(facts, self._about.get(case_id, {}))
        return prompt_text(family, self._kind, target, facts, variant_of(case_id))


def _notice(writer: str, untold: Mapping[str, Sequence[str]]) -> str | None:
    """That a writer leaves out these attributes, by family; None where there are none."""
    parts = [f"{_listed(attributes)} ({family})" for family, attributes in untold.items() if attributes]
    if not parts:
        return None
    return f"{writer} says nothing of {', '.join(parts)}: only a reference mask or a diagnosis would tell"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def across_and_down(x: float, y: float, shape: tuple[int, ...]) -> tuple[float, float]:
    """A place (voxel indices) as shares of width and height from the top left corner of the picture as it is looked at:
    the patient's right and front are its left and top."""
    return 1 - (x + 0.5) / shape[0], 1 - (y + 0.5) / shape[1]


def mean_colour(volume: Volume, inside: Mask) -> tuple[float, float, float] | None:
    """The mean colour (0 to 1) under a mask (x, y, 1) of an eight-bit picture (x, y, 1, 3); None of a grey one."""
    if volume.array.ndim != 4 or not inside.any():
        return None
    red, green, blue = volume.array[inside].mean(axis=0, dtype=np.float64) / 255
    return float(red), float(green), float(blue)


def _region(outlier: Outlier, case: Case, foreground_share: float) -> Region:
    across, down = across_and_down(outlier.centre[0], outlier.centre[1], case.shape)
    return Region(outlier.share * foreground_share, outlier.roundness, across, down, _core_colour(outlier, case))


def _core_colour(outlier: Outlier, case: Case) -> tuple[float, float, float] | None:
    """The mean colour within half the radius, which is inside of all but the most ragged areas."""
    x, y, _ = np.ogrid[: case.shape[0], : case.shape[1], :1]
    distance = np.hypot((x - outlier.centre[0]) * case.spacing_mm[0], (y - outlier.centre[1]) * case.spacing_mm[1])
    return mean_colour(case.reference, distance <= outlier.in_plane / 4)
