"""Phantoms on disk: a data set like any other, that every other room can read."""

import json
from pathlib import Path

import numpy as np
import pytest

from zeusseg.datasets import load_dataset
from zeusseg.datasets.phantom import make_phantom, write_phantoms
from zeusseg.datasets.phantom_files import phantom_targets

SMALL = {"shape": (40, 40, 6), "spacing_mm": (4.5, 4.5, 14.0)}


def test_what_was_written_is_read_back_as_made(tmp_path: Path) -> None:
    write_phantoms(tmp_path, 4, seed=1, randomise=True, **SMALL)
    dataset = load_dataset(tmp_path)
    assert dataset.layout == "folder"
    assert dataset.case_ids == ("brain_0000", "brain_0001", "brain_0002", "brain_0003")
    assert dataset.problems == ()
    line = json.loads((tmp_path / "truth.jsonl").read_text().splitlines()[2])
    made = make_phantom(line["seed"], randomise=True, **SMALL)
    read = dataset.read(line["case"])
    assert json.loads(json.dumps({name: truth.to_json() for name, truth in made.truth.items()})) == line["truth"]
    assert set(read.images) == set(made.case.images)
    for name, volume in made.case.images.items():
        np.testing.assert_array_equal(read.images[name].array, volume.array)
    np.testing.assert_array_equal(read.labels.array, made.case.labels.array)
    assert read.spacing_mm == pytest.approx((4.5, 4.5, 14.0))


def test_a_mixed_set_names_the_targets_of_both_regions_and_a_brain_set_its_own(tmp_path: Path) -> None:
    write_phantoms(tmp_path, 2, seed=1, regions=("brain", "abdomen"), **SMALL)
    dataset = load_dataset(tmp_path)
    assert dataset.case_ids == ("abdomen_0001", "brain_0000")
    assert dataset.targets == phantom_targets(["brain", "abdomen"])
    assert dataset.missing("brain_0000") == ("ct",)
    assert [target.name for target in phantom_targets(["brain"])] == [
        "lesion",
        "enhancing tumor",
        "necrosis",
        "ventricles",
    ]
    assert all(target.definition and len(target.synonyms) >= 3 for target in dataset.targets)


def test_some_patients_lack_modalities_on_request_but_none_lacks_all(tmp_path: Path) -> None:
    write_phantoms(tmp_path, 5, seed=2, missing=1.0, **SMALL)
    images = [len(list((tmp_path / f"brain_{index:04d}").glob("t*.nii.gz"))) for index in range(5)]
    flair = [(tmp_path / f"brain_{index:04d}" / "flair.nii.gz").exists() for index in range(5)]
    counts = [some + has for some, has in zip(images, flair, strict=True)]
    assert all(1 <= count <= 3 for count in counts)


def test_every_patient_is_in_exactly_one_split(tmp_path: Path) -> None:
    write_phantoms(tmp_path, 5, seed=3, splits={"train": 0.6, "val": 0.2, "test": 0.2}, modalities=["t1"], **SMALL)
    splits = json.loads((tmp_path / "splits.json").read_text())
    assert {name: len(ids) for name, ids in splits.items()} == {"train": 3, "val": 1, "test": 1}
    assert sorted(case for ids in splits.values() for case in ids) == [f"brain_{index:04d}" for index in range(5)]


def test_the_same_seed_writes_the_same_truth_and_another_seed_other_patients(tmp_path: Path) -> None:
    for name, seed in (("a", 4), ("b", 4), ("c", 5)):
        write_phantoms(tmp_path / name, 2, seed=seed, modalities=["t1"], **SMALL)
    a, b, c = ((tmp_path / name / "truth.jsonl").read_text() for name in "abc")
    assert a == b
    assert {json.loads(line)["seed"] for line in a.splitlines()}.isdisjoint(
        {json.loads(line)["seed"] for line in c.splitlines()}
    )
