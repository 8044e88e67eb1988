"""Writers by name, and the controls: nothing, the name, a file's words, another patient's words."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from zeusseg.case import Case, Target, Volume
from zeusseg.errors import BadInputError, UsageError
from zeusseg.instruct.controls import ShuffledWriter
from zeusseg.instruct.instruction import Instruction
from zeusseg.instruct.measured import MeasuredWriter
from zeusseg.instruct.writers import WRITERS, make_writer

LESION = Target("lesion", (1,), definition="An area.")


class Cases:
    """Cases in memory; those in `broken` cannot be read."""

    targets = (LESION,)

    def __init__(self, cases: Iterable[Case], broken: tuple[str, ...] = ()) -> None:
        self._cases = {case.id: case for case in cases}
        self._broken = broken
        self.patients = {case.id: case.patient for case in self._cases.values()}

    @property
    def case_ids(self) -> tuple[str, ...]:
        return tuple(self._cases)

    def read(self, case_id: str, *, labels: bool = True) -> Case:
        if case_id in self._broken:
            raise BadInputError(f"{case_id}: broken")
        return self._cases[case_id]


@pytest.fixture
def source(make_case):
    """Five patients, the second of whom was examined twice."""
    patients = ["p0", "p1", "p1", "p2", "p3", "p4"]
    cases = [make_case(f"c{i}", patient, seed=i, radius_mm=11.0 + 2 * i) for i, patient in enumerate(patients)]
    return Cases(cases)


def test_every_writer_goes_by_the_name_it_was_asked_for(source, tmp_path):
    path = tmp_path / "i.jsonl"
    path.write_text("")
    for spec in ("measured", "none", "name", "shuffled", f"file:{path}", "server:http://localhost:9/v1#m"):
        assert make_writer(spec, source=source, store=tmp_path / "store").name == spec


@pytest.mark.parametrize(
    ("spec", "cause"),
    [("mesured", "measured, none, name, file:PATH, shuffled, local:MODEL, server:URL#MODEL"), ("file:", "needs a path"),
     ("name:x", "takes no argument"), ("shuffled", "source"), ("server:http://localhost:9/v1#m", "needs store=")],
)
def test_a_wrong_name_is_answered_with_what_is_expected(spec, cause):
    with pytest.raises(UsageError, match=cause):
        make_writer(spec)


def test_every_writer_refuses_a_case_with_labels(source, tmp_path):
    path = tmp_path / "i.jsonl"
    path.write_text("")
    case = source.read("c0")
    labels = Volume(np.ones(case.shape, dtype=np.uint8), case.reference.affine, case.reference.file_grid)
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "llava"}')
    arguments = {
        "file": f"file:{path}", "local": f"local:{model}", "server": "server:http://localhost:9/v1#m",
        "prompt": "prompt:P1",
    }  # fmt: skip
    for name in WRITERS:
        spec = arguments.get(name, name)
        writer = make_writer(spec, source=source, store=tmp_path / "store", targets=[Target("polyp", (1,))])
        with pytest.raises(ValueError, match="labels"):
            writer.findings(replace(case, labels=labels))


def test_none_says_nothing_and_name_only_the_name(source):
    case = source.read("c0")
    for spec, text in {"none": "", "name": "lesion"}.items():
        writer = make_writer(spec)
        assert writer.findings(case) == {}
        assert writer.unite("c0", {}, LESION) == text


def test_a_file_is_repeated_word_for_word_and_a_gap_in_it_named(source, tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text(Instruction("c0", "lesion", "look left", {"t1": "dark"}).to_json() + "\n")
    writer = make_writer(f"file:{path}")
    findings = writer.findings(source.read("c0"))
    assert {modality: finding.text for modality, finding in findings.items()} == {"t1": "dark"}
    assert writer.unite("c0", findings, LESION) == "look left"
    with pytest.raises(BadInputError, match=r"mine\.jsonl.*'c1'.*'lesion'"):
        writer.unite("c1", {}, LESION)


def test_oracle_text_is_refused(tmp_path):
    path = tmp_path / "oracle.jsonl"
    path.write_text(Instruction("c0", "lesion", "34 mm, right", oracle=True).to_json() + "\n")
    with pytest.raises(UsageError, match="oracle text"):
        make_writer(f"file:{path}")


def test_shuffled_gives_every_patient_the_findings_of_another(source):
    measured = MeasuredWriter()
    own = {case_id: measured.findings(source.read(case_id)) for case_id in source.case_ids}
    for seed in range(10):
        writer = ShuffledWriter(source, seed)
        for case_id in source.case_ids:
            donors = writer.donors(case_id, source.patients[case_id])
            assert len(donors) == 4
            assert source.patients[case_id] not in {source.patients[donor] for donor in donors}
    case = source.read("c1")
    given = writer.findings(case)
    assert given == own[writer.donors("c1", "p1")[0]]
    assert given not in (own["c1"], own["c2"])
    assert given == ShuffledWriter(source, 9).findings(case)


def test_every_patients_findings_are_given_away_exactly_once(source):
    firsts = [i for i in source.case_ids if i != "c2"]
    writer = ShuffledWriter(source, 3)
    donors = [source.patients[writer.donors(case_id, source.patients[case_id])[0]] for case_id in firsts]
    assert sorted(donors) == ["p0", "p1", "p2", "p3", "p4"]


def test_a_donor_that_cannot_be_read_is_passed_over_but_never_for_oneself(make_case):
    cases = [make_case(name) for name in "abc"]
    writer = ShuffledWriter(Cases(cases, broken=("b",)), 0)
    assert writer.findings(cases[0])["flair"].text
    alone = ShuffledWriter(Cases(cases, broken=("b", "c")), 0)
    with pytest.raises(BadInputError, match="no other patient"):
        alone.findings(cases[0])


def test_one_patient_cannot_be_shuffled(make_case):
    with pytest.raises(UsageError, match="two patients"):
        ShuffledWriter(Cases([make_case("a", "p"), make_case("b", "p")]), 0)
