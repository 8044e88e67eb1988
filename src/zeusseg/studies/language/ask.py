"""Every question put to a model, case by case; what came of it is kept, so that a re-run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from zeusseg.case import Case, Mask, Target
from zeusseg.files import target_file_name, write_text
from zeusseg.instruct.instruction import image_digest
from zeusseg.io import write_mask
from zeusseg.studies.language.judge import Judged, judge
from zeusseg.studies.language.models import Answer, LanguageModel
from zeusseg.studies.language.questions import Question, make_questions

# Texts that a model is given at once: bounds its memory.
CHUNK = 24
# Masks that are kept of each kind of question, of right and of wrong answers, to be shown.
EXAMPLES = 3
# Kinds of which it is told as well whether the model noticed the contradiction: finding out costs a second pass.
SIDE_KINDS = ("right side", "wrong side")


@dataclass(frozen=True, eq=False)
class AskedCase:
    """A case with labels, what is asked about it, and the pieces (number to mask) of the targets that it needs."""

    case: Case
    targets: tuple[Target, ...]
    questions: tuple[Question, ...]
    pieces: Mapping[str, Mapping[int, Mask]]
    digest: str


def prepare_case(case: Case, targets: Sequence[Target], seed: int) -> AskedCase:
    """Draw the questions about a case. Raises `BadInputError` where it has no labels."""
    from zeusseg.datasets.instances import find_instances

    questions = tuple(make_questions(case, targets, seed=seed))
    pieces: dict[str, dict[int, Mask]] = {}
    for target in targets:
        if any(question.pieces and question.target == target.name for question in questions):
            found = find_instances(case, target)
            pieces[target.name] = {each.number: found.numbers == each.number for each in found.each}
    digest = hashlib.sha256(image_digest(case).encode())
    digest.update(b"" if case.labels is None else case.labels.array.tobytes())
    digest.update(json.dumps([asdict(question) for question in questions]).encode())
    return AskedCase(case, tuple(targets), questions, pieces, digest.hexdigest()[:16])


class AnswerFile:
    """`FOLDER/answers.jsonl`, one line per answered question, and `FOLDER/examples/` with a few of the masks.

    A case's lines are appended at once and carry what they follow from: the model's digest, and a key of images,
    labels and questions. What another model answered is dropped when the file is opened; a case that is not complete,
    or of which something has changed, when it comes up.
    """

    def __init__(self, folder: Path, model: LanguageModel):
        self.path, self.folder, self.model = folder / "answers.jsonl", folder, model
        self.judged: dict[str, list[Judged]] = {}
        self._keys: dict[str, list[str]] = {}
        self._read()

    @property
    def kept(self) -> int:
        """Cases that an earlier call answered."""
        return len(self.judged)

    def is_done(self, asked: AskedCase) -> bool:
        """Whether this model has answered exactly these questions about this case; other answers are forgotten."""
        case_id = asked.case.id
        if self._keys.get(case_id) == [asked.digest] * len(asked.questions):
            return True
        if case_id in self.judged:
            _remove_examples(self.folder, self.judged.pop(case_id))
            del self._keys[case_id]
            self._rewrite()
        return False

    def ask(self, asked: AskedCase) -> None:
        """Ask, judge, and keep. Raises `BadInputError` where the model cannot read the case."""
        answers = put_questions(self.model, asked)
        judged = judge(asked.case, asked.targets, asked.questions, answers, asked.pieces)
        judged = self._keep_examples(judged, answers, asked.case)
        self.judged[asked.case.id], self._keys[asked.case.id] = judged, [asked.digest] * len(judged)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(self._lines(asked.case.id))

    def _read(self) -> None:
        if not self.path.is_file():
            return
        dropped: list[Judged] = []
        lines = self.path.read_text(encoding="utf-8").splitlines()
        for text in lines:
            try:
                line: dict[str, Any] = json.loads(text)
                judged, model, key = Judged.from_json(line), line["model"], line["key"]
            except (ValueError, KeyError, TypeError):
                continue  # cut off when a call was killed: its case is asked about again
            if model != self.model.digest:
                dropped.append(judged)
                continue
            self.judged.setdefault(judged.case, []).append(judged)
            self._keys.setdefault(judged.case, []).append(key)
        _remove_examples(self.folder, dropped)
        if sum(map(len, self.judged.values())) < len(lines):
            self._rewrite()

    def _rewrite(self) -> None:
        write_text(self.path, "".join(self._lines(case_id) for case_id in self.judged))

    def _lines(self, case_id: str) -> str:
        return "".join(
            json.dumps(judged.to_json() | {"model": self.model.digest, "key": key}, ensure_ascii=False) + "\n"
            for judged, key in zip(self.judged[case_id], self._keys[case_id], strict=True)
        )

    def _keep_examples(self, judged: Sequence[Judged], answers: Sequence[Answer], case: Case) -> list[Judged]:
        """Write the masks of those that are shown: of each case at most one per kind, with a text not yet shown."""
        shown = [one for case_judged in self.judged.values() for one in case_judged if one.example is not None]
        counts = Counter((one.question.kind, one.right) for one in shown)
        texts = {one.question.text for one in shown}
        found = list(judged)
        order = sorted(range(len(found)), key=lambda place: found[place].question.text in texts)
        for kind, right in dict.fromkeys((one.question.kind, one.right) for one in judged):
            if counts[kind, right] == EXAMPLES:
                continue
            place = next(p for p in order if (found[p].question.kind, found[p].right) == (kind, right))
            stem = f"{kind.replace(' ', '-')}-{'right' if right else 'wrong'}-{target_file_name(case.id)}"
            file = write_mask(self.folder / "examples" / stem, answers[place].mask, case.reference)
            found[place] = replace(found[place], example=file.relative_to(self.folder).as_posix())
        return found


def _remove_examples(folder: Path, judged: Sequence[Judged]) -> None:
    for one in judged:
        if one.example is not None:
            (folder / one.example).unlink(missing_ok=True)


def put_questions(model: LanguageModel, asked: AskedCase) -> list[Answer]:
    """An answer per question; a text that several questions share is asked once."""
    blind = asked.case.without_labels()
    texts = list(dict.fromkeys(question.text for question in asked.questions))
    check = {question.text for question in asked.questions if question.kind in SIDE_KINDS}
    answers: dict[str, Answer] = {}
    for start in range(0, len(texts), CHUNK):
        chunk = texts[start : start + CHUNK]
        answers.update(zip(chunk, model.answer(blind, chunk, check=check), strict=True))
    return [answers[question.text] for question in asked.questions]
