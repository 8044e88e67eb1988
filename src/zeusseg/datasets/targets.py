"""The targets file: the words for a data set (targets, modalities, patients), as YAML that people write and runs keep.

    name: heart                       # what the data set is called (optional)
    recognise: {...}                  # only in the files that zeusseg ships: see `Recognise`
    source: {...}                     # likewise: see `Source`
    targets:                          # none: as dataset.json names them, else one target per label value
      left ventricle:
        values: [3]                   # label values; a region unites several
        synonyms: [left ventricular cavity]
        definition: The blood pool of ...
    modalities:                       # reference order: the first that a case has is its reference modality
      t1ce: [t1ce, t1post, t1 gd]     # words of file names, or channel names of dataset.json (see `names.py`)
    label: [seg, gold standard]       # words in the name of the label file
    ignore: [255]                     # label values that belong to no target and are let through as background
    patient_pattern: (patient\\d+)_   # found in the case id; its group, else its whole match, is the patient
    spacing: unknown                  # the header's millimetres mean nothing (default: known)

In `medvlsm` and `pictures` every picture goes by the name `image`, so `modalities: {us: [image]}` calls it ultrasound.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from zeusseg.case import Target
from zeusseg.errors import UsageError

if TYPE_CHECKING:
    from zeusseg.datasets.dataset import Dataset


def _compiles(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if groups > 1:
        raise ValueError(f"has {groups} groups: expected one, or none to take the whole match")
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Recognise(_Strict):
    """When a shipped targets file is the right one: every condition that is given must hold.

    Of several files that fit, the one with most conditions wins, then the one that allows fewest label values.
    """

    layouts: list[str] = Field(min_length=1)
    """The layouts this data set comes in, e.g. [brats, folder]."""
    dataset: Pattern | None = None
    """Found in dataset.json's `name`, or (where it has none) in the folder's name."""
    cases: Pattern | None = None
    """Found in EVERY case id."""
    names: list[str] = []
    """Each is a word of some file's name in the first cases or, in msd and nnunet, a channel name."""
    label_names: list[str] = []
    """Exactly the label names of dataset.json, background aside (any order)."""
    label_values: list[int] = []
    """The only values, beside 0, in the label files of the first cases."""


class Source(_Strict):
    """Where a published data set comes from, and what its owners say of it; "not established" where nobody could."""

    name: str
    """In full, with the work that describes it."""
    obtain: str
    """Who gives it out, on which page, and what they ask for."""
    terms: str
    """Its licence, or what it may be used for."""
    cases: int | dict[str, int] | None = None
    """How many were published, in all or by split."""
    numbered: tuple[int, int] | None = None
    """The first and the last number, where the published cases are called by numbers."""
    caution: str = ""
    """Known faults, and what follows from them."""


class TargetEntry(_Strict):
    """One target of the file; its name is the key."""

    values: list[int] = Field(min_length=1)
    synonyms: list[str] = []
    definition: str = ""


class TargetsFile(_Strict):
    """What a targets file says; the module's docstring shows one."""

    name: str = ""
    recognise: Recognise | None = None
    source: Source | None = None
    targets: dict[str, TargetEntry] = {}
    modalities: dict[str, list[str]] = {}
    label: list[str] = []
    ignore: list[int] = []
    patient_pattern: Pattern | None = None
    spacing: Literal["known", "unknown"] = "known"

    def over(self, below: TargetsFile) -> TargetsFile:
        """This file laid over another one: what it does not mention is taken from `below`."""
        return below.model_copy(update={name: getattr(self, name) for name in self.model_fields_set})

    def as_targets(self) -> tuple[Target, ...]:
        return tuple(
            Target(name, tuple(entry.values), tuple(entry.synonyms), entry.definition)
            for name, entry in self.targets.items()
        )

    def patient_of(self, case_id: str) -> str | None:
        """The patient that a case id names; None where the pattern does not occur in it."""
        if self.patient_pattern is None:
            return case_id
        found = re.search(self.patient_pattern, case_id)
        return None if found is None else found[found.re.groups]


def read_targets_file(path: Path) -> TargetsFile:
    """Read and check a targets file. Raises `UsageError` naming the file and the entry that is wrong."""
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read the targets file {path}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UsageError(f"the targets file {path} must be a mapping with `targets`, `modalities`, …")
    try:
        return TargetsFile.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"the targets file {path}: {place}: {first['msg']} (given: {first['input']!r})") from error


def dump_targets_file(dataset: Dataset) -> str:
    """The data set's targets file as YAML, complete: `load_dataset` with it names everything the same way again."""
    content = dataset.words.model_dump(exclude={"recognise", "source"}, exclude_none=True)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
