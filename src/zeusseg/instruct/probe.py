"""Whether a writer looks at the image at all: the same questions about noise, a mirror image, and another patient."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from zeusseg.case import Case, CaseSource, Volume
from zeusseg.errors import BadInputError, UsageError
from zeusseg.files import write_text
from zeusseg.instruct.foreground import find_foreground
from zeusseg.instruct.writers import Writer
from zeusseg.metrics.statistics import bootstrap_interval
from zeusseg.work import each, notify

Instead = Literal["noise", "mirrored", "another patient"]
# More than so many readings in which noise gets the very words of the image mean that the image is not looked at.
SAME_FOR_NOISE = 0.2


@dataclass(frozen=True)
class Reading:
    """What was written about one modality of a case, and about what was shown instead of it."""

    case: str
    modality: str
    text: str
    instead: Instead
    text_instead: str

    @property
    def same(self) -> bool:
        """Whether both are the same words."""
        return _words(self.text) == _words(self.text_instead)

    @property
    def likeness(self) -> float:
        """How alike the words are, in their order: 0 for none in common, 1 for the same."""
        return difflib.SequenceMatcher(None, _words(self.text), _words(self.text_instead), autojunk=False).ratio()


@dataclass(frozen=True)
class Probe:
    """Every reading, and the cases that could not be probed, with the reason."""

    writer: str
    readings: tuple[Reading, ...]
    failures: dict[str, str]

    def of(self, instead: Instead) -> list[Reading]:
        return [reading for reading in self.readings if reading.instead == instead]

    def nearer_to_patients(self) -> list[float]:
        """Per case, how much more alike the words about another patient's image are than those about noise.

        Whoever looks says of noise what is further from the image's words than what is said of a real image.
        """
        likeness = {(r.case, r.modality, str(r.instead)): r.likeness for r in self.readings}
        gaps: dict[str, list[float]] = {}
        for (case, modality, instead), other in likeness.items():
            noise = likeness.get((case, modality, "noise"))
            if instead == "another patient" and noise is not None:
                gaps.setdefault(case, []).append(other - noise)
        return [float(np.mean(values)) for values in gaps.values()]

    @property
    def ignores_the_image(self) -> bool | None:
        """Whether noise gets the words of the image, or words no further from them than another patient's image does.

        None where it cannot be told: there is nothing to compare with, or the 95 % interval of `nearer_to_patients`
        holds 0, as it does for words that vary from call to call.
        """
        noise = self.of("noise")
        if noise and sum(reading.same for reading in noise) / len(noise) > SAME_FOR_NOISE:
            return True
        gaps = self.nearer_to_patients()
        if not gaps:
            return None
        low, high = bootstrap_interval(gaps)
        return True if high <= 0 else False if low > 0 else None

    def to_text(self) -> str:
        """Counts, each with its n, and what follows from them."""
        lines = []
        for instead in ("noise", "mirrored", "another patient"):
            found = self.of(instead)
            if found:
                same, alike = sum(reading.same for reading in found), np.mean([r.likeness for r in found])
                lines.append(f"{instead} instead of the image: the same words in {same} of {len(found)}, "
                             f"mean likeness {alike:.2f}")  # fmt: skip
        gaps = self.nearer_to_patients()
        if gaps:
            low, high = bootstrap_interval(gaps)
            lines.append("another patient's image gets words nearer to the image's than noise does by "
                         f"{np.mean(gaps):.2f} of likeness (95 % interval {low:.2f} to {high:.2f}, "
                         f"{len(gaps)} cases)")  # fmt: skip
        sides = [(side_of(r.text), side_of(r.text_instead)) for r in self.of("mirrored")]
        told = [(before, after) for before, after in sides if before is not None]
        if told:
            turned = sum(after is not None and after != before for before, after in told)
            lines.append(f"mirrored: of {len(told)} readings that name one side, {turned} then name the other")
        ignores = self.ignores_the_image
        if ignores:
            lines.append(f"{self.writer} writes about noise what it writes about images: its words do NOT depend on "
                         "the image")  # fmt: skip
        elif ignores is None:
            lines.append(f"whether the words of {self.writer} depend on the image cannot be told from these readings: "
                         "probe more cases")  # fmt: skip
        else:
            lines.append(f"the words of {self.writer} depend on the image")
        return "\n".join([*lines, *(f"left out: {case}: {reason}" for case, reason in self.failures.items())])

    def to_json(self) -> str:
        """Every reading with its likeness."""
        readings = [asdict(r) | {"same": r.same, "likeness": round(r.likeness, 4)} for r in self.readings]
        content = {"writer": self.writer, "ignores_the_image": self.ignores_the_image, "readings": readings}
        return json.dumps(content | {"failures": self.failures}, indent=1, ensure_ascii=False) + "\n"


def probe(
    source: CaseSource, writer: Writer, out: Path, *, case_ids: Sequence[str] | None = None, seed: int = 0,
    progress: bool = True,
) -> Probe:
    """Let a writer read some cases as they are and as they are not, and write `out` (JSON).

    Each modality is replaced by noise of the same brightness in the same outline, by its mirror image (left for right),
    and by the same modality of the next case of another patient. Raises `UsageError` for fewer than two cases.
    """
    ids = list(source.case_ids if case_ids is None else case_ids)
    if len(ids) < 2:
        raise UsageError(f"a probe needs two cases or more, to show one the other's image, and was given {len(ids)}")

    notify(writer.notice)

    def read(place: int) -> list[Reading] | str:
        try:
            case = source.read(ids[place], labels=False)
            other = next(
                (o for o in (source.read(i, labels=False) for i in ids[place + 1 :] + ids[:place])
                 if o.patient != case.patient), None,
            )  # fmt: skip
            return _readings(writer, case, other, np.random.default_rng([seed, place]))
        except (BadInputError, OSError) as error:
            return str(error)

    readings: list[Reading] = []
    failures: dict[str, str] = {}
    for case_id, found in zip(
        ids, each(read, range(len(ids)), "probing", show=progress, threads=writer.threads), strict=True
    ):
        if isinstance(found, str):
            failures[case_id] = found
        else:
            readings += found
    result = Probe(writer.name, tuple(readings), failures)
    write_text(out, result.to_json())
    return result


def side_of(text: str) -> str | None:
    """The side that a text names, where it names only one.

    >>> side_of("A bright area on the left."), side_of("left and right are alike")
    ('left', None)
    """
    sides = {side for side in ("left", "right") if re.search(rf"\b{side}\b", text.casefold())}
    return sides.pop() if len(sides) == 1 else None


def _readings(writer: Writer, case: Case, other: Case | None, rng: np.random.Generator) -> list[Reading]:
    shown: dict[Instead, Case] = {
        "noise": replace(case, images={name: _noise(volume, name, rng) for name, volume in case.images.items()}),
        "mirrored": replace(case, images={name: _mirrored(volume) for name, volume in case.images.items()}),
    }
    if other is not None:
        shown["another patient"] = replace(other, id=case.id)
    before = writer.findings(case)
    found = []
    for instead, changed in shown.items():
        after = writer.findings(changed)
        found += [
            Reading(case.id, modality, finding.text, instead, after[modality].text)
            for modality, finding in before.items()
            if modality in after
        ]
    return found


def _noise(volume: Volume, modality: str, rng: np.random.Generator) -> Volume:
    """Noise with the mean and spread of the foreground, in its outline; nothing of the anatomy is left inside."""
    array = volume.array
    flat = array.mean(axis=-1) if array.ndim == 4 else array
    is_ct = modality == "ct"
    inside = find_foreground(flat.astype(np.float32), kind=volume.file_grid.kind, is_ct=is_ct).mask
    changed = array.astype(np.float32)
    values = changed[inside]
    changed[inside] = rng.normal(values.mean(), values.std(), values.shape)
    low, high = float(array.min()), float(array.max())
    return replace(volume, array=np.clip(changed, low, high).astype(array.dtype))


def _mirrored(volume: Volume) -> Volume:
    """Left for right: the canonical grid's first axis runs from left to right."""
    return replace(volume, array=np.ascontiguousarray(volume.array[::-1]))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
