"""Study files: read, changed, written back, and refused with the key or the arm that is wrong."""

from pathlib import Path

import pytest

from zeusseg.errors import UsageError
from zeusseg.studies.config import read_study, write_study

SHIPPED = sorted((Path(__file__).parents[2] / "configs" / "studies").glob("*.yaml"))
HEAD = "name: s\nquestion: Which?\n"


@pytest.fixture
def read(tmp_path):
    def write_and_read(text, *overrides):
        (tmp_path / "s.yaml").write_text(HEAD + text)
        return read_study(tmp_path / "s.yaml", overrides)

    return write_and_read


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_shipped_studies_are_read_and_written_back_the_same(path, tmp_path):
    study = read_study(path)
    (tmp_path / "copy.yaml").write_text(write_study(study))
    assert read_study(tmp_path / "copy.yaml") == study


def test_an_arm_is_the_base_configuration_with_its_changes(read):
    study = read("config: {fit: {steps: 5}}\narms:\n  a: {model.fusion: late, fit.batch_size: 3}\n  b:")
    a, b = study.config_of("a", 7), study.config_of("b", 7)
    assert (a.model.fusion, a.fit.batch_size, a.fit.steps, a.fit.seed) == ("late", 3, 5, 7)
    assert (b.model.fusion, b.fit.batch_size, b.fit.steps) == ("early", 8, 5)


def test_changes_may_be_a_list_as_on_the_command_line(read):
    study = read("arms:\n  a: [model.fusion=late, 'slices.crop=[32, 64]', {note: why}]")
    assert study.config_of("a", 0).slices.crop == (32, 64)
    assert (study.config_of("a", 0).model.fusion, study.arms["a"].note) == ("late", "why")


def test_the_base_may_be_a_file_beside_the_study_and_overrides_change_it_below_the_arms(read, tmp_path):
    (tmp_path / "base.yaml").write_text("fit: {steps: 5, batch_size: 2}")
    study = read("config: base.yaml\narms:\n  a: {fit.steps: 9}\n  b:", "fit.steps=6", "fit.batch_size=4")
    assert [(study.config_of(arm, 0).fit.steps, study.config_of(arm, 0).fit.batch_size) for arm in "ab"] == [
        (9, 4), (6, 4),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("arms: {a: }\nseed: 1", "seed: Extra inputs are not permitted"),
        ("arms: {a: {fit.stepps: 5}}", "the arm 'a' does not fit: fit.stepps: Extra inputs"),
        ("config: {fit: {steps: none}}\narms: {a: {fit.steps: 1}}", "base configuration does not fit: fit.steps"),
        ("config: nowhere.yaml\narms: {a: }", "cannot read the configuration .*nowhere.yaml"),
        ("arms: {}", "arms: "),
        ("arms: {a/b: }", "arms: .*'a/b' cannot be the name of a folder"),
        ("arms: {a: {fit.seed: 4}}", "arms.a: .*fit.seed is the same for all arms"),
        ("arms: {a: {split.val: 4}}", "arms.a: .*split.val is the same for all arms"),
        ("arms: {a: [fit.steps]}", "arms.a: .*key=value"),
        ("arms: {a: }\nseeds: [1, 1]", "seeds: .*twice"),
        ("arms: {a: }\nfolds: 3\ntest_on: val", "`test_on` or `folds`, not both"),
        ("arms: {a: }\nfolds: 1", "folds: "),
        ("arms: {a: }\nmodalities: some", "modalities"),
        ("arms: {a: , b: }\ncompare: [[a, c]]", "names the arm 'c': there are a, b"),
        ("arms: {a: }\ncompare: [[a, a]]", "against itself"),
        ("arms: {a: {writer: oracle}}", "mark it `oracle: true`"),
        ("question: [", "cannot read the study"),
    ],
)
def test_a_wrong_study_is_refused_naming_what_is_wrong(read, text, message):
    with pytest.raises(UsageError, match=message):
        read(text)


def test_an_override_without_a_value_is_refused(read):
    with pytest.raises(UsageError, match="key=value"):
        read("arms: {a: }", "fit.steps")
