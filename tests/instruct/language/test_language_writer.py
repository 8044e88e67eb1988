"""From images to instructions through an endpoint: each modality alone, united per target, and never twice."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from helpers.endpoint import Misbehaviour, good_answer, say
from zeusseg.case import Target
from zeusseg.datasets import load_dataset
from zeusseg.errors import UsageError
from zeusseg.instruct.finding import Finding
from zeusseg.instruct.instruction import read_instructions
from zeusseg.instruct.write import missing_lines, write_instructions
from zeusseg.instruct.writers import make_writer, store_of
from zeusseg.wording import MAX_WORDS, words_of

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture
def write(endpoint, folder, tmp_path):
    def run(out=tmp_path / "i.jsonl", **order):
        writer = make_writer(f"server:{endpoint.url}#scripted", source=folder, store=store_of(out), **order)
        return write_instructions(folder, writer, out, progress=False)

    return run


def lines(path):
    return [replace(line, created="") for line in read_instructions(path)]


def pictures(endpoint):
    return [asked for asked in endpoint.asked if len(asked["messages"][0]["content"]) > 1]


def test_every_modality_is_read_and_every_target_gets_an_instruction(endpoint, write, folder):
    result = write()
    assert result.failures == {}
    assert [(line.case, line.target) for line in result.instructions] == [
        (case_id, target.name) for case_id in folder.case_ids for target in folder.targets
    ]
    assert len(pictures(endpoint)) == sum(len(folder.read(case_id).images) for case_id in folder.case_ids)
    first = result.instructions[0]
    assert first.text == "Outline the lesion. It is bright on FLAIR."
    assert first.findings["flair"].startswith("A bright area, seen in picture ")
    assert (first.model, first.writer) == ("scripted", f"server:{endpoint.url}#scripted")
    assert "calls" in result.usage


def test_prompts_name_the_targets_the_modality_the_orientation_and_the_findings(endpoint, write):
    write()
    reading = pictures(endpoint)[0]["messages"][0]["content"][0]["text"]
    for words in ("lesion, edge", "FLAIR", "right is on the left", "NOT visible", "do not guess"):
        assert words in reading
    union = next(a for a in endpoint.asked if a not in pictures(endpoint))["messages"][0]["content"][0]["text"]
    for words in ("FLAIR: A bright area, seen in picture", "outlining: lesion", "do not average", "80 words"):
        assert words in union


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


def test_a_persons_edits_are_kept(endpoint, write, tmp_path):
    original = write().instructions
    edited = original[0].edited("the bright spot behind the eye")
    out = tmp_path / "i.jsonl"
    out.write_text("".join(line.to_json() + "\n" for line in [edited, *original[1:]]))
    after = write().instructions[0]
    assert (after.text, after.text_before) == (edited.text, edited.text_before)
    assert "the bright spot behind the eye" in [check.statement for check in after.checks]
    assert lines(out)[1:] == [replace(line, created="") for line in original[1:]]


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


def test_an_instruction_always_names_its_target_and_fits_the_text_encoder(endpoint, write):
    def forgetful(number, asked):
        if len(asked["messages"][0]["content"]) > 1:
            return good_answer(asked)
        return say(json.dumps({"instruction": "Outline it. " + "It is very bright. " * 40}))

    endpoint.script = forgetful
    for line in write().instructions:
        assert line.text.startswith(f"Segment the {line.target}. Outline it. It is very bright.")
        assert len(words_of(line.text)) <= MAX_WORDS


def test_a_union_by_rule_asks_for_nothing_and_keeps_which_modality_said_what(endpoint, write):
    result = write(union="rule")
    assert len(endpoint.asked) == len(pictures(endpoint)) == 3
    text = result.instructions[0].text
    assert text.startswith("Segment the lesion: An area that should not be there. FLAIR: A bright area, seen in")


def test_another_model_may_unite(endpoint, write):
    result = write(union=f"server:{endpoint.url}#other")
    assert {asked["model"] for asked in pictures(endpoint)} == {"scripted"}
    assert {asked["model"] for asked in endpoint.asked if asked not in pictures(endpoint)} == {"other"}
    assert result.instructions[0].model == "scripted, union by other"


def test_other_prompts_are_other_questions(endpoint, write, tmp_path):
    version = write().instructions[0].prompt_version
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / "reading.txt").write_text("version: 7\n---\nLook at this {modality}. Answer {{\"finding\": \"...\"}}.\n")
    (folder / "union.txt").write_text(
        "version: 7\n---\n{findings} Write one instruction for outlining: {instance}. Answer in JSON.\n"
    )
    result = write(tmp_path / "other.jsonl", prompts=folder)
    assert result.instructions[0].prompt_version.startswith("7+")
    assert not version.startswith("7+")
    asked = pictures(endpoint)[-1]["messages"][0]["content"][0]["text"]
    assert asked == 'Look at this FLAIR. Answer {"finding": "..."}.'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("Look at this.", "must start with a line 'version: N'"),
        ("version: 1\n---\nLook at this {organ}.", r"names \{organ\}: it can name"),
        ("version: 1\n---\nLook at this {modality:d}.", r"names \{modality\}: it can name"),
        ("version: 1\n---\nAnswer {\"finding\"", "brace"),
    ],
)  # fmt: skip
def test_prompts_that_cannot_be_used_are_refused(write, tmp_path, content, message):
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / "union.txt").write_text("version: 1\n---\n{findings}\n")
    if content is not None:
        (folder / "reading.txt").write_text(content)
    with pytest.raises(UsageError, match=message):
        write(prompts=folder)


def test_no_more_calls_are_made_at_a_time_than_asked_for(endpoint, write):
    endpoint.script = lambda number, asked: Misbehaviour(
        body=json.dumps(good_answer(asked)).encode(), seconds=0.05
    )
    write(concurrency=2)
    assert endpoint.most_at_once == 2


def test_the_key_is_written_nowhere(endpoint, write, tmp_path, monkeypatch):
    monkeypatch.setenv("ZEUSSEG_API_KEY", "open-sesame")
    write()
    assert endpoint.headers[0]["Authorization"] == "Bearer open-sesame"
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 9
    assert not any(b"open-sesame" in path.read_bytes() for path in written)


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


def test_real_patients_are_written_about_in_full(endpoint, data, tmp_path):
    dataset = load_dataset(data / "brats2013")
    out = tmp_path / "i.jsonl"
    writer = make_writer(f"server:{endpoint.url}#scripted", source=dataset, store=store_of(out))
    result = write_instructions(dataset, writer, out, progress=False)
    assert result.failures == {}
    assert len(result.instructions) == len(dataset.case_ids) * len(dataset.targets)
    assert {modality for line in result.instructions for modality in line.findings} == {"flair", "t1ce"}
    # Every picture is another one, so every finding is.
    assert len({text for line in result.instructions for text in line.findings.values()}) == 2 * len(dataset.case_ids)


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


def test_a_union_by_rule_gives_every_modality_its_share(tmp_path):
    long = "It is bright and dark and grey all over the place without any end that one could see here. " * 3
    findings = {m: Finding(m, long) for m in ("t1", "t2", "flair", "t1ce")}
    writer = make_writer("server:http://localhost:9/v1#m", targets=[], store=tmp_path, union="rule")
    text = writer.unite("c", findings, Target("lesion", (1,)))
    assert all(f"{name}: It is bright" in text for name in ("T1", "T2", "FLAIR", "T1 after contrast"))
    assert len(words_of(text)) <= MAX_WORDS


def test_a_target_is_named_by_a_whole_word_that_survives_the_cut(endpoint, folder, tmp_path):
    target = Target("ET", (1,))

    def asymmetric(number, asked):
        return say(json.dumps({"instruction": "The asymmetric area. " + "It is bright. " * 40 + "This is the ET."}))

    endpoint.script = asymmetric
    writer = make_writer(f"server:{endpoint.url}#m", targets=[target], store=tmp_path / "store")
    assert writer.unite("c", {}, target).startswith("Segment the ET. The asymmetric area.")


def test_images_that_leave_the_machine_are_announced_before_anything_is_sent(folder, tmp_path, capsys):
    writer = make_writer("server:http://192.0.2.1:9/v1#m", source=folder, store=tmp_path / "store")
    written = write_instructions(folder, writer, tmp_path / "i.jsonl", case_ids=[], progress=False)
    assert (written.instructions, capsys.readouterr().err) == ([], "")

    class GoneError(Exception):
        pass

    def stop(case):
        raise GoneError

    writer.findings = stop
    with pytest.raises(GoneError):
        write_instructions(folder, writer, tmp_path / "i.jsonl", progress=False)
    assert "images are sent to 192.0.2.1, which is not this machine" in capsys.readouterr().err


def test_a_store_that_cannot_be_written_stops_the_run_at_once(endpoint, write, tmp_path):
    (tmp_path / "i.jsonl.store").write_text("in the way")
    with pytest.raises(UsageError, match="cannot be kept in"):
        write(concurrency=1)
    assert len(endpoint.asked) <= 2



@pytest.mark.parametrize("spec", ["server:", "server:http://host/v1", "server:http://host/v1#", "server:#m"])
def test_a_writer_without_address_or_model_is_refused(folder, tmp_path, spec):
    with pytest.raises(UsageError, match="server:http"):
        make_writer(spec, source=folder, store=tmp_path)


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


def test_unknown_pictures_are_refused(write):
    with pytest.raises(UsageError, match="sheet or slices, not 'film'"):
        write(pictures="film")


def test_lines_of_other_prompts_stay_and_it_is_said(endpoint, write, tmp_path, capsys):
    before = write().instructions
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "reading.txt").write_text("version: 9\n---\nWhat is seen?\n")
    (prompts / "union.txt").write_text("version: 9\n---\nWhat is the instruction for outlining: {instance}. \n")
    assert write(prompts=prompts).instructions == before
    assert "they stay as they are" in capsys.readouterr().err
