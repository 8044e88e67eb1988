"""The writer `measured`: findings per modality, one instruction per target, never a label."""

from dataclasses import replace

import numpy as np
import pytest

from zeusseg.case import Target, Volume
from zeusseg.instruct.finding import Finding
from zeusseg.instruct.measured import MeasuredWriter

LESION = Target("lesion", (1,), ("tumour",), "An area that should not be there.")


def test_every_modality_is_measured_by_itself(make_case, make_head):
    case = make_case()
    both = replace(case, images={"flair": case.reference, "t1": make_head(None, seed=3)})
    findings = MeasuredWriter().findings(both)
    assert list(findings) == ["flair", "t1"]
    assert "hyperintense area of about" in findings["flair"].text
    assert "on the right" in findings["flair"].text
    assert findings["t1"].text.startswith("no bright or dark area")
    assert findings["flair"] == MeasuredWriter().findings(case)["flair"]


def test_an_instruction_is_name_definition_and_the_findings_of_each_modality():
    findings = {"flair": Finding("flair", "a bright area."), "t1ce": Finding("t1ce", "nothing.")}
    writer = MeasuredWriter()
    assert writer.unite("a", findings, LESION) == (
        "Segment the lesion: An area that should not be there. FLAIR: a bright area. T1 after contrast: nothing."
    )
    assert writer.unite("a", {}, Target("liver", (1,))) == "Segment the liver."


def test_an_instruction_stays_readable_with_many_findings(make_head):
    array = make_head((45, 56, 6)).array + make_head((18, 24, 6)).array - make_head(None).array
    many = {f"m{i}": Volume.from_file(array, np.diag([2.5, 2.5, 5.0, 1.0])) for i in range(4)}
    writer = MeasuredWriter()
    from zeusseg.case import Case

    findings = writer.findings(Case("a", "a", many))
    assert all(finding.text.count(" area ") == 2 for finding in findings.values())
    text = writer.unite("a", findings, LESION)
    assert len(text.split()) <= 120
    assert all(f"M{i}:" in text for i in range(4))


def test_a_case_with_labels_is_refused(make_case):
    case = make_case()
    labels = Volume(np.ones(case.shape, dtype=np.uint8), case.reference.affine, case.reference.file_grid)
    with pytest.raises(ValueError, match="labels=False"):
        MeasuredWriter().findings(replace(case, labels=labels))
