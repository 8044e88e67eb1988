"""What `zeusseg info` says of where a known data set comes from, and how a folder differs from what was published."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from zeusseg.cli import main
from zeusseg.datasets import describe, dump_targets_file, load_dataset
from zeusseg.datasets.known import known_source, known_targets_files
from zeusseg.errors import UsageError

PUBLISHED = {
    "kvasir": 1000,
    "clinicdb": 612,
    "bkai": 1000,
    "cvc300": 60,
    "colondb": 380,
    "etis": 196,
    "isic2016": {"train": 900, "test": 379},
    "dfu2022": 2000,
    "busi": 780,
}
PIXELS = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.fixture
def pictures(tmp_path):
    """Write a folder of tiny pictures and masks of these names; returns it."""

    def write(root, names, images="images", masks="masks", mask="{}"):
        for folder, name_of in ((images, "{}"), (masks, mask)):
            (tmp_path / root / folder).mkdir(parents=True)
            for name in names:
                Image.fromarray(PIXELS * 20).save(tmp_path / root / folder / f"{name_of.format(name)}.png")
        return tmp_path / root

    return write


@pytest.fixture
def info(capsys, monkeypatch):
    """Call `zeusseg info` with these words; returns the exit code, stdout and stderr."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["zeusseg", "info", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return call


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_source_says_who_gives_the_data_out_and_on_which_terms(name):
    source = known_source(name)
    assert source.cases == PUBLISHED[name]
    assert "https://" in source.obtain or "http://" in source.obtain
    assert source.terms
    assert "check-splits" in source.caution


def test_the_name_of_a_known_data_set_tells_how_to_obtain_it(info):
    code, out, _ = info("kvasir")
    assert code == 0
    for line in (
        "source      Kvasir-SEG",
        "https://datasets.simula.no/kvasir-seg/",
        "terms       research and education",
        "published   1000 cases",
        "caution     The owners publish no split and no patients",
    ):
        assert line in out
    assert "published   900 train, 379 test cases" in info("isic2016")[1]


def test_another_name_is_refused_listing_the_known_ones(info):
    code, out, err = info("kvasar")
    assert (code, out) == (2, "")
    assert "kvasar is neither a folder nor a known data set: expected one of " in err
    assert set(PUBLISHED) <= set(err.strip().split("expected one of ")[1].split(", "))
    with pytest.raises(UsageError, match="expected one of"):
        known_source("brain")  # shipped, but nothing says where it comes from


def test_a_whole_data_set_is_no_problem_and_its_source_is_shown(pictures, info):
    code, out, _ = info(pictures("CVC-300", range(149, 209)))
    assert code == 0
    assert "source      CVC-300" in out
    assert "is that of CVC-ColonDB" in out
    assert "problems    none seen" in out


def test_a_case_too_few_is_a_problem(pictures, info):
    code, out, _ = info(pictures("CVC-300", range(149, 208)))
    assert code == 1
    assert "60 published, 59 found" in out


def test_colondb_in_a_folder_called_cvc300_is_a_problem_by_number_and_by_name(pictures):
    by_number, by_name = describe(load_dataset(pictures("CVC-300", range(1, 381)))).problems
    assert by_number.endswith("60 published, 380 found")
    # 149 to 208 are 60 of the 380.
    assert "320 cases are not called by a number from 149 to 208" in by_name
    assert "(1, 10, 100, …)" in by_name


def test_sixty_pictures_of_colondb_are_no_cvc300_either(pictures):
    (problem,) = describe(load_dataset(pictures("cvc300_polyp", range(100, 160)))).problems
    assert "49 cases are not called by a number from 149 to 208" in problem


def test_isic_is_counted_by_split_where_it_is_split_as_published(pictures, tmp_path):
    part = "ISBI2016_ISIC_Part1_{}_{}".format
    train, test = ["ISIC_0000000", "ISIC_0000001"], ["ISIC_0000003"]
    pictures(".", train, part("Training", "Data"), part("Training", "GroundTruth"), "{}_Segmentation")
    pictures(".", test, part("Test", "Data"), part("Test", "GroundTruth"), "{}_Segmentation")
    problems = describe(load_dataset(tmp_path)).problems
    assert [problem.rsplit(", ", 2)[1:] for problem in problems] == [
        ["train: 900 published", "2 found"],
        ["test: 379 published", "1 found"],
    ]
    own = {"train": train[:1], "val": train[1:], "test": test}
    (tmp_path / "splits.json").write_text(str(own).replace("'", '"'))
    (problem,) = describe(load_dataset(tmp_path)).problems
    assert problem.endswith("1279 published, 3 found")


def test_a_folder_that_is_no_known_data_set_has_no_source(pictures, info):
    code, out, _ = info(pictures("scans", "ab"))
    assert "source" not in out
    assert code == 1  # the target has no name


def test_words_of_ones_own_keep_the_source_and_a_run_does_not(pictures, tmp_path):
    (tmp_path / "mine.yaml").write_text("targets: {growth: {values: [1]}}")
    dataset = load_dataset(pictures("CVC-300", range(149, 209)), targets_file=tmp_path / "mine.yaml")
    assert [target.name for target in dataset.targets] == ["growth"]
    assert describe(dataset).source == known_targets_files()["cvc300"].source
    assert "source" not in dump_targets_file(dataset)
