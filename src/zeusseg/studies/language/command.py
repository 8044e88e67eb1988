"""The language test from beginning to end: every case is asked about, and what was found is written and shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from zeusseg.datasets import Dataset
from zeusseg.errors import BadInputError, UsageError
from zeusseg.files import target_file_name, write_text
from zeusseg.studies.language.ask import AnswerFile, prepare_case
from zeusseg.studies.language.judge import Judged
from zeusseg.studies.language.models import LanguageModel, open_model
from zeusseg.studies.language.page import write_language_page
from zeusseg.studies.language.rates import Rate, rates_of
from zeusseg.studies.language.spread import Spread, spreads_of
from zeusseg.studies.language.tables import language_markdown, rates_csv, rates_text
from zeusseg.studies.language.verdict import Verdict, WrongSide, verdict_of, wrong_side_of
from zeusseg.work import notify, track

# What `_named_apart` calls the runs of a study.
_SEED = re.compile(r"(.+)_seed-\d+")
_IS_SEED = re.compile(r"seed-\d+")


@dataclass
class LanguageTest:
    """What was found. `judged` is by model; `failures` says which case could not be read or answered, and why."""

    data: str
    seed: int
    judged: dict[str, list[Judged]]
    rates: list[Rate] = field(default_factory=list)
    spreads: list[Spread] = field(default_factory=list)
    wrong_sides: list[WrongSide] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def models(self) -> list[str]:
        return list(self.judged)

    @property
    def cases(self) -> int:
        """The number of cases that some model answered all questions about."""
        return len({one.case for judged in self.judged.values() for one in judged})

    @property
    def patients(self) -> int:
        return len({one.patient for judged in self.judged.values() for one in judged})

    def to_text(self) -> str:
        """The verdicts, and every rate with its interval, n and goal."""
        return rates_text(self)


def probe_language(
    models: Sequence[str], dataset: Dataset, case_ids: Sequence[str], out: Path | str, *, seed: int,
    progress: bool = True,
) -> LanguageTest:
    """Ask every model (a run folder, or `FILE.py:FUNCTION`) everything about the cases, and write what was found.

    Writes `out`/MODEL/answers.jsonl (every question with what came of it) and `out`/MODEL/examples/ (some of the
    masks), rates.csv, table.md and report.html. A case that a model has answered before is not asked about again, as
    long as model, case and questions are the same. Runs of a study that differ in nothing but their seed (folders
    ARM/seed-N) are one model in the tables, whose answers are averaged for each patient. A case that cannot be read or
    answered is listed in the result; the others go on. Raises `UsageError` where a model cannot be opened or answers in
    another form than was asked for.
    """
    out = Path(out)
    opened = _named_apart([open_model(text) for text in models], models)
    folders = {name: out / target_file_name(name) for name in opened}
    files = {name: AnswerFile(folders[name], model) for name, model in opened.items()}
    for name, file in files.items():
        if file.kept:
            notify(f"{file.kept} cases that {name} has answered before are kept; remove {file.path} to ask again")
    test = LanguageTest(dataset.name, seed, {name: [] for name in opened})
    for case_id in track(case_ids, "asking", len(case_ids), show=progress):
        try:
            asked = prepare_case(dataset.read(case_id), dataset.targets, seed)
        except BadInputError as error:
            test.failures[case_id] = str(error)
            continue
        for name, file in files.items():
            try:
                if not file.is_done(asked):
                    file.ask(asked)
            except BadInputError as error:
                test.failures[f"{case_id}, {name}"] = str(error)
                continue
            test.judged[name] += file.judged[case_id]
    test.judged = _seeds_together({name: judged for name, judged in test.judged.items() if judged}, folders)
    folders |= {name: out for name in test.judged if name not in folders}
    for name, judged in test.judged.items():
        test.rates += rates_of(name, judged)
        test.spreads += spreads_of(name, judged)
        wrong_side = wrong_side_of(name, judged)
        test.wrong_sides += [] if wrong_side is None else [wrong_side]
        test.verdicts.append(verdict_of(name, judged))
    if test.judged:
        write_text(out / "rates.csv", rates_csv(test))
        write_text(out / "table.md", language_markdown(test))
        write_language_page(test, folders, dataset, out / "report.html")
    return test


def ask_model(
    model: str, dataset: Dataset, case_ids: Sequence[str], out: Path | str, *, seed: int, progress: bool = True
) -> None:
    """Ask one model everything about the cases, and keep its answers where `probe_language` looks for them.

    Bad cases are left for it to name. Raises `UsageError` as it does.
    """
    (name, opened), = _named_apart([open_model(model)], [model]).items()
    file = AnswerFile(Path(out) / target_file_name(name), opened)
    for case_id in track(case_ids, f"asking {name}", len(case_ids), show=progress):
        try:
            asked = prepare_case(dataset.read(case_id), dataset.targets, seed)
            if not file.is_done(asked):
                file.ask(asked)
        except BadInputError:
            continue


def _seeds_together(judged: dict[str, list[Judged]], folders: dict[str, Path]) -> dict[str, list[Judged]]:
    """The answers by model, those of an arm's seeds under the name of the arm where there are several."""
    arms = {name: found[1] if (found := _SEED.fullmatch(name)) else name for name in judged}
    together: dict[str, list[Judged]] = {}
    for name, answers in judged.items():
        arm = arms[name]
        if list(arms.values()).count(arm) == 1:
            together[name] = answers
            continue
        place = folders[name].name
        moved = (replace(one, example=one.example and f"{place}/{one.example}") for one in answers)
        together.setdefault(arm, []).extend(moved)
    return together


def _named_apart(models: Sequence[LanguageModel], texts: Sequence[str]) -> dict[str, LanguageModel]:
    """The models by name; runs of the same name, and those of a study, go by that of the folder above as well."""
    names = [model.name for model in models]
    named: dict[str, LanguageModel] = {}
    for model, text in zip(models, texts, strict=True):
        name = model.name
        if names.count(name) > 1 or _IS_SEED.fullmatch(name):
            name = f"{Path(text.rpartition(':')[0] or text).resolve().parent.name}_{name}"
        if name in named:
            raise UsageError(f"two of the models are called {name!r}: give one of them, or rename a folder")
        named[name] = model
    return named
