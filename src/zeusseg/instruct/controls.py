"""Control writers: no words, only the name, another patient's words, or words from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from zeusseg.case import Case, CaseSource, Target
from zeusseg.errors import BadInputError, UsageError
from zeusseg.instruct.finding import Finding, LocalWriter, refuse_labels
from zeusseg.instruct.instruction import read_instructions
from zeusseg.instruct.measured import MeasuredWriter


class NoneWriter(LocalWriter):
    """Writes nothing: every instruction is the empty text."""

    name = "none"
    model = ""
    prompt_version = "1"

    def findings(self, case: Case) -> dict[str, Finding]:
        refuse_labels(case)
        return {}

    def unite(self, case_id: str, findings: Mapping[str, Finding], target: Target) -> str:
        return ""


class NameWriter(NoneWriter):
    """Writes the target's name and nothing else."""

    name = "name"

    def unite(self, case_id: str, findings: Mapping[str, Finding], target: Target) -> str:
        return target.name


class FileWriter(LocalWriter):
    """Repeats what an instruction file says.

    Raises `BadInputError` where a line of the file is bad, `UsageError` where the file holds text made from
    reference masks: such text would carry the answer into whatever is trained or predicted with it.
    """

    prompt_version = "1"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = f"file:{path}"
        self.model = ""
        instructions = read_instructions(path)
        oracles = [instruction for instruction in instructions if instruction.oracle]
        if oracles:
            raise UsageError(
                f"{path}: {len(oracles)} of {len(instructions)} lines are oracle text, made from reference masks "
                f"(the first: case {oracles[0].case!r}); only a study may use such text"
            )
        self._instructions = {(instruction.case, instruction.target): instruction for instruction in instructions}

    def findings(self, case: Case) -> dict[str, Finding]:
        refuse_labels(case)
        of_case = [instruction for (case_id, _), instruction in self._instructions.items() if case_id == case.id]
        return {m: Finding(m, text) for instruction in of_case for m, text in instruction.findings.items()}

    def unite(self, case_id: str, findings: Mapping[str, Finding], target: Target) -> str:
        instruction = self._instructions.get((case_id, target.name))
        if instruction is None:
            raise BadInputError(f"{self.path}: no line for case {case_id!r}, target {target.name!r}")
        return instruction.text


class ShuffledWriter(LocalWriter):
    """Gives every patient the measured findings of another patient.

    Patients stand in one circle drawn by `seed`, and each receives from the next: nobody can receive their own.
    A donor whose images cannot be read is passed over. Raises `UsageError` where the source has but one patient.
    """

    name = "shuffled"
    model = MeasuredWriter.model
    prompt_version = MeasuredWriter.prompt_version

    def __init__(self, source: CaseSource, seed: int) -> None:
        self._source = source
        self._measured = MeasuredWriter()
        self._cases: dict[str, list[str]] = {}
        for case_id, patient in _patients(source).items():
            self._cases.setdefault(patient, []).append(case_id)
        if len(self._cases) < 2:
            raise UsageError(f"the writer 'shuffled' needs two patients or more, the data set has {len(self._cases)}")
        names = sorted(self._cases)
        self._circle = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]

    def findings(self, case: Case) -> dict[str, Finding]:
        refuse_labels(case)
        for donor in self.donors(case.id, case.patient):
            try:
                return self._measured.findings(self._source.read(donor, labels=False))
            except BadInputError:
                continue
        raise BadInputError(f"case {case.id!r}: no other patient's images can be read to shuffle with")

    def donors(self, case_id: str, patient: str) -> Sequence[str]:
        """Cases of other patients, one each, in the order in which this case would receive from them."""
        if patient not in self._circle:
            raise BadInputError(f"case {case_id!r}: its patient {patient!r} is not in the data set that is shuffled")
        place = self._circle.index(patient)
        others = self._circle[place + 1 :] + self._circle[:place]
        # A patient's second examination receives from the donor's second one, so that their texts differ too.
        number = self._cases[patient].index(case_id) if case_id in self._cases[patient] else 0
        return [self._cases[other][number % len(self._cases[other])] for other in others]

    def unite(self, case_id: str, findings: Mapping[str, Finding], target: Target) -> str:
        return self._measured.unite(case_id, findings, target)


def _patients(source: CaseSource) -> dict[str, str]:
    """Patient of every case; from the source's own table where it has one, else by reading the cases."""
    table = getattr(source, "patients", None)
    if isinstance(table, Mapping):
        return {case_id: str(table[case_id]) for case_id in source.case_ids}
    patients: dict[str, str] = {}
    for case_id in source.case_ids:
        try:
            patients[case_id] = source.read(case_id, labels=False).patient
        except BadInputError:
            continue
    return patients
