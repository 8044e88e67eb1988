"""What people corrected comes back into the instruction file, line by line."""

import json

import pytest

from zeusseg.errors import BadInputError
from zeusseg.instruct.corrections import take_corrections
from zeusseg.instruct.instruction import Check, Instruction, read_instructions


@pytest.fixture
def out(tmp_path):
    lines = [
        Instruction("anna", "lesion", "On the left.", {"flair": "bright"}, writer="w", checked="x",
                    checks=(Check("flair", "s", "side", "left", "right", "differs"),)),
        Instruction("anna", "edge", "The edge."),
        Instruction("bert", "lesion", "Bright."),
    ]  # fmt: skip
    path = tmp_path / "i.jsonl"
    path.write_text("".join(line.to_json() + "\n" for line in lines))
    return path


def corrected(tmp_path, *lines):
    path = tmp_path / "corrected.jsonl"
    objects = [dict(zip(("case", "target", "text"), line, strict=True)) for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in objects))
    return path


def test_changed_texts_are_taken_and_what_was_there_is_kept(out, tmp_path):
    before = read_instructions(out)
    taken = take_corrections(
        out, corrected(tmp_path, ("anna", "lesion", "On the right."), ("bert", "lesion", "Bright."))
    )
    assert (taken.changed, taken.failures) == (1, {})
    after = read_instructions(out)
    assert after[0].text == "On the right."
    assert after[0].text_before == "On the left."
    assert after[0].findings == before[0].findings
    assert after[1:] == before[1:]


def test_taking_them_twice_changes_nothing_more(out, tmp_path):
    file = corrected(tmp_path, ("anna", "lesion", "On the right."))
    take_corrections(out, file)
    content = out.read_bytes()
    assert take_corrections(out, file).changed == 0
    assert out.read_bytes() == content


def test_a_second_correction_keeps_the_writers_own_words(out, tmp_path):
    take_corrections(out, corrected(tmp_path, ("bert", "lesion", "Dark.")))
    take_corrections(out, corrected(tmp_path, ("bert", "lesion", "Grey.")))
    assert (read_instructions(out)[2].text, read_instructions(out)[2].text_before) == ("Grey.", "Bright.")


def test_what_cannot_be_taken_is_listed_and_the_rest_is_taken(out, tmp_path):
    taken = take_corrections(
        out,
        corrected(tmp_path, ("cora", "lesion", "x"), ("anna", "edge", " "), ("bert", "lesion", "Dark.")),
    )
    assert taken.changed == 1
    assert "no line for it" in taken.failures["cora, lesion"]
    assert "text is empty" in taken.failures["anna, edge"]


def test_what_somebody_else_corrected_meanwhile_is_not_overwritten(out, tmp_path):
    take_corrections(out, corrected(tmp_path, ("bert", "lesion", "Dark.")))
    older = tmp_path / "older.jsonl"
    older.write_text('{"case": "bert", "target": "lesion", "text": "Grey.", "before": "Bright."}\n')
    taken = take_corrections(out, older)
    assert taken.changed == 0
    assert "says other words by now: 'Dark.'" in taken.failures["bert, lesion"]
    assert read_instructions(out)[2].text == "Dark."


def test_a_mark_in_front_and_fields_of_others_are_no_trouble(out, tmp_path):
    out.write_text(out.read_text().replace('"case": "anna"', '"reviewer": "X", "case": "anna"'))
    file = tmp_path / "corrected.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"case": "anna", "target": "edge", "text": "The rim."}\r\n')
    assert take_corrections(out, file).changed == 1
    assert out.read_text().count('"reviewer": "X"') == 2
    file.write_text('{"case": "anna", "target": "edge", "text": "half \\ud83d"}\n')
    with pytest.raises(BadInputError, match="half of a character"):
        take_corrections(out, file)


def test_a_broken_file_changes_nothing(out, tmp_path):
    content = out.read_bytes()
    broken = tmp_path / "corrected.jsonl"
    broken.write_text('{"case": "anna", "target": "lesion", "text": "x"}\n{"case"')
    with pytest.raises(BadInputError, match="line 2"):
        take_corrections(out, broken)
    assert out.read_bytes() == content
