"""What asking models costs: calls, tokens and seconds, in all and for each case."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from zeusseg.instruct.language.answer import Answer


@dataclass(frozen=True)
class Usage:
    """What was asked: calls made, answers found in the store, tokens in and out, seconds of all calls."""

    calls: int = 0
    stored: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls, self.stored + other.stored, self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out, self.seconds + other.seconds,
        )  # fmt: skip

    def to_text(self) -> str:
        return (
            f"{self.calls} calls, {self.stored} answers from the store, {self.tokens_in} tokens in, "
            f"{self.tokens_out} out, {self.seconds:.1f} s of answering"
        )


class Ledger:
    """Counts what is asked, from any thread; what a case has cost is kept until it is taken."""

    def __init__(self) -> None:
        self.total = Usage()
        self._cases: dict[str, Usage] = {}
        self._lock = threading.Lock()

    def asked(self, case_id: str, answer: Answer) -> None:
        """Count the calls behind an answer."""
        self._add(case_id, Usage(answer.calls, 0, answer.tokens_in, answer.tokens_out, answer.seconds))

    def found(self, case_id: str) -> None:
        """Count an answer from the store, which costs nothing."""
        self._add(case_id, Usage(stored=1))

    def take(self, case_id: str) -> Usage:
        """What a case has cost since it was last asked; it is forgotten then, so that memory stays flat."""
        with self._lock:
            used = self._cases.pop(case_id, Usage())
        return replace(used, seconds=round(used.seconds, 3))

    def _add(self, case_id: str, used: Usage) -> None:
        with self._lock:
            self.total += used
            self._cases[case_id] = self._cases.get(case_id, Usage()) + used
