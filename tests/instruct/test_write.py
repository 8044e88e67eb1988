"""Writing the instruction file: labels never matter, what is written stays, a bad case costs that case only."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from zeusseg.datasets import load_dataset
from zeusseg.errors import BadInputError, UsageError
from zeusseg.instruct import write
from zeusseg.instruct.instruction import read_instructions
from zeusseg.instruct.measured import MeasuredWriter
from zeusseg.instruct.write import write_instructions
from zeusseg.instruct.writers import make_writer


def lines(path):
    """The lines of a file but for the time they were written at."""
    return [replace(line, created="") for line in read_instructions(path)]


def written(dataset, out, **options):
    return write_instructions(dataset, MeasuredWriter(), out, progress=False, **options)


def test_one_line_per_case_and_target_says_what_was_seen_and_by_whom(folder, tmp_path):
    out = tmp_path / "deep" / "instructions.jsonl"
    result = written(folder, out)
    assert result.failures == {}
    assert result.instructions == read_instructions(out)
    assert [(line.case, line.target) for line in result.instructions] == [
        (case, target) for case in ("anna", "bert", "cora") for target in ("lesion", "edge")
    ]
    anna = result.instructions[0]
    assert anna.text.startswith("Segment the lesion: An area that should not be there. FLAIR: ")
    assert anna.findings["flair"] in anna.text
    assert "on the right" in anna.text
    assert (anna.writer, anna.oracle, anna.text_before, len(anna.image_sha256)) == ("measured", False, None, 64)
    assert anna.created.endswith("+00:00")


def test_changing_corrupting_or_deleting_labels_never_changes_an_instruction(folder, tmp_path):
    written(folder, tmp_path / "before.jsonl")
    donor = (folder.root / "anna" / "labels.nii.gz").read_bytes()
    (folder.root / "bert" / "labels.nii.gz").write_bytes(donor)  # another patient's lesion
    (folder.root / "cora" / "labels.nii.gz").write_bytes(donor)  # a lesion where there was none
    written(folder, tmp_path / "changed.jsonl")
    for name in ("anna", "bert", "cora"):
        (folder.root / name / "labels.nii.gz").write_bytes(b"no image at all")
    written(folder, tmp_path / "corrupted.jsonl")
    for name in ("anna", "bert", "cora"):
        (folder.root / name / "labels.nii.gz").unlink()
    written(load_dataset(folder.root), tmp_path / "deleted.jsonl")
    before = lines(tmp_path / "before.jsonl")
    assert len(before) == 6
    for name in ("changed", "corrupted", "deleted"):
        assert lines(tmp_path / f"{name}.jsonl") == before, name


def test_a_changed_image_does_change_an_instruction(folder, tmp_path):
    before = written(folder, tmp_path / "before.jsonl").instructions
    other = (folder.root / "anna" / "flair.nii.gz").read_bytes()
    (folder.root / "cora" / "flair.nii.gz").write_bytes(other)
    after = written(folder, tmp_path / "after.jsonl").instructions
    assert after[4].findings == before[0].findings != before[4].findings


def test_a_second_run_adds_only_what_is_missing(folder, tmp_path):
    out = tmp_path / "i.jsonl"
    written(folder, out, case_ids=["bert"], targets=folder.targets[:1])
    first = out.read_text()
    result = written(folder, out)
    assert out.read_text().startswith(first)
    assert len(out.read_text().splitlines()) == 6
    assert [line.case for line in result.instructions] == ["anna"] * 2 + ["bert"] * 2 + ["cora"] * 2
    finished = out.read_bytes()
    written(folder, out)
    assert out.read_bytes() == finished


def test_a_finished_case_is_not_read_again(folder, tmp_path):
    out = tmp_path / "i.jsonl"
    written(folder, out)
    (folder.root / "anna" / "flair.nii.gz").unlink()
    assert written(folder, out).failures == {}


def test_a_persons_edits_are_kept(folder, tmp_path):
    out = tmp_path / "i.jsonl"
    original = written(folder, out).instructions
    edited = original[0].edited("the bright spot behind the eye")
    out.write_text("".join(line.to_json() + "\n" for line in [edited, *original[1:4]]))
    result = written(folder, out)
    assert result.instructions[0] == edited
    assert read_instructions(out)[0].text_before == original[0].text
    assert [replace(line, created="") for line in result.instructions[4:]] == [
        replace(line, created="") for line in original[4:]
    ]


def test_one_bad_case_costs_that_case_only(folder, tmp_path):
    (folder.root / "bert" / "flair.nii.gz").write_bytes(b"truncated")
    result = written(folder, tmp_path / "i.jsonl")
    assert {line.case for line in result.instructions} == {"anna", "cora"}
    assert list(result.failures) == ["bert"]
    assert "flair.nii.gz" in result.failures["bert"]


def test_a_gap_in_the_words_of_a_file_costs_that_case_only(folder, tmp_path):
    source = tmp_path / "words.jsonl"
    source.write_text("".join(json.dumps({"case": "bert", "target": t, "text": t}) + "\n" for t in ("lesion", "edge")))
    result = write_instructions(folder, make_writer(f"file:{source}"), tmp_path / "i.jsonl", progress=False)
    assert [line.text for line in result.instructions] == ["lesion", "edge"]
    assert set(result.failures) == {"anna", "cora"}


@pytest.mark.parametrize("cut", [1, 20, 400])
def test_a_line_cut_off_by_a_kill_is_written_again(folder, tmp_path, cut):
    out = tmp_path / "i.jsonl"
    written(folder, out)
    whole = lines(out)
    out.write_bytes(out.read_bytes()[:-cut])
    written(folder, out)
    assert lines(out) == whole


def test_a_kill_between_two_cases_leaves_whole_lines_and_a_re_run_ends_the_work(folder, tmp_path):
    out = tmp_path / "i.jsonl"
    program = (
        "import os, sys; from pathlib import Path; from zeusseg.datasets import load_dataset\n"
        "from zeusseg.instruct.measured import MeasuredWriter; from zeusseg.instruct.write import write_instructions\n"
        "class Killed(MeasuredWriter):\n"
        "    def findings(self, case):\n"
        "        if case.id == 'bert': os.kill(os.getpid(), 9)\n"
        "        return super().findings(case)\n"
        "write_instructions(load_dataset(Path(sys.argv[1])), Killed(), Path(sys.argv[2]), progress=False)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder.root), str(out)], check=False)
    assert done.returncode == -9
    assert [line.case for line in read_instructions(out)] == ["anna", "anna"]
    assert len(written(folder, out).instructions) == 6


def test_a_full_disk_leaves_the_file_as_it_was(folder, tmp_path, monkeypatch):
    out = tmp_path / "i.jsonl"
    written(folder, out, case_ids=["anna"])
    before = out.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        written(folder, out)
    assert out.read_bytes() == before


def test_another_writers_file_is_left_alone(folder, tmp_path):
    out = tmp_path / "i.jsonl"
    written(folder, out, case_ids=["anna"])
    before = out.read_bytes()
    with pytest.raises(UsageError, match="'measured'"):
        write_instructions(folder, make_writer("name"), out, progress=False)
    assert out.read_bytes() == before


def test_a_broken_line_in_the_middle_is_named(folder, tmp_path):
    out = tmp_path / "i.jsonl"
    out.write_text('{"case": \n{"case": "anna", "target": "edge", "text": "", "writer": "measured"}\n')
    with pytest.raises(BadInputError, match="line 1"):
        written(folder, out)


def test_a_source_that_hands_out_labels_is_refused(folder, tmp_path):
    class Leaky:
        targets, case_ids = folder.targets, folder.case_ids

        def read(self, case_id, *, labels=True):
            return folder.read(case_id, labels=True)

    with pytest.raises(ValueError, match="labels"):
        written(Leaky(), tmp_path / "i.jsonl")


def test_shuffled_instructions_are_those_of_another_patient(folder, tmp_path):
    own = {line.case: dict(line.findings) for line in written(folder, tmp_path / "own.jsonl").instructions}
    writer = make_writer("shuffled", source=folder, seed=1)
    shuffled = write_instructions(folder, writer, tmp_path / "shuffled.jsonl", progress=False).instructions
    assert len(shuffled) == 6
    for line in shuffled:
        assert line.findings != own[line.case]
        assert line.findings in own.values()
        assert line.writer == "shuffled"


def test_the_progress_bar_goes_to_stderr(folder, tmp_path, capsys):
    write_instructions(folder, make_writer("name"), tmp_path / "i.jsonl")
    assert capsys.readouterr().out == ""
    assert os.path.getsize(tmp_path / "i.jsonl") > 0
