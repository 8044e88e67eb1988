import pytest

from zeusseg.case import Target
from zeusseg.datasets import dump_targets_file, load_dataset, read_targets_file
from zeusseg.datasets.targets import TargetsFile
from zeusseg.errors import UsageError

WHOLE = """
name: glioma
targets:
  core: {values: [1, 3], synonyms: [tumor core], definition: The solid part.}
modalities: {flair: [flair], t1: [t1, t1 pre]}
label: [seg]
ignore: [9]
patient_pattern: (p\\d+)_
spacing: unknown
"""


def written(tmp_path, text):
    (tmp_path / "targets.yaml").write_text(text)
    return tmp_path / "targets.yaml"


def test_a_whole_file_is_read(tmp_path):
    words = read_targets_file(written(tmp_path, WHOLE))
    assert words.as_targets() == (Target("core", (1, 3), ("tumor core",), "The solid part."),)
    assert list(words.modalities) == ["flair", "t1"]
    assert (words.label, words.ignore, words.spacing) == (["seg"], [9], "unknown")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("target: {}", "target: Extra inputs are not permitted"),
        ("targets: {lesion: {values: []}}", "targets.lesion.values"),
        ("targets: {lesion: {values: [1], colour: red}}", "targets.lesion.colour"),
        ("patient_pattern: (a", "patient_pattern.*not a regular expression"),
        ("patient_pattern: (a)(b)", "patient_pattern.*has 2 groups"),
        ("spacing: maybe", "spacing"),
        ("- a list", "must be a mapping"),
        ("{", "cannot read the targets file"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line_naming_file_and_entry(text, complaint, tmp_path):
    path = written(tmp_path, text)
    with pytest.raises(UsageError, match=complaint) as error:
        read_targets_file(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot read the targets file"):
        read_targets_file(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("pattern", "patient"), [(None, "p07_scan1"), (r"p\d+", "p07"), (r"^(p\d+)_", "p07"), (r"q\d+", None)]
)
def test_the_patient_is_the_group_or_the_whole_match(pattern, patient):
    assert TargetsFile(patient_pattern=pattern).patient_of("p07_scan1") == patient


def test_a_file_over_another_changes_only_what_it_mentions(tmp_path):
    below = read_targets_file(written(tmp_path, WHOLE))
    above = read_targets_file(written(tmp_path, "ignore: []\nlabel: [mask]"))
    together = above.over(below)
    assert (together.ignore, together.label) == ([], ["mask"])
    assert (together.targets, together.patient_pattern) == (below.targets, below.patient_pattern)


def test_what_a_run_keeps_names_everything_the_same_way_again(make, image, labels, tmp_path):
    root = make(
        {
            f"p{n}_{m}/{name}.nii.gz": array
            for n in (1, 2)
            for m in "ab"
            for name, array in {"T1_pre": image, "dwi": image, "b0 map": image, "seg": labels}.items()
        }
        | {"targets.yaml": "patient_pattern: p\\d"}
    )
    first = load_dataset(root)
    (root / "targets.yaml").unlink()
    kept = written(tmp_path, dump_targets_file(first))
    again = load_dataset(root, targets_file=kept)
    assert first.modalities == again.modalities == ("t1", "dwi", "b0_map")
    assert first.targets == again.targets
    assert first.patients == again.patients
    assert set(first.patients.values()) == {"p1", "p2"}
    assert dump_targets_file(again) == kept.read_text()
