"""Do the words decide? Another target's instruction must move the mask, and words for nothing there must empty it.

`python -m zeusseg.studies.words RUN DATA --split val --out words.json`
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from zeusseg.case import CaseSource, find_target
from zeusseg.errors import BadInputError, UsageError
from zeusseg.files import write_text
from zeusseg.inference.load import LoadedModel, load_model
from zeusseg.inference.segment import segment
from zeusseg.instruct.writers import make_writer, store_of
from zeusseg.metrics.overlap import dice
from zeusseg.work import track

ABSENT = ("liver", "left kidney", "femur", "asdf qwer", "zxkw", "the train to the coast leaves at noon")


@dataclass(frozen=True)
class Swap:
    """In the place of `target`, the instruction for `by` was given. `moved`: the mask then fits `by` better."""

    case: str
    target: str
    by: str
    dice_with_target: float
    dice_with_by: float

    @property
    def moved(self) -> bool:
        return self.dice_with_by > self.dice_with_target


@dataclass(frozen=True)
class Absent:
    """Words for something that is not in the image, and what the model answered."""

    case: str
    text: str
    presence: float
    voxels: int


@dataclass
class WordStudy:
    """Every single answer, and the cases that could not be asked, with the reason."""

    swaps: list[Swap]
    absent: list[Absent]
    failures: dict[str, str]

    def to_text(self) -> str:
        """The rates, each with its n."""
        moved = sum(swap.moved for swap in self.swaps)
        lines = [f"swapped instructions: the mask moved in {moved} of {len(self.swaps)}"] if self.swaps else []
        for text in dict.fromkeys(answer.text for answer in self.absent):
            voxels = [answer.voxels for answer in self.absent if answer.text == text]
            lines.append(f"{text!r}: empty in {voxels.count(0)} of {len(voxels)}")
        empty = sum(answer.voxels == 0 for answer in self.absent)
        lines.append(f"all absent words: empty in {empty} of {len(self.absent)}")
        return "\n".join([*lines, *(f"left out: {case}: {reason}" for case, reason in self.failures.items())])


def study_words(
    loaded: LoadedModel, source: CaseSource, case_ids: Sequence[str], absent: Sequence[str] = ABSENT,
    store: Path | None = None,
) -> WordStudy:
    """Ask every case for every target by every other target's instruction, and for things that are not there.

    Instructions come from the run's own writer; a model that writes keeps its answers in `store`. A pair counts where
    both targets are in the reference; of `absent`, what the run has as a target is left out.
    """
    absent = [text for text in absent if find_target(loaded.targets, text) is None]
    writer = make_writer(loaded.writer, source=source, targets=loaded.targets, store=store)
    study = WordStudy([], [], {})
    for case_id in track(case_ids, "asking", len(case_ids)):
        try:
            case = source.read(case_id)
            findings = writer.findings(case.without_labels())
            texts = {t.name: writer.unite(case_id, findings, t) for t in loaded.targets}
            answers = segment(loaded, case.without_labels(), {**texts, **{text: text for text in absent}})
        except BadInputError as error:
            study.failures[case_id] = str(error)
            continue
        references = {t.name: case.mask(t) for t in loaded.targets}
        there = [name for name, reference in references.items() if reference.any()]
        for target, by in itertools.permutations(there, 2):
            # Masks depend on their own instruction alone, so what `by` asks for is what `target`'s place would show.
            mask = answers[by].mask
            study.swaps.append(Swap(case_id, target, by, dice(mask, references[target]), dice(mask, references[by])))
        study.absent += [
            Absent(case_id, text, round(answers[text].presence, 4), int(answers[text].mask.sum())) for text in absent
        ]
    return study


def main(
    run: Path,
    data: Path,
    out: Annotated[Path, typer.Option(help="Where every single answer is written (JSON).")],
    split: Annotated[str | None, typer.Option(help="Only the cases of this split.")] = None,
) -> None:
    """Swap instructions and name absent things; print the rates."""
    from zeusseg.inference.data import data_for, split_cases

    dataset = data_for(run, data, None, None)
    study = study_words(load_model(run), dataset, split_cases(dataset, split, [run]), store=store_of(out))
    swaps = [asdict(swap) | {"moved": swap.moved} for swap in study.swaps]
    content = {"swaps": swaps, "absent": [asdict(answer) for answer in study.absent]}
    write_text(out, json.dumps(content, indent=1))
    typer.echo(study.to_text())


if __name__ == "__main__":
    try:
        typer.run(main)
    except UsageError as error:
        raise SystemExit(f"zeusseg: {error}") from error
