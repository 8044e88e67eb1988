"""The targets files that ship with zeusseg, and which of them describes a folder."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from zeusseg.datasets.listing import Listing
from zeusseg.datasets.names import is_named
from zeusseg.datasets.targets import Recognise, Source, TargetsFile, read_targets_file
from zeusseg.datasets.values import label_values_found
from zeusseg.errors import UsageError

FOLDER = Path(__file__).parent / "known"
# Recognising must stay quick: a label file of BraTS takes a tenth of a second.
_FIRST_CASES = 4


@cache
def known_targets_files() -> dict[str, TargetsFile]:
    """Every shipped file by its stem."""
    return {path.stem: read_targets_file(path) for path in sorted(FOLDER.glob("*.yaml"))}


def known_source(name: str) -> Source:
    """Where a data set comes from, by the name of its shipped file. Raises `UsageError` listing the names there are."""
    sources = {stem: file.source for stem, file in known_targets_files().items() if file.source is not None}
    if name not in sources:
        raise UsageError(f"{name} is neither a folder nor a known data set: expected one of {', '.join(sources)}")
    return sources[name]


def recognise(listing: Listing) -> TargetsFile | None:
    """The shipped targets file whose every condition holds: the most particular one, or None."""
    fitting = [
        (-_conditions(file.recognise), len(file.recognise.label_values), name)
        for name, file in known_targets_files().items()
        if file.recognise is not None and _fits(file, file.recognise, listing)
    ]
    if not fitting:
        return None
    name = min(fitting)[2]
    file = known_targets_files()[name]
    return file if file.name else file.model_copy(update={"name": name})


def _conditions(rule: Recognise) -> int:
    return sum(bool(value) for value in rule.model_dump().values())


def _fits(file: TargetsFile, rule: Recognise, listing: Listing) -> bool:
    """Whether all conditions hold; the label files, slowest to ask, come last."""
    if listing.layout not in rule.layouts or (rule.dataset and not re.search(rule.dataset, listing.name)):
        return False
    if rule.cases and not all(re.search(rule.cases, case.id) for case in listing.cases):
        return False
    if rule.label_names and set(rule.label_names) != set(listing.label_values or {}):
        return False
    names = listing.channel_names or [name for case in listing.cases[:_FIRST_CASES] for name, _ in case.images]
    if not all(any(is_named(name, [wanted]) for name in names) for wanted in rule.names):
        return False
    if not rule.label_values:
        return True
    found = label_values_found(listing, tuple(file.label), _FIRST_CASES) - {0}
    # Without labels, as where one only predicts, the values are no evidence: the case ids must speak for themselves.
    return found <= set(rule.label_values) and bool(found or rule.cases or rule.dataset)
