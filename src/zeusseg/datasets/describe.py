"""What `zeusseg info` says of a data set: counts, grids, words and faults, from file names and headers."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from zeusseg.datasets.dataset import Dataset
from zeusseg.datasets.names import MODALITY_WORDS
from zeusseg.datasets.targets import Source
from zeusseg.errors import BadInputError
from zeusseg.io import Header, read_header

_MOST_LINES = 20
_MOST_SHAPES = 6
_MOST_NAMES = 3
_LINE = 100


@dataclass(frozen=True)
class Description:
    """The truth about a folder, as numbers and lists; `to_text` for reading."""

    root: str
    name: str
    layout: str
    cases: int
    patients: int
    labelled: int
    modalities: dict[str, int]
    """Modality → in how many cases, in reference order."""
    absent_modalities: tuple[str, ...]
    """Named by the targets file chosen for this data set, but in no case."""
    missing: dict[str, tuple[str, ...]]
    """Case → modalities of the data set that it lacks."""
    shapes: dict[tuple[int, int, int], int]
    """Shape of the reference modality (x, y, z in canonical orientation) → in how many cases."""
    spacings_mm: dict[tuple[float, float, float], int] | None
    """Voxel edges likewise; None where the spacing is unknown."""
    several_grids: tuple[str, ...]
    """Cases whose files lie on different grids: resampled when read where they overlap, else refused."""
    targets: dict[str, tuple[int, ...]]
    splits: dict[str, int] | None
    source: Source | None
    """Where the data set was published, where it is a known one."""
    problems: tuple[str, ...]

    def to_text(self) -> str:
        """Plain text, a heading per fact; long lists are cut and say so."""
        spacing = "unknown: sizes and distances are in voxels" if self.spacings_mm is None else None
        lines = [
            f"{self.root}",
            f"  data set    {self.name}",
            f"  layout      {self.layout}",
            f"  cases       {self.cases} of {self.patients} patients, {self.labelled} with labels",
            "  modalities  " + (", ".join(f"{m} ({n})" for m, n in self.modalities.items()) or "none"),
        ]
        if self.absent_modalities:
            lines.append(f"              in no case: {', '.join(self.absent_modalities)}")
        lines += _section("missing", [f"{case} lacks {', '.join(lacking)}" for case, lacking in self.missing.items()])
        lines += _section("shapes", self._shape_lines())
        spacings = {"x".join(f"{edge:g}" for edge in s): n for s, n in (self.spacings_mm or {}).items()}
        lines += _section("spacing", [spacing] if spacing else _counted(spacings, " mm"))
        lines += _section("grids", [f"{case}: files on different grids" for case in self.several_grids])
        targets = [f"{name} = {_values(values)}" for name, values in self.targets.items()]
        lines += _section("targets", targets or ["none"])
        splits = [f"{name} ({count})" for name, count in (self.splits or {}).items()]
        lines += _section("splits", splits or ["none: drawn by patient and seed where they are needed"])
        lines += _source_lines(self.source) if self.source is not None else []
        lines += _section("problems", list(self.problems) or ["none seen in names and headers"])
        return "\n".join(lines) + "\n"

    def _shape_lines(self) -> list[str]:
        counted = _counted({"x".join(map(str, shape)): count for shape, count in self.shapes.items()})
        if len(counted) <= _MOST_SHAPES:
            return counted
        axes = zip("xyz", zip(*self.shapes, strict=True), strict=True)
        ranges = ", ".join(f"{axis} {_range(sizes)}" for axis, sizes in axes)
        return [f"{len(counted)} different: {ranges}; most often", *counted[:3]]


def describe(dataset: Dataset) -> Description:
    """Read the header of every file and sum up. A bad file is a problem, never an error."""
    source = dataset.words.source
    problems = [*dataset.problems, *(_deviations(source, dataset) if source is not None else [])]
    shapes: Counter[tuple[int, int, int]] = Counter()
    spacings: Counter[tuple[float, float, float]] = Counter()
    several: list[str] = []
    for case_id in dataset.case_ids:
        headers = _headers(dataset, case_id, problems)
        if not headers:
            continue
        shapes[headers[0].shape] += 1
        spacings[_rounded(headers[0])] += 1
        if not all(header.same_grid(headers[0]) for header in headers):
            several.append(case_id)
    missing = {case_id: dataset.missing(case_id) for case_id in dataset.case_ids}
    return Description(
        root=str(dataset.root),
        name=dataset.name,
        layout=dataset.layout,
        cases=len(dataset.case_ids),
        patients=len(set(dataset.patients.values())),
        labelled=sum(files.label is not None for files in dataset.files.values()),
        modalities={m: sum(m in files.images for files in dataset.files.values()) for m in dataset.modalities},
        absent_modalities=_absent(dataset),
        missing={case_id: lacking for case_id, lacking in missing.items() if lacking},
        shapes=dict(shapes.most_common()),
        spacings_mm=dict(spacings.most_common()) if dataset.spacing_known else None,
        several_grids=tuple(several),
        targets={target.name: target.values for target in dataset.targets},
        splits={name: len(ids) for name, ids in dataset.splits.items()} if dataset.splits is not None else None,
        source=source,
        problems=tuple(problems),
    )


def describe_source(source: Source) -> str:
    """How to obtain a published data set, its terms and its known faults, as `Description.to_text` shows them."""
    return "\n".join(_source_lines(source)) + "\n"


def _source_lines(source: Source) -> list[str]:
    cases = source.cases
    if isinstance(cases, dict):
        count = ", ".join(f"{number} {split}" for split, number in cases.items())
    else:
        count = str(cases) if cases is not None else ""
    facts = {
        "source": source.name,
        "obtain": source.obtain,
        "terms": source.terms,
        "published": count and f"{count} cases",
        "caution": source.caution,
    }
    return [line for title, text in facts.items() for line in _section(title, textwrap.wrap(text, _LINE))]


def _deviations(source: Source, dataset: Dataset) -> list[str]:
    """How the cases differ from the published ones, in number (by split where that was published) and in name."""
    published = source.cases
    splits = dataset.splits or {}
    if isinstance(published, dict) and set(published) == set(splits):
        counts = {f"{source.name}, {name}": (number, len(splits[name])) for name, number in published.items()}
    elif published is not None:
        total = sum(published.values()) if isinstance(published, dict) else published
        counts = {source.name: (total, len(dataset.case_ids))}
    else:
        counts = {}
    found = [f"{what}: {number} published, {here} found" for what, (number, here) in counts.items() if number != here]
    if source.numbered is not None:
        first, last = source.numbered
        others = [name for name in dataset.case_ids if not (name.isdecimal() and first <= int(name) <= last)]
        if others:
            some = ", ".join(others[:_MOST_NAMES]) + (", …" if len(others) > _MOST_NAMES else "")
            found.append(
                f"{source.name}: {len(others)} cases are not called by a number from {first} to {last}, as the "
                f"published ones are ({some}): they may be another data set's; see the caution"
            )
    return found


def _headers(dataset: Dataset, case_id: str, problems: list[str]) -> list[Header]:
    """Headers of a case's readable files, the reference modality first; the others go to `problems`."""
    files = dataset.files[case_id]
    headers: dict[Path, Header] = {}
    images = [(file.path, file.channel) for file in files.images.values()]
    # Where labels are read by a reader of their own, they are no images, and have no header.
    labels = [files.label, *files.more_labels] if files.label and dataset.label_reader is None else []
    for path, channel in [*images, *((path, None) for path in labels)]:
        if path in headers:
            continue
        try:
            headers[path] = read_header(path)
        except BadInputError as error:
            problems.append(str(error))
            continue
        expected = len(files.images) if channel is not None else 1
        if headers[path].channels != expected:
            problems.append(f"{path}: holds {headers[path].channels} volumes: expected {expected}")
    return list(headers.values())


def _rounded(header: Header) -> tuple[float, float, float]:
    x, y, z = (round(edge, 3) for edge in header.spacing_mm)
    return (x, y, z)


def _absent(dataset: Dataset) -> tuple[str, ...]:
    named = dataset.words.modalities
    # The usual words name every modality there is; only a targets file's own list says what to expect.
    if set(MODALITY_WORDS) <= set(named):
        return ()
    return tuple(modality for modality in named if modality not in dataset.modalities)


def _counted(counts: dict[str, int], unit: str = "") -> list[str]:
    return [f"{what}{unit}: {count} case{'s' if count != 1 else ''}" for what, count in counts.items()]


def _range(sizes: tuple[int, ...]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else f"{min(sizes)}-{max(sizes)}"


def _values(values: tuple[int, ...]) -> str:
    return " + ".join(str(value) for value in values)


def _section(title: str, entries: list[str]) -> list[str]:
    """Lines under one heading; a long list ends with how many more there are."""
    if not entries:
        return []
    shown = entries[:_MOST_LINES]
    if len(entries) > len(shown):
        shown.append(f"… and {len(entries) - len(shown)} more")
    return [f"  {title if number == 0 else '':<12}{entry}" for number, entry in enumerate(shown)]
