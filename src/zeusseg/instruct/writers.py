"""Every writer by its name, as it is given on the command line and in configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from zeusseg.case import Case, CaseSource, Target
from zeusseg.errors import UsageError
from zeusseg.instruct.controls import FileWriter, NameWriter, NoneWriter, ShuffledWriter
from zeusseg.instruct.finding import Finding
from zeusseg.instruct.measured import MeasuredWriter
from zeusseg.instruct.prompted import PromptWriter

if TYPE_CHECKING:
    from zeusseg.instruct.language.usage import Usage
    from zeusseg.instruct.language.writer import LanguageModel


class Writer(Protocol):
    """Writes what it sees in each modality of a case, and unites it into one instruction per target."""

    @property
    def name(self) -> str:
        """The writer as `make_writer` takes it, for the instruction file."""
        ...

    @property
    def model(self) -> str: ...

    @property
    def prompt_version(self) -> str: ...

    @property
    def threads(self) -> int:
        """How many cases may be written about at a time in one process; 0: in processes instead."""
        ...

    @property
    def notice(self) -> str | None:
        """What users should know before it starts, such as that images leave the machine."""
        ...

    @property
    def is_checked(self) -> bool:
        """Whether its words are to be checked against the images; measurements need not be."""
        ...

    def usage_text(self) -> str:
        """What was asked of models so far, for people; empty where none was."""
        ...

    def cost_of(self, case_id: str) -> Usage | None:
        """What was asked of models for a case since this was last called for it; None where none is."""
        ...

    def estimate(self, readings: int, unions: int) -> str:
        """What it would cost, for people, to read so many modalities and to write so many instructions."""
        ...

    def findings(self, case: Case) -> dict[str, Finding]:
        """Findings by modality. Raises `ValueError` for a case with labels, `BadInputError` for a bad case."""
        ...

    def unite(self, case_id: str, findings: Mapping[str, Finding], target: Target) -> str:
        """The instruction for one target. Raises `BadInputError` where this case and target cannot have one."""
        ...


@dataclass(frozen=True)
class Order:
    """What a writer may be made with, besides the argument behind its name.

    `source` is the data set that is written about and `targets` what for (the source's own, where none are given);
    `seed` is for `shuffled`. Models keep their answers in `store`, follow the prompts of the folder `prompts` (None:
    the package's), and unite by the model `union` ("rule": by rule, "": by the model that reads), with `concurrency`
    calls at a time. They are shown `pictures`: a contact "sheet" for each modality, or its "slices" one by one.
    """

    source: CaseSource | None = None
    seed: int = 0
    targets: Sequence[Target] | None = None
    store: Path | None = None
    prompts: Path | None = None
    union: str = ""
    concurrency: int = 8
    pictures: str = "sheet"


def store_of(out: Path) -> Path:
    """Where the answers behind an instruction file are kept: beside it."""
    return out.with_name(out.name + ".store")


def _file(argument: str, order: Order) -> Writer:
    if not argument:
        raise UsageError("the writer 'file' needs a path: write file:instructions.jsonl")
    return FileWriter(Path(argument))


def _shuffled(argument: str, order: Order) -> Writer:
    if order.source is None:
        raise UsageError("the writer 'shuffled' needs the data set whose patients it swaps: pass source=")
    return ShuffledWriter(order.source, order.seed)


def _prompt(argument: str, order: Order) -> Writer:
    targets = order.targets if order.targets is not None else order.source.targets if order.source else None
    if not argument or targets is None:
        raise UsageError("the writer 'prompt' needs a kind, as in prompt:P5, and source= or targets=")
    return PromptWriter(argument, targets, getattr(order.source, "about", {}))


def _language(kind: str) -> Callable[[str, Order], Writer]:
    def make(argument: str, order: Order) -> Writer:
        from zeusseg.instruct.language.prompts import load_prompts
        from zeusseg.instruct.language.store import AnswerStore
        from zeusseg.instruct.language.writer import LanguageWriter

        if order.store is None or (order.targets is None and order.source is None):
            raise UsageError(f"the writer {kind!r} needs store= (a folder for its answers) and source= or targets=")
        if order.pictures not in PICTURES:
            raise UsageError(f"models are shown {' or '.join(PICTURES)}, not {order.pictures!r}")
        model = _model(f"{kind}:{argument}", order)
        union = None if order.union == "rule" else _model(order.union, order, model) if order.union else model
        targets = order.targets if order.targets is not None else order.source.targets if order.source else ()
        name = f"{kind}:{argument}" + (f" + {order.union}" if order.union else "")
        name += " by slices" if order.pictures == "slices" else ""
        return LanguageWriter(
            name, model, union, load_prompts(order.prompts), targets, AnswerStore(order.store),
            apart=order.pictures == "slices",
        )  # fmt: skip

    return make


def _model(spec: str, order: Order, beside: LanguageModel | None = None) -> LanguageModel:
    kind, _, argument = spec.partition(":")
    url, hash_, model = argument.rpartition("#")
    if kind == "local" and argument:
        from zeusseg.instruct.language.local import LocalModel

        return LocalModel(argument, concurrency=order.concurrency)
    if kind == "server" and hash_ and model:
        from zeusseg.instruct.language.server import ServerModel

        shared = beside if isinstance(beside, ServerModel) else None
        return ServerModel(url, model, concurrency=order.concurrency, beside=shared)
    raise UsageError(f"{spec!r} names no model: expected local:FOLDER_OR_HUB_ID or server:http://HOST:PORT/v1#MODEL")


WRITERS: dict[str, Callable[[str, Order], Writer]] = {
    "measured": lambda argument, order: MeasuredWriter(),
    "none": lambda argument, order: NoneWriter(),
    "name": lambda argument, order: NameWriter(),
    "file": _file,
    "shuffled": _shuffled,
    "local": _language("local"),
    "server": _language("server"),
    "prompt": _prompt,
}
WITH_ARGUMENT = {"file": "file:PATH", "local": "local:MODEL", "server": "server:URL#MODEL", "prompt": "prompt:P5"}
PICTURES = ("sheet", "slices")


def make_writer(spec: str, **order: Any) -> Writer:
    """The writer that a name such as `measured`, `file:PATH` or `server:URL#MODEL` stands for.

    `order` are the fields of `Order` that it needs. Raises `UsageError` for an unknown name (listing the known ones),
    a missing argument, or an argument to a writer that takes none.
    """
    name, colon, argument = spec.partition(":")
    if name not in WRITERS:
        known = ", ".join(WITH_ARGUMENT.get(writer, writer) for writer in WRITERS)
        hint = "; only `zeusseg study` makes oracle text, for arms marked `oracle: true`"
        hint = hint if name.startswith("oracle") else ""
        raise UsageError(f"unknown writer {spec!r}: expected one of {known}{hint}")
    if colon and name not in WITH_ARGUMENT:
        raise UsageError(f"the writer {name!r} takes no argument, but {spec!r} was given")
    return WRITERS[name](argument, Order(**order))
