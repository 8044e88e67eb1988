"""Answers that were paid for once: a folder of files, each named after everything that its answer follows from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zeusseg.errors import UsageError
from zeusseg.files import write_text
from zeusseg.instruct.language.answer import Answer


class AnswerStore:
    """A content-addressed store in a folder, which is made when the first answer is put in.

    Every answer is one file, written beside and renamed, so a kill loses at most the calls in flight, and any number
    of threads may use one store.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def get(self, key: str) -> Answer | None:
        """The answer of that key; None where there is none, or where its file is broken (it is asked for again)."""
        try:
            return Answer(**json.loads(self._path(key).read_text(encoding="utf-8"))["answer"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def costs(self, model: str) -> tuple[int, Answer]:
        """How many answers of a model are kept, and their mean cost (tokens and seconds of one) as an `Answer`."""
        kept: list[Answer] = []
        for path in self.folder.glob("*/*.json"):
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                if content["asked"]["model"] == model:
                    kept.append(Answer(**content["answer"]))
            except (OSError, ValueError, KeyError, TypeError):
                continue
        count = max(len(kept), 1)
        return len(kept), Answer(
            "", sum(a.tokens_in for a in kept) // count, sum(a.tokens_out for a in kept) // count,
            sum(a.seconds for a in kept) / count,
        )

    def put(self, key: str, answer: Answer, asked: dict[str, Any]) -> None:
        """Keep an answer, with what was asked (for people who look into the folder).

        Raises `UsageError` where it cannot be kept: going on would pay for answers that are lost.
        """
        content = {"asked": asked, "answer": asdict(answer)}
        try:
            write_text(self._path(key), json.dumps(content, indent=1) + "\n")
        except OSError as error:
            raise UsageError(
                f"the answer cannot be kept in {self.folder} ({error}): make room, or name another --out"
            ) from error

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def key_of(asked: dict[str, Any]) -> str:
    """The key of a question: a digest of all that its answer follows from, whatever the order it is given in."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
