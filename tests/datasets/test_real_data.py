"""The folders of real images: what is said of them is what their own papers and files say."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from zeusseg.datasets import describe, load_dataset
from zeusseg.io import read_volume, write_volume


def test_lgg_is_told_truly_missing_modalities_included(data):
    told = describe(load_dataset(data / "lgg"))
    assert (told.layout, told.cases, told.patients, told.labelled) == ("brats", 51, 51, 51)
    assert told.modalities == {"flair": 51, "t1": 50, "t1ce": 48}
    assert told.missing == {
        "TCGA_DU_6407_19860514": ("t1ce",),
        "TCGA_DU_8165_19970205": ("t1ce",),
        "TCGA_HT_A61B_19991127": ("t1", "t1ce"),
    }
    assert told.splits == {"train": 38, "val": 10, "missing_modality": 3}
    assert {shape[:2] for shape in told.shapes} == {(192, 192)}
    assert (min(s[2] for s in told.shapes), max(s[2] for s in told.shapes)) == (20, 88)
    assert told.spacings_mm is None
    assert told.problems == ()


@pytest.mark.parametrize(
    ("folder", "layout", "cases", "patients", "modalities", "targets"),
    [
        ("brats2013", "brats", 2, 2, {"flair": 2, "t1ce": 2}, 6),
        ("Dataset027_ACDC", "nnunet", 72, 36, {"cine": 72}, 3),
        ("Task04_Hippocampus", "msd", 200, 200, {"t1": 200}, 2),
        ("open_ms", "folder", 1, 1, {"flair": 1, "t1ce": 1, "t1": 1, "t2": 1}, 1),
        ("busi", "medvlsm", 702, 702, {"us": 702}, 1),
    ],
)
def test_the_other_folders_are_told_truly(folder, layout, cases, patients, modalities, targets, data):
    told = describe(load_dataset(data / folder))
    assert (told.layout, told.cases, told.patients, told.labelled) == (layout, cases, patients, cases)
    assert (told.modalities, len(told.targets)) == (modalities, targets)
    assert (told.missing, told.several_grids) == ({}, ())
    # The pictures that the study tested on are not in this copy.
    assert len(told.problems) == (folder == "busi")
    assert all("780" in problem and "702" in problem for problem in told.problems)


def test_busi_splits_are_those_of_its_annotations_and_normal_pictures_are_empty(data):
    dataset = load_dataset(data / "busi")
    assert {name: len(ids) for name, ids in dataset.splits.items()} == {"train": 624, "val": 78}
    normal, tumour = (next(c for c in dataset.case_ids if kind in c) for kind in ("normal", "malignant"))
    assert not dataset.read(normal).mask(dataset.targets[0]).any()
    expected = np.asarray(Image.open(data / "busi" / "masks" / f"{tumour}.png")) > 0
    assert np.array_equal(dataset.read(tumour).mask(dataset.targets[0])[::-1, ::-1, 0].T, expected)


@pytest.mark.parametrize("folder", ["lgg", "brats2013", "Dataset027_ACDC", "Task04_Hippocampus", "open_ms"])
def test_a_case_read_and_written_back_is_its_own_file(folder, data, tmp_path):
    dataset = load_dataset(data / folder)
    case = dataset.read(dataset.case_ids[0])
    path: Path = next(iter(dataset.files[case.id].images.values())).path
    before = nib.load(path)
    assert case.reference.array.dtype == before.get_data_dtype()
    write_volume(tmp_path / "out.nii.gz", case.reference.array, case.reference, before.get_data_dtype())
    after = nib.load(tmp_path / "out.nii.gz")
    assert np.array_equal(np.asarray(after.dataobj), np.asarray(before.dataobj))
    assert np.allclose(after.affine, before.affine, atol=1e-6)
    assert case.labels is not None
    assert {int(v) for v in np.unique(case.labels.array)} <= {0, 1, 2, 3, 4}
    assert case.notices == ()


def test_a_brats_region_unites_its_values(data):
    dataset = load_dataset(data / "brats2013")
    case = dataset.read(dataset.case_ids[0])
    stored = read_volume(dataset.files[case.id].label).array
    sizes = {target.name: int(case.mask(target).sum()) for target in dataset.targets}
    assert sizes["whole tumor"] == np.count_nonzero(stored)
    assert sizes["tumor core"] == np.count_nonzero(stored) - np.count_nonzero(stored == 2)
