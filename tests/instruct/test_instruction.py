"""The instruction file: what is written is read back; what people break is named by file and line."""

import json
from dataclasses import replace

import numpy as np
import pytest

from zeusseg.case import Volume
from zeusseg.errors import BadInputError
from zeusseg.instruct.instruction import Instruction, image_digest, read_instructions

LINE = Instruction(
    case="a", target="lesion", text="Segment the lesion, größer.", findings={"flair": "bright"}, writer="measured",
    model="", prompt_version="1", image_sha256="00", oracle=False, created="2025-01-01T00:00:00+00:00",
)


def test_a_line_holds_the_fields_of_the_design_and_reads_back(tmp_path):
    path = tmp_path / "i.jsonl"
    path.write_text(LINE.to_json() + "\n\n" + replace(LINE, case="b").to_json())  # an editor left the last break off
    assert list(json.loads(LINE.to_json())) == [
        "case", "target", "text", "findings", "writer", "model", "prompt_version", "image_sha256", "oracle", "created",
    ]
    assert read_instructions(path) == [LINE, replace(LINE, case="b")]


def test_an_edit_keeps_the_writers_first_text(tmp_path):
    edited = LINE.edited("mine").edited("mine, better")
    assert (edited.text, edited.text_before) == ("mine, better", LINE.text)
    path = tmp_path / "i.jsonl"
    path.write_text(edited.to_json() + "\n")
    assert read_instructions(path) == [edited]


def test_case_target_and_text_are_enough_for_a_line_written_by_hand(tmp_path):
    path = tmp_path / "i.jsonl"
    path.write_text('{"case": "a", "target": "liver", "text": "", "mood": "good"}\n')
    assert read_instructions(path) == [Instruction("a", "liver", "", others={"mood": "good"})]
    assert json.loads(read_instructions(path)[0].to_json())["mood"] == "good"


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ('{"case": "b", "tar', "not JSON"),
        ('["b"]', "JSON list"),
        ('{"case": "b", "text": "x"}', "lacks target"),
        ('{"case": "b", "target": "t", "text": 3}', "text 3"),
        ('{"case": "b", "target": "t", "text": "x", "oracle": "no"}', "oracle 'no'"),
        ('{"case": "b", "target": "t", "text": "x", "findings": {"t1": 2}}', "findings"),
        ('{"case": "b", "target": "t", "text": "x", "text_before": 2}', "text_before 2"),
        ('{"case": "a", "target": "lesion", "text": "x"}', "already stands in line 1"),
    ],
)
def test_a_bad_line_is_named_by_file_and_number_in_one_line(tmp_path, line, cause):
    path = tmp_path / "i.jsonl"
    path.write_text(LINE.to_json() + "\n" + line + "\n")
    with pytest.raises(BadInputError) as error:
        read_instructions(path)
    message = str(error.value)
    assert f"{path}, line 2" in message
    assert cause in message
    assert "\n" not in message


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path):
    with pytest.raises(BadInputError, match=r"none\.jsonl"):
        read_instructions(tmp_path / "none.jsonl")
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match=r"bytes\.jsonl"):
        read_instructions(tmp_path / "bytes.jsonl")


def test_the_digest_tells_images_apart_and_knows_no_labels(make_case):
    case = make_case()
    labels = Volume(np.ones(case.shape, dtype=np.uint8), case.reference.affine, case.reference.file_grid)
    assert image_digest(case) == image_digest(make_case()) == image_digest(replace(case, labels=labels))
    assert image_digest(case) != image_digest(make_case(seed=1))
    assert image_digest(case) != image_digest(replace(case, images={"t1": case.reference}))
