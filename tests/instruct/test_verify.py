"""Lines of an instruction file are checked against their images, and what was found is kept in them."""

import json

import numpy as np
import pytest

from zeusseg.instruct.instruction import Instruction, read_instructions
from zeusseg.instruct.verify import check_file


@pytest.fixture
def out(tmp_path):
    """Of anna, whose lesion is bright, on the right and 30 mm large; of cora, who has none; and of nobody known."""
    lines = [
        Instruction("anna", "lesion", "Outline the lesion.", {"flair": "A bright lesion of 3 cm on the right."}),
        Instruction("anna", "edge", "Outline the edge of the lesion on the left."),
        Instruction("cora", "lesion", "Outline the lesion.", {"flair": "A bright lesion on the left."}),
        Instruction("bert", "lesion", "Outline the lesion.", {"flair": "Nothing stands out."}),
    ]
    path = tmp_path / "i.jsonl"
    path.write_text("".join(line.to_json() + "\n" for line in lines))
    return path


def verdicts(lines):
    return {
        (line.case, line.target): {check.about: check.verdict for check in line.checks}
        for line in lines if line.checks is not None
    }  # fmt: skip


def test_every_line_is_checked_against_its_own_images(folder, out):
    lines, failures = check_file(folder, out, folder.case_ids, progress=False)
    assert failures == {}
    assert verdicts(lines) == {
        ("anna", "lesion"): {"signal": "agrees", "side": "agrees", "size": "agrees"},
        ("anna", "edge"): {"side": "differs"},
        ("cora", "lesion"): {"presence": "not found"},
        ("bert", "lesion"): {"presence": "differs"},
    }
    assert read_instructions(out) == lines


def test_only_the_cases_asked_for_and_only_what_is_new_is_measured(folder, out, monkeypatch):
    lines, _ = check_file(folder, out, ["cora"], progress=False)
    assert set(verdicts(lines)) == {("cora", "lesion")}
    monkeypatch.setattr("zeusseg.instruct.verify.measure", None)  # would be called, were anything measured
    assert check_file(folder, out, ["cora"], progress=False) == (lines, {})


def test_edited_words_are_checked_anew(folder, out):
    before, _ = check_file(folder, out, folder.case_ids, progress=False)
    edited = [line.edited(line.text.replace("left", "right")) if line.target == "edge" else line for line in before]
    out.write_text("".join(line.to_json() + "\n" for line in edited))
    assert verdicts(check_file(folder, out, folder.case_ids, progress=False)[0])["anna", "edge"] == {"side": "agrees"}


def test_a_case_that_cannot_be_read_keeps_its_line_and_is_listed(folder, out):
    (folder.root / "cora" / "flair.nii.gz").write_bytes(b"broken")
    lines, failures = check_file(folder, out, folder.case_ids, progress=False)
    assert set(failures) == {"cora"}
    assert "could not be checked" in failures["cora"]
    assert len(lines) == 4
    assert ("cora", "lesion") not in verdicts(lines)


def test_checks_of_many_cases_are_kept_as_they_are_made(folder, out, monkeypatch):
    kept = []
    monkeypatch.setattr("zeusseg.instruct.verify.KEPT_EVERY", 1)
    monkeypatch.setattr(
        "zeusseg.instruct.verify.write_text",
        lambda path, text: (kept.append(text.count('"checks"')), path.write_text(text)),
    )
    check_file(folder, out, folder.case_ids, progress=False)
    np.testing.assert_array_equal(kept, [2, 3, 4])


def test_what_people_change_meanwhile_stays(folder, out, monkeypatch):
    from zeusseg.instruct import verify

    measure = verify.measure

    def edited_meanwhile(volume, **options):
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        lines[1] |= {"text": "Outline the edge of the lesion on the right.", "reviewer": "Dr. X"}
        new = [{"case": "dora", "target": "lesion", "text": "new"}] if len(lines) == 4 else []
        out.write_text("".join(json.dumps(line) + "\n" for line in [*lines, *new]))
        return measure(volume, **options)

    monkeypatch.setattr(verify, "measure", edited_meanwhile)
    lines, _ = check_file(folder, out, ["anna"], progress=False)
    assert [line.case for line in lines] == ["anna", "anna", "cora", "bert", "dora"]
    assert verdicts(lines)["anna", "edge"] == {"side": "agrees"}
    assert json.loads(out.read_text().splitlines()[1])["reviewer"] == "Dr. X"
