"""BUSI is read as its owners publish it: a folder per class, and one mask or several beside each picture."""

import numpy as np
import pytest

from helpers.pictures import PICTURE, mask
from zeusseg.datasets import load_dataset
from zeusseg.errors import BadInputError

FOLDER = "Dataset_BUSI_with_GT"


BUSI = {
    "benign/benign (1).png": PICTURE,
    "benign/benign (1)_mask.png": mask((0, 0), (0, 1)),
    "benign/benign (1)_mask_1.png": mask((0, 1), (2, 3)),
    "benign/benign (10).png": PICTURE,
    "benign/benign (10)_mask.png": mask((1, 1)),
    "malignant/malignant (1).png": PICTURE,
    "malignant/malignant (1)_mask.png": mask((1, 1), (1, 2), (2, 2)),
    "normal/normal (1).png": PICTURE,
    "normal/normal (1)_mask.png": mask(),
}


def folder(files=BUSI):
    return {f"{FOLDER}/{name}": content for name, content in files.items()}


def test_pictures_are_cases_and_several_masks_are_united(make):
    dataset = load_dataset(make(folder()))
    assert (dataset.layout, dataset.name, dataset.modalities) == ("busi", "busi", ("us",))
    assert dataset.case_ids == ("benign (1)", "benign (10)", "malignant (1)", "normal (1)")
    (tumor,) = dataset.targets
    assert (tumor.name, tumor.values) == ("breast tumor", (1,))
    sizes = [int(dataset.read(case_id).mask(tumor).sum()) for case_id in dataset.case_ids]
    assert sizes == [3, 1, 3, 0]
    united = dataset.read_labels("benign (1)")
    assert united.to_file(united.array)[:, :, 0].T.tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    assert not dataset.spacing_known


def test_the_class_is_known_by_case(make):
    about = load_dataset(make(folder())).about
    classes = [about[name]["class"] for name in ("benign (10)", "malignant (1)", "normal (1)")]
    assert classes == ["benign", "malignant", "normal"]


def test_the_folder_of_the_classes_may_be_given_itself(make):
    assert load_dataset(make(folder()) / FOLDER).case_ids == load_dataset(make({})).case_ids


def test_masks_of_one_picture_must_have_its_size(make):
    dataset = load_dataset(make(folder(BUSI | {"benign/benign (1)_mask_1.png": np.zeros((2, 4), np.uint8)})))
    with pytest.raises(BadInputError, match=r"\(1\)_mask_1\.png: the mask is on .*4x2x1.* must have the same size"):
        dataset.read("benign (1)")


def test_a_picture_without_mask_has_no_labels_and_a_mask_without_picture_is_listed(make):
    files = BUSI | {"benign/benign (2).png": PICTURE, "normal/normal (7)_mask.png": mask()}
    dataset = load_dataset(make(folder(files)))
    assert dataset.read("benign (2)").labels is None
    (problem,) = dataset.problems
    assert problem.endswith("normal (7)_mask.png: a mask without its picture")


def test_the_digest_covers_every_mask(make):
    root = make(folder())
    before = load_dataset(root).digest()
    make(folder({"benign/benign (1)_mask_1.png": np.eye(3, 4, dtype=np.uint8) * 255}))
    assert load_dataset(root).digest() != before
