"""From images to instructions through an endpoint: each modality alone, united per target, and never twice."""

import json
from dataclasses import replace

import pytest

from helpers.endpoint import good_answer, lines, pictures, say
from zeusseg.case import Target
from zeusseg.datasets import load_dataset
from zeusseg.errors import UsageError
from zeusseg.instruct.finding import Finding
from zeusseg.instruct.write import write_instructions
from zeusseg.instruct.writers import make_writer, store_of
from zeusseg.wording import MAX_WORDS, words_of

pytestmark = pytest.mark.usefixtures("at_once")


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


def test_a_persons_edits_are_kept(endpoint, write, tmp_path):
    original = write().instructions
    edited = original[0].edited("the bright spot behind the eye")
    out = tmp_path / "i.jsonl"
    out.write_text("".join(line.to_json() + "\n" for line in [edited, *original[1:]]))
    after = write().instructions[0]
    assert (after.text, after.text_before) == (edited.text, edited.text_before)
    assert "the bright spot behind the eye" in [check.statement for check in after.checks]
    assert lines(out)[1:] == [replace(line, created="") for line in original[1:]]


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


def test_the_key_is_written_nowhere(endpoint, write, tmp_path, monkeypatch):
    monkeypatch.setenv("ZEUSSEG_API_KEY", "open-sesame")
    write()
    assert endpoint.headers[0]["Authorization"] == "Bearer open-sesame"
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 9
    assert not any(b"open-sesame" in path.read_bytes() for path in written)


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


@pytest.mark.parametrize("spec", ["server:", "server:http://host/v1", "server:http://host/v1#", "server:#m"])
def test_a_writer_without_address_or_model_is_refused(folder, tmp_path, spec):
    with pytest.raises(UsageError, match="server:http"):
        make_writer(spec, source=folder, store=tmp_path)


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
