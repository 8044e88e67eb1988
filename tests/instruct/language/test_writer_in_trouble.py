"""An endpoint that misbehaves, a run that is killed, a disk in the way: nothing is lost or asked twice."""

import json
import os
import re
import subprocess
import sys

import pytest

from helpers.endpoint import Misbehaviour, good_answer, lines, pictures, say
from zeusseg.errors import UsageError

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.mark.parametrize(
    "misbehaviour",
    [
        Misbehaviour(429, headers={"Retry-After": "0.01"}), Misbehaviour(500), Misbehaviour(reset=True),
        Misbehaviour(body=b"not json"), Misbehaviour(body=b'{"choices": []}' * 20, half=True),
        say("Well, I would say it is bright."), say('{"text": "wrong schema"}'), say('{"finding": "cut o'),
        say("I begin and", finish_reason="length"), say(None, message={"refusal": "No."}),
    ],
    ids=["429", "500", "reset", "no JSON", "half", "plain text", "wrong schema", "broken", "cut off", "refusal"],
)  # fmt: skip
def test_an_endpoint_that_misbehaves_every_other_time_still_gives_the_same_file(
    endpoint, write, tmp_path, misbehaviour
):
    write(tmp_path / "good.jsonl")
    said = set()

    def script(number, asked):
        question = json.dumps(asked["messages"])
        if question in said or "could not be used" in question:
            return good_answer(asked)
        said.add(question)
        return misbehaviour

    endpoint.script = script
    result = write(tmp_path / "bad.jsonl")
    assert result.failures == {}
    assert lines(tmp_path / "bad.jsonl") == lines(tmp_path / "good.jsonl")


def test_what_has_no_answer_is_left_out_and_listed_and_a_re_run_fills_the_gap(endpoint, write, tmp_path):
    def edge_is_refused(number, asked):
        if "outlining: edge" in asked["messages"][0]["content"][0]["text"]:
            return say(None, message={"refusal": "I do not do edges."})
        return good_answer(asked)

    endpoint.script = edge_is_refused
    result = write()
    assert {line.target for line in result.instructions} == {"lesion"}
    assert all("edge: the model refused: I do not do edges" in reason for reason in result.failures.values())
    before = len(endpoint.asked)
    endpoint.script = lambda number, asked: good_answer(asked)
    assert len(write().instructions) == 6
    assert len(endpoint.asked) == before + 3  # one union for each of three cases


def test_plain_text_is_taken_after_one_repair(endpoint, write):
    def talks(number, asked):
        return say("It is bright on the right.") if len(asked["messages"][0]["content"]) > 1 else good_answer(asked)

    endpoint.script = talks
    result = write()
    assert result.instructions[0].findings["flair"] == "It is bright on the right."
    assert len(pictures(endpoint)) == 2 * 3


def test_a_kill_in_the_middle_repeats_no_call_and_gives_the_same_file(endpoint, write, folder, tmp_path):
    write(tmp_path / "whole.jsonl")
    endpoint.asked.clear()
    out = tmp_path / "killed.jsonl"
    program = (
        "import sys; from pathlib import Path\n"
        "from zeusseg.datasets import load_dataset\n"
        "from zeusseg.instruct.write import write_instructions\n"
        "from zeusseg.instruct.writers import make_writer, store_of\n"
        "dataset, out = load_dataset(Path(sys.argv[1])), Path(sys.argv[2])\n"
        "writer = make_writer(sys.argv[3], source=dataset, store=store_of(out), concurrency=1)\n"
        "write_instructions(dataset, writer, out, progress=False)\n"
    )
    spec = f"server:{endpoint.url}#scripted"
    process = subprocess.Popen([sys.executable, "-c", program, str(folder.root), str(out), spec])

    def kill_at_the_fifth(number, asked):
        if number == 5:
            os.kill(process.pid, 9)
        return good_answer(asked)

    endpoint.script = kill_at_the_fifth
    assert process.wait(60) == -9
    endpoint.script = lambda number, asked: good_answer(asked)
    assert write(out).failures == {}
    assert lines(out) == lines(tmp_path / "whole.jsonl")
    questions = [json.dumps(asked, sort_keys=True) for asked in endpoint.asked]
    # Two may be made again: the call in flight when the process died, and the one whose answer was on its way to disk.
    assert len(questions) - len(set(questions)) <= 2


def test_a_store_that_cannot_be_written_stops_the_run_at_once(endpoint, write, tmp_path):
    (tmp_path / "i.jsonl.store").write_text("in the way")
    with pytest.raises(UsageError, match="cannot be kept in"):
        write(concurrency=1)
    assert len(endpoint.asked) <= 2


def test_an_endpoint_that_takes_one_picture_is_asked_about_each_slice(endpoint, write, tmp_path):
    def one_picture(number, asked):
        if len(asked["messages"][0]["content"]) > 2:
            return Misbehaviour(400, b'{"error": {"message": "At most 1 image(s) may be provided in one prompt."}}')
        return say('{"finding": "Nothing stands out."}')

    endpoint.script = one_picture
    lines = write(pictures="slices", union="rule", concurrency=1).instructions
    # The same was said of all six slices: it is said once, and of which.
    assert re.fullmatch(r"Nothing stands out \(slice \d+ of 12(, slice \d+ of 12){5}\)\.", lines[0].findings["flair"])
    calls = len(endpoint.asked)
    assert sum(len(asked["messages"][0]["content"]) == 2 for asked in endpoint.asked) == 3 * 6
    (tmp_path / "i.jsonl").unlink()
    again = write(pictures="slices", union="rule", concurrency=1).instructions
    assert [line.findings for line in again] == [line.findings for line in lines]
    assert len(endpoint.asked) == calls
