"""Oracle text: the prompts of arXiv 2308.07706 as published, their attributes measured on the reference mask.

Such text tells the answer, and no clinic has it before the picture is read. Only a study makes it, to show what a model
would gain from it; every line is marked `oracle`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from zeusseg.case import Case, Mask, Target
from zeusseg.datasets import Dataset
from zeusseg.errors import BadInputError, UsageError
from zeusseg.instruct.instruction import Instruction, image_digest
from zeusseg.instruct.prompted import across_and_down, mean_colour
from zeusseg.instruct.prompts import (
    Facts,
    Region,
    attributes_of,
    describe,
    family_of,
    prompt_text,
    variant_of,
    with_told,
)
from zeusseg.instruct.shapes import roundness

ORACLE = "oracle"
PROMPT_VERSION = "1"
# A speck of less than this share of the picture is no piece; the study's annotations give it no size either.
LEAST_SHARE = 0.0001
DIAGNOSES = ("benign", "malignant")


def is_oracle(spec: str) -> bool:
    """Whether a writer's name asks for text made from reference masks.

    >>> is_oracle("oracle:P5"), is_oracle("prompt:P5")
    (True, False)
    """
    return spec.partition(":")[0] == ORACLE


def oracle_instructions(
    spec: str, dataset: Dataset, case_ids: Sequence[str]
) -> tuple[list[Instruction], dict[str, str]]:
    """The oracle text `spec` (such as `oracle:P5`) of every target of the cases, and why other cases have none.

    Raises `UsageError` where the name is no oracle's, or there is no such prompt for one of the targets.
    """
    kind = spec.partition(":")[2]
    if not is_oracle(spec) or not kind:
        raise UsageError(f"{spec!r} names no oracle text: expected a prompt's name behind oracle:, as in oracle:P5")
    for target in dataset.targets:
        attributes_of(family_of(target), kind)
    lines: list[Instruction] = []
    failures: dict[str, str] = {}
    for case_id in case_ids:
        try:
            lines += _lines(spec, kind, dataset.read(case_id), dataset.targets, dataset.about.get(case_id, {}))
        except (BadInputError, OSError) as error:
            failures[case_id] = str(error)
    return lines, failures


def reference_facts(case: Case, targets: Sequence[Target], about: Mapping[str, str]) -> dict[str, Facts]:
    """What the reference masks of a picture, and its owners, say of each target, by its name.

    Raises `BadInputError` where the case has no labels, or several planes.
    """
    regions = {target.name: regions_of(case.mask(target), case) for target in targets}
    findings = ", ".join(name for name, found in regions.items() if found)
    malignancy = diagnosis_of(case.id, about)
    return {
        name: with_told(replace(describe(found), present=bool(found), malignancy=malignancy, findings=findings), about)
        for name, found in regions.items()
    }


def regions_of(mask: Mask, case: Case) -> list[Region]:
    """The pieces of a mask (x, y, 1), 8 neighbours, without specks beside others.

    Raises `BadInputError` for a mask of several planes.
    """
    import cc3d

    if mask.shape[2] != 1:
        raise BadInputError(
            f"case {case.id!r} is a volume of shape {mask.shape}: the prompts describe pictures of one plane"
        )
    if not mask.any():
        return []
    numbers = cc3d.connected_components(mask, connectivity=26)
    pieces = [numbers == number for number in range(1, int(numbers.max()) + 1)]
    pieces = [piece for piece in pieces if piece.mean() >= LEAST_SHARE] or pieces
    return [_region(piece, case) for piece in pieces]


def diagnosis_of(case_id: str, about: Mapping[str, str]) -> str | None:
    """Benign or malignant, as the owners say it or, as in BUSI, the case id does (`100_benign`); None for neither."""
    said = about.get("class", "").casefold() or case_id.rpartition("_")[2].casefold()
    return said if said in DIAGNOSES else None


def _lines(
    spec: str, kind: str, case: Case, targets: Sequence[Target], about: Mapping[str, str]
) -> list[Instruction]:
    digest, now = image_digest(case), datetime.now(UTC).isoformat(timespec="seconds")
    facts = reference_facts(case, targets, about)
    return [
        Instruction(
            case=case.id,
            target=target.name,
            text=prompt_text(family_of(target), kind, target, facts[target.name], variant_of(case.id)),
            writer=spec,
            prompt_version=PROMPT_VERSION,
            image_sha256=digest,
            oracle=True,
            created=now,
        )
        for target in targets
    ]


def _region(piece: Mask, case: Case) -> Region:
    # The study places a piece by the middle of its bounding box, too.
    x, y = (float(along.min() + along.max()) / 2 for along in np.nonzero(piece)[:2])
    across, down = across_and_down(x, y, piece.shape)
    return Region(float(piece.mean()), roundness(piece), across, down, mean_colour(case.reference, piece))
