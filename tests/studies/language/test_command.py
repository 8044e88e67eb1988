"""The language test from beginning to end: what it says of models whose behaviour is known, and what it keeps."""

import csv
import io
import json
from collections import Counter
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from zeusseg.errors import UsageError
from zeusseg.io import read_mask
from zeusseg.studies.language import ask
from zeusseg.studies.language.ask import EXAMPLES
from zeusseg.studies.language.command import probe_language
from zeusseg.studies.language.models import Answer
from zeusseg.studies.language.questions import Question

DEAF_TO = ("absent", "gibberish", "empty", "unrelated", "negation", "wrong image")


@pytest.fixture
def probe(phantoms, peers, tmp_path):
    """Ask these functions of `peers` about the first cases."""

    def ask_them(*functions: str, cases: int = 6, seed: int = 0, dataset=phantoms):
        models = [f"{peers}:{function}" for function in functions]
        return probe_language(models, dataset, dataset.case_ids[:cases], tmp_path / "out", seed=seed, progress=False)

    return ask_them


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def rates(test, model):
    return {rate.row.name: rate.rate for rate in test.rates if rate.model == model}


def verdicts(test):
    return {found.model: found.verdict for found in test.verdicts}


def test_a_model_that_heeds_every_word_is_right_everywhere(probe):
    test = probe("perfect")
    assert set(rates(test, "peers.perfect").values()) == {1.0}
    assert {"swap", "absent", "paraphrase", "contrast", "negation"} <= set(rates(test, "peers.perfect"))
    assert all(spread.points == 0 for spread in test.spreads)
    assert verdicts(test) == {"peers.perfect": "words decide"}
    assert "MISSED" not in test.to_text()


def test_a_model_that_ignores_its_words_is_found_out(probe):
    test = probe("deaf")
    found = rates(test, "peers.deaf")
    assert {found[kind] for kind in DEAF_TO if kind in found} == {0.0}
    # Of the two swaps of a pair one mask fits better by chance.
    assert found["swap"] <= 0.5
    assert verdicts(test) == {"peers.deaf": "IGNORES ITS WORDS"}
    assert "swap" in test.to_text()


def test_never_marking_anything_is_no_way_to_pass(probe):
    test = probe("silent")
    assert rates(test, "peers.silent")["absent"] == 1.0
    assert verdicts(test) == {"peers.silent": "IGNORES ITS WORDS"}


def test_models_stand_side_by_side_in_the_tables(probe, tmp_path):
    test = probe("perfect", "deaf")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "rates.csv").read_text())))
    absent = {row["model"]: row for row in rows if row["what"] == "absent"}
    assert (float(absent["peers.perfect"]["value"]), absent["peers.perfect"]["met"]) == (1, "1")
    assert (float(absent["peers.deaf"]["value"]), absent["peers.deaf"]["met"]) == (0, "0")
    table = (tmp_path / "out" / "table.md").read_text()
    line = next(line for line in table.splitlines() if line.startswith("| absent"))
    assert "| 100 % [54.1 to 100] (n = 36 in 6), met | 0 % [0 to 45.9] (n = 36 in 6), **missed** |" in line
    assert "**peers.deaf: IGNORES ITS WORDS.**" in table
    assert test.failures == {}


def test_every_answer_is_a_line(probe, tmp_path):
    probe("perfect", cases=2)
    found = lines(tmp_path / "out" / "peers.perfect" / "answers.jsonl")
    swap = next(line for line in found if line["kind"] == "swap")
    assert swap["text"] == swap["target"] != swap["about"]
    assert swap["dice"] == swap["dice_of"][swap["target"]] == 1
    assert all(line["right"] for line in found)
    name = next(line for line in found if line["kind"] == "name")
    assert name["empty_slices"] >= name["clear_empty_slices"]
    assert name["marked_empty_slices"] == 0


def test_a_few_masks_of_each_kind_are_kept_one_from_a_case(probe, phantoms, tmp_path):
    probe("deaf")
    folder = tmp_path / "out" / "peers.deaf"
    kept = [line for line in lines(folder / "answers.jsonl") if line["example"]]
    counts = Counter((line["kind"], line["right"]) for line in kept)
    assert max(counts.values()) == counts["absent", False] == EXAMPLES
    assert max(Counter((line["kind"], line["right"], line["case"]) for line in kept).values()) == 1
    line = kept[0]
    mask = read_mask(folder / line["example"], phantoms.read(line["case"]).reference)
    assert mask.sum() == line["voxels"] > 0


@pytest.fixture
def asked(monkeypatch):
    """The cases that were really asked about."""
    found = []
    put = ask.put_questions
    monkeypatch.setattr(ask, "put_questions", lambda model, case: found.append(case.case.id) or put(model, case))
    return found


