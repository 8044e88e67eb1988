"""What an instruction costs: how many calls are made, foreseen, saved, and written down."""

import json
import time

import pytest

from helpers.endpoint import Misbehaviour, good_answer, lines, pictures, say
from zeusseg.instruct.write import missing_lines
from zeusseg.instruct.writers import make_writer, store_of

pytestmark = pytest.mark.usefixtures("at_once")


def test_a_second_run_makes_no_call(endpoint, write, tmp_path):
    write()
    calls = len(endpoint.asked)
    first = lines(tmp_path / "i.jsonl")
    write()
    (tmp_path / "i.jsonl").unlink()
    result = write()
    assert len(endpoint.asked) == calls
    assert lines(tmp_path / "i.jsonl") == first
    assert result.usage.startswith("0 calls")


def test_no_more_calls_are_made_at_a_time_than_asked_for(endpoint, write):
    endpoint.script = lambda number, asked: Misbehaviour(
        body=json.dumps(good_answer(asked)).encode(), seconds=0.05
    )
    write(concurrency=2)
    assert endpoint.most_at_once == 2


def test_costs_are_estimated_from_the_answers_that_are_kept(endpoint, write, folder, tmp_path):
    out = tmp_path / "i.jsonl"
    spec = f"server:{endpoint.url}#scripted"
    writer = make_writer(spec, source=folder, store=store_of(out), concurrency=2)
    assert writer.estimate(3, 6).startswith("9 calls or fewer: 3 readings with a picture each, 6 unions; what one")
    assert missing_lines(folder, writer, out, folder.case_ids) == [(c, folder.targets) for c in folder.case_ids]
    write(out)
    assert missing_lines(folder, writer, out, folder.case_ids) == []
    # Every scripted answer costs 100 tokens in and 20 out.
    assert "by the 9 answers that are kept about 900 tokens in, 180 out" in writer.estimate(3, 6)
    by_rule = make_writer(spec, source=folder, store=store_of(out), union="rule")
    assert by_rule.estimate(3, 6).startswith("3 calls or fewer: 3 readings with a picture each, 0 unions")
    assert make_writer("measured").estimate(3, 6) == "no model is asked"


def test_what_a_case_has_cost_is_a_row_of_a_table(endpoint, write, tmp_path):
    endpoint.script = lambda number, asked: good_answer(asked) if number > 1 else say("{}")  # asked twice
    write(concurrency=1)
    rows = [row.split(",") for row in (tmp_path / "i.jsonl.costs.csv").read_text().splitlines()]
    assert rows[0] == ["case", "created", "calls", "stored", "tokens_in", "tokens_out", "seconds"]
    # A reading and a union for each of two targets; the first question took a repair. 100 tokens in, 20 out each.
    assert {row[0] for row in rows[1:]} == {"anna", "bert", "cora"}
    assert sorted(tuple(row[2:6]) for row in rows[1:]) == [
        ("3", "0", "300", "60"), ("3", "0", "300", "60"), ("4", "0", "400", "80"),
    ]  # fmt: skip


def test_answers_that_cannot_be_used_cost_as_well(endpoint, write, tmp_path):
    endpoint.script = lambda number, asked: say("and so on and", finish_reason="length")
    assert len(write(concurrency=1).failures) == 3
    rows = [row.split(",") for row in (tmp_path / "i.jsonl.costs.csv").read_text().splitlines()]
    assert [row[2:6] for row in rows[1:]] == [["2", "0", "200", "40"]] * 3


def test_like_questions_that_wait_for_each_other_are_asked_once(endpoint, write):
    def slow(number, asked):
        time.sleep(0.3)
        return say('{"finding": "Nothing stands out."}') if asked in pictures(endpoint) else good_answer(asked)

    endpoint.script = slow
    result = write(concurrency=8)
    # All three cases show the same: their unions are the same two questions.
    assert len(endpoint.asked) == 3 + 2
    assert result.usage.startswith("5 calls, 4 answers from the store")
