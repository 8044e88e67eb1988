"""The writer that lets a vision-language model read each modality, and a language model unite what was read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Protocol

from zeusseg.case import Case, Target
from zeusseg.instruct.finding import Finding, refuse_labels
from zeusseg.instruct.instruction import image_digest
from zeusseg.instruct.language.answer import (
    Answer,
    Request,
    TooManyPicturesError,
    UnusableAnswerError,
    field_of,
    repair,
)
from zeusseg.instruct.language.prompts import Prompts
from zeusseg.instruct.language.sheet import PANELS, SHEET_VERSION, Sheet, contact_sheet, separate_slices
from zeusseg.instruct.language.store import AnswerStore, key_of
from zeusseg.instruct.language.union import side_by_side, united
from zeusseg.instruct.language.usage import Ledger, Usage
from zeusseg.instruct.signals import signal_of
from zeusseg.wording import MAX_WORDS


class LanguageModel(Protocol):
    """A model that answers a text with pictures. `concurrency` is how many questions it takes at a time."""

    @property
    def name(self) -> str: ...

    @property
    def concurrency(self) -> int: ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """What an answer follows from besides model and question, for the store."""
        ...

    @property
    def notice(self) -> str | None: ...

    def answer(self, request: Request) -> Answer:
        """Raises `UnusableAnswerError` or `BadInputError`: this question has no answer; others may have. Raises
        `TooManyPicturesError` where each picture has to be asked about on its own."""
        ...


class LanguageWriter:
    """Reads every modality on its own, then unites the findings into one instruction per target (Zeus, section 3).

    `union` is the model that unites, None for a union by rule: the target's name and definition, then each finding
    behind its modality. `apart` shows each slice as a picture of its own instead of all on one contact sheet. Answers
    are kept in `store` and never asked for twice; methods may be called from any thread.
    """

    is_checked = True

    def __init__(
        self, name: str, model: LanguageModel, union: LanguageModel | None, prompts: Prompts,
        targets: Sequence[Target], store: AnswerStore, *, apart: bool = False,
    ):
        self.name, self._model, self._union = name, model, union
        self._prompts, self._targets, self._store = prompts, tuple(targets), store
        self.model = model.name if union is model else f"{model.name}, union by {union.name if union else 'rule'}"
        self.prompt_version = prompts.version
        self._draw = separate_slices if apart else contact_sheet
        self._ledger = Ledger()
        self._under_way: dict[str, Future[None]] = {}

    @property
    def threads(self) -> int:
        """Twice the calls that a model takes: while some wait for answers, others read and draw images."""
        return 2 * self._model.concurrency

    @property
    def notice(self) -> str | None:
        """What a user should know before anything is sent."""
        told = dict.fromkeys(model.notice for model in (self._model, self._union) if model is not None)
        return "; ".join(text for text in told if text) or None

    def usage_text(self) -> str:
        """Calls, tokens and seconds so far."""
        return self._ledger.total.to_text()

    def cost_of(self, case_id: str) -> Usage:
        """What a case has cost since this was last asked of it."""
        return self._ledger.take(case_id)

    def estimate(self, readings: int, unions: int) -> str:
        """The calls (answers in the store are not asked for), and their cost by the answers that are kept."""
        unions = unions if self._union is not None else 0
        calls = readings + unions
        shown = f"up to {PANELS} pictures" if self._draw is separate_slices else "a picture"
        text = f"{calls} calls or fewer: {readings} readings with {shown} each, {unions} unions"
        if self._draw is separate_slices:
            text += " (a model of one picture at a time is asked about each)"
        kept, mean = self._store.costs(self._model.name)
        if not kept:
            return f"{text}; what one costs is known after the first ones (try --split or a few cases)"
        minutes = calls * mean.seconds / self._model.concurrency / 60
        return (
            f"{text}; by the {kept} answers that are kept about {calls * mean.tokens_in} tokens in, "
            f"{calls * mean.tokens_out} out, {minutes:.1f} minutes"
        )

    def findings(self, case: Case) -> dict[str, Finding]:
        """Ask what each modality shows. Raises `ValueError` for a case with labels, `BadInputError` where a modality
        could not be read."""
        refuse_labels(case)
        return {modality: Finding(modality, self._read(case, modality)) for modality in case.images}

    def unite(self, case_id: str, findings: Mapping[str, Finding], target: Target) -> str:
        """One instruction that names the target and keeps which modality said what, in at most 80 words."""
        definition = f"It is {target.definition.rstrip('. ')}." if target.definition else ""
        if self._union is None:
            return side_by_side(findings, target)
        told = "\n".join(f"{signal_of(f.modality).name}: {f.text}" for f in findings.values())
        text = self._prompts.union.format(
            findings=told, instance=target.name, definition=definition, words=MAX_WORDS
        )
        request = Request(text, "instruction")
        answer = self._ask(self._union, request, {"target": target.name}, case_id)
        return united(answer, findings, target)

    def _read(self, case: Case, modality: str) -> str:
        sheet = self._draw(case, modality)
        about = {
            "image": image_digest(case.with_modalities([modality])), "modality": modality, "sheet": SHEET_VERSION,
        }  # fmt: skip
        request = self._request(sheet, modality)
        singles = sheet.one_by_one() if len(sheet.pictures) > 1 else []
        kept = [self._stored(self._model, self._request(one, modality), about) is not None for one in singles]
        # What an earlier run had to ask one by one is not asked in another way now.
        if not (singles and all(kept)):
            try:
                return self._ask(self._model, request, about, case.id)
            except TooManyPicturesError:
                pass
        told: dict[str, list[str]] = {}
        for one in singles:
            finding = self._ask(self._model, self._request(one, modality), about, case.id)
            told.setdefault(finding, []).append(one.names[0])
        return " ".join(f"{finding.rstrip('. ')} ({', '.join(names)})." for finding, names in told.items())

    def _request(self, sheet: Sheet, modality: str) -> Request:
        text = self._prompts.reading.format(
            panels=sheet.panels, modality=signal_of(modality).name, orientation=sheet.orientation,
            instance=", ".join(target.name for target in self._targets),
        )
        return Request(text, "finding", sheet.pictures)

    def _ask(self, model: LanguageModel, request: Request, about: Mapping[str, Any], case_id: str) -> str:
        """The answer's text: from the store, else from the model, asked a second time where its answer is unusable."""
        asked = _asked(model, request, about)
        key = key_of(asked)
        with self._alone(key):
            answer = self._store.get(key)
            if answer is not None:
                self._ledger.found(case_id)
                return field_of(answer.text, request.field, plain=True)
            answer, text = self._answer(model, request, case_id)
            self._store.put(key, answer, asked)
            return text

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """Waits while another thread asks the same question, as the unions of two cases with like findings are."""
        mine: Future[None] = Future()
        while (other := self._under_way.setdefault(key, mine)) is not mine:
            other.result()
        try:
            yield
        finally:
            del self._under_way[key]
            mine.set_result(None)

    def _stored(self, model: LanguageModel, request: Request, about: Mapping[str, Any]) -> Answer | None:
        return self._store.get(key_of(_asked(model, request, about)))

    def _answer(self, model: LanguageModel, request: Request, case_id: str) -> tuple[Answer, str]:
        try:
            return self._usable(model, request, case_id, plain=False)
        except UnusableAnswerError as error:
            first = error.answer or Answer("")
            again = repair(request, first.text, str(error))
        second, text = self._usable(model, again, case_id, plain=True)
        return Answer(
            second.text, first.tokens_in + second.tokens_in, first.tokens_out + second.tokens_out,
            first.seconds + second.seconds, first.calls + second.calls,
        ), text  # fmt: skip

    def _usable(self, model: LanguageModel, request: Request, case_id: str, *, plain: bool) -> tuple[Answer, str]:
        """An answer and the text in it. What was asked is counted, whatever came back."""
        try:
            answer = model.answer(request)
        except UnusableAnswerError as error:
            self._ledger.asked(case_id, error.answer or Answer(""))
            raise
        self._ledger.asked(case_id, answer)
        try:
            return answer, field_of(answer.text, request.field, plain=plain)
        except UnusableAnswerError as error:
            raise UnusableAnswerError(str(error), answer) from error


def _asked(model: LanguageModel, request: Request, about: Mapping[str, Any]) -> dict[str, Any]:
    """All that an answer follows from. The pictures follow from image, modality and the way sheets are drawn."""
    return {**about, "model": model.name, "settings": dict(model.settings), "text": request.text}
