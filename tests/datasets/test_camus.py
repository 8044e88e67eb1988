"""CAMUS is read as its owners publish it: a case per view and phase, with what the Info files say."""

import numpy as np
import pytest

from zeusseg.case import find_target
from zeusseg.datasets import load_dataset
from zeusseg.errors import UsageError

INFO = "ED: 1\nES: 18\nNbFrame: 18\nSex: {}\nAge: {}\nImageQuality: {}\nEF: 56\nFrameRate: 49.4\n"
# One plane, as the published files have it.
IMAGE = np.arange(24, dtype=np.uint8).reshape(6, 4)
MASK = np.zeros((6, 4), np.uint8)
MASK[0, :3] = 1
MASK[1, :2] = 2
MASK[2, 0] = 3
SPACING = np.diag([-0.3, -0.15, 1.0, 1.0])


def patient(name, sex="F", age="56", quality="Good"):
    frames = [f"{name}_{view}_{phase}" for view in ("2CH", "4CH") for phase in ("ED", "ES")]
    files = {f"{frame}.nii.gz": (IMAGE, SPACING) for frame in frames}
    files |= {f"{frame}_gt.nii.gz": (MASK, SPACING) for frame in frames}
    cine = np.stack([IMAGE, IMAGE], axis=-1)
    files |= {f"{name}_{view}_half_sequence{part}.nii.gz": cine for view in ("2CH", "4CH") for part in ("", "_gt")}
    files |= {"Info_2CH.cfg": INFO.format(sex, age, quality), "Info_4CH.cfg": INFO.format(sex, age, "Poor")}
    return {f"database_nifti/{name}/{file}": content for file, content in files.items()}


SPLITS = {
    "database_split/subgroup_training.txt": "patient0001\n",
    "database_split/subgroup_validation.txt": "patient0003\n",
    "database_split/subgroup_testing.txt": "patient0002\n",
}


def test_a_case_is_one_view_at_one_phase_and_the_cine_sequences_are_not_read(make):
    dataset = load_dataset(make(patient("patient0001") | patient("patient0002")))
    assert (dataset.layout, dataset.name, dataset.modalities) == ("camus", "camus", ("us",))
    views = ("2CH_ED", "2CH_ES", "4CH_ED", "4CH_ES")
    assert dataset.case_ids == tuple(f"patient000{n}_{view}" for n in (1, 2) for view in views)
    assert set(dataset.patients.values()) == {"patient0001", "patient0002"}
    assert dataset.problems == ()


def test_the_masks_are_ventricle_muscle_and_atrium_on_a_plane_with_its_spacing(make):
    dataset = load_dataset(make(patient("patient0001")))
    case = dataset.read("patient0001_4CH_ES")
    assert (case.shape, case.slice_axis) == ((6, 4, 1), 2)
    assert case.spacing_mm == pytest.approx((0.3, 0.15, 1.0))
    sizes = {target.name: int(case.mask(target).sum()) for target in dataset.targets}
    assert sizes == {"left ventricular cavity": 3, "myocardium": 2, "left atrium": 1}
    assert find_target(dataset.targets, "left ventricle").values == (1,)


def test_what_the_info_files_say_is_known_by_case_without_the_mask(make):
    files = patient("patient0001") | patient("patient0002", "M", "71", "Medium")
    files |= {name: b"broken" for name in files if name.endswith("_gt.nii.gz")}
    about = load_dataset(make(files)).about
    assert about["patient0001_2CH_ED"] == {"view": "2CH", "phase": "ED", "sex": "F", "age": "56", "quality": "Good"}
    assert about["patient0002_4CH_ES"] == {"view": "4CH", "phase": "ES", "sex": "M", "age": "71", "quality": "Poor"}


def test_the_published_splits_of_patients_are_splits_of_cases(make):
    dataset = load_dataset(make(patient("patient0001") | patient("patient0002") | SPLITS))
    assert {name: len(ids) for name, ids in dataset.splits.items()} == {"train": 4, "val": 0, "test": 4}
    assert {dataset.patients[case_id] for case_id in dataset.splits["test"]} == {"patient0002"}
    (problem,) = dataset.problems
    assert problem.endswith("subgroup_validation.txt: 1 of its patients are not here, such as patient0003")


def test_the_folder_of_patients_may_be_given_itself(make):
    root = make(patient("patient0001") | patient("patient0002") | SPLITS)
    inner = load_dataset(root / "database_nifti")
    assert inner.layout == "camus"
    assert inner.splits == load_dataset(root).splits


def test_without_splits_and_info_the_images_are_read_all_the_same(make):
    files = patient("patient0001")
    del files["database_nifti/patient0001/Info_4CH.cfg"]
    dataset = load_dataset(make(files))
    assert dataset.splits is None
    assert dataset.about["patient0001_4CH_ED"] == {"view": "4CH", "phase": "ED"}
    assert len(dataset.problems) == 2
    assert "Info_4CH.cfg: there is no such file, so patient0001_4CH_ED has no sex" in dataset.problems[0]


def test_an_info_file_that_is_no_text_is_refused_by_name(make):
    files = patient("patient0001") | {"database_nifti/patient0001/Info_2CH.cfg": b"\xff\xfe\x00"}
    with pytest.raises(UsageError, match=r"cannot read .*Info_2CH\.cfg"):
        load_dataset(make(files))