def test_each_text_is_asked_once_and_sides_are_checked_against_the_image(phantoms):
    class Model:
        asked: ClassVar[list[str]] = []
        checked: ClassVar[set[str]] = set()

        def answer(self, case, texts, *, check=()):
            assert case.labels is None
            assert len(texts) <= ask.CHUNK
            self.asked.extend(texts)
            self.checked.update(check)
            return [Answer(np.zeros(case.shape, bool)) for _ in texts]

    case = ask.prepare_case(phantoms.read(phantoms.case_ids[0]), phantoms.targets, 0)
    side = Question("wrong side", "lesion on the left", about="lesion")
    questions = (side, *case.questions)
    assert len(ask.put_questions(Model(), replace(case, questions=questions))) == len(questions)
    assert sorted(Model.asked) == sorted({question.text for question in questions})
    assert Model.checked == {q.text for q in questions if q.kind in ("right side", "wrong side")}


def test_a_second_call_asks_only_what_is_new(probe, asked, phantoms):
    probe("perfect", cases=2)
    first = probe("perfect", cases=2).to_text()
    assert asked == list(phantoms.case_ids[:2])
    probe("perfect", cases=3)
    assert asked == list(phantoms.case_ids[:3])
    assert probe("perfect", cases=2).to_text() == first


@pytest.mark.parametrize("written", [0.0, 0.5, 1.0, 20.5])
def test_after_a_kill_the_unfinished_case_is_asked_about_again(probe, asked, phantoms, tmp_path, written):
    expected = probe("perfect", cases=2).to_text()
    file = tmp_path / "out" / "peers.perfect" / "answers.jsonl"
    whole = file.read_text().splitlines(keepends=True)
    # So many lines of the second case had been written.
    first = sum(json.loads(line)["case"] == phantoms.case_ids[0] for line in whole) + int(written)
    file.write_text("".join(whole[:first]) + whole[first][: int(len(whole[first]) * (written % 1))])
    assert probe("perfect", cases=2).to_text() == expected
    assert asked[2:] == [phantoms.case_ids[1]]
    assert [line["case"] for line in lines(file)] == [json.loads(line)["case"] for line in whole]


def test_a_changed_model_starts_anew(probe, asked, peers, phantoms, tmp_path):
    probe("deaf", cases=2)
    peers.write_text(peers.read_text().replace("> 100", "> 1e6"))
    probe("deaf", cases=1)
    assert asked == [*phantoms.case_ids[:2], phantoms.case_ids[0]]
    found = lines(tmp_path / "out" / "peers.deaf" / "answers.jsonl")
    assert {line["case"] for line in found} == {phantoms.case_ids[0]}
    assert {line["voxels"] for line in found} == {0}


def test_other_questions_are_asked_anew(probe, asked, phantoms):
    probe("deaf", cases=1, seed=0)
    probe("deaf", cases=1, seed=1)
    assert asked == [phantoms.case_ids[0]] * 2


def test_a_case_that_cannot_be_read_is_listed_and_the_others_go_on(probe, phantoms):
    first, second = phantoms.case_ids[:2]
    broken = replace(phantoms, files=phantoms.files | {first: replace(phantoms.files[first], problem="it is torn")})
    test = probe("perfect", cases=2, dataset=broken)
    assert test.failures == {first: "it is torn"}
    assert {one.case for one in test.judged["peers.perfect"]} == {second}


def test_a_case_that_one_model_cannot_answer_is_listed_for_that_model(probe, peers, phantoms):
    peers.write_text(peers.read_text().replace("images[next(iter(images))] > 100", "images['dwi'] > 100"))
    test = probe("deaf", "perfect", cases=1)
    assert list(test.failures) == [f"{phantoms.case_ids[0]}, peers.deaf"]
    assert test.models == ["peers.perfect"]


def test_a_run_is_asked_as_any_model_is(run, phantoms, tmp_path):
    ids = phantoms.splits["test"]
    test = probe_language([str(run)], phantoms, ids, tmp_path / "out", seed=0, progress=False)
    assert {one.case for one in test.judged["run"]} == set(ids)
    assert all(one.presence is not None for one in test.judged["run"])
    assert (tmp_path / "out" / "report.html").is_file()


def test_two_models_of_one_name_are_told_apart_or_refused(probe, run, phantoms, tmp_path):
    with pytest.raises(UsageError, match="two of the models are called"):
        probe("deaf", "deaf")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "run").symlink_to(run)
    # Links are followed to the folder itself: it is the same run.
    with pytest.raises(UsageError, match="two of the models are called"):
        probe_language([str(run), str(tmp_path / "other" / "run")], phantoms, [], tmp_path / "out", seed=0)
