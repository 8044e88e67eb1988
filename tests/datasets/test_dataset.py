"""Reading cases: grids, labels, missing and bad files."""

import logging
import os

import nibabel as nib
import numpy as np
import pytest

from zeusseg.datasets import load_dataset
from zeusseg.errors import BadInputError, UsageError

WORDS = "targets: {lesion: {values: [1, 2]}}\nmodalities: {flair: [flair], t1: [t1], t2: [t2]}"
LPS = np.array([[-1.0, 0, 0, 3], [0, -1.0, 0, 4], [0, 0, 1.0, 0], [0, 0, 0, 1]])


def test_images_come_in_reference_order_whatever_the_files_are_called(make, image, labels):
    dataset = load_dataset(
        make({"a/t1.nii": image, "a/flair.nii": image + 1, "a/seg.nii": labels, "targets.yaml": WORDS})
    )
    case = dataset.read("a")
    assert list(case.images) == ["flair", "t1"]
    assert int(case.reference.array.min()) == 1
    assert case.labels.array.dtype == np.uint8
    assert case.mask(dataset.targets[0]).sum() == 5


def test_the_reference_is_the_first_modality_that_the_case_has(make, image):
    dataset = load_dataset(
        make({"a/t2.nii": image, "a/t1.nii": image + 1, "b/t2.nii": image, "b/flair.nii": image, "targets.yaml": WORDS})
    )
    assert list(dataset.read("a").images) == ["t1", "t2"]
    assert (dataset.missing("a"), dataset.missing("b")) == (("flair",), ("t1",))


def test_files_turned_differently_on_one_grid_are_not_resampled_and_share_the_reference_file_grid(make, image, labels):
    # The same voxels in the same places, stored from the other side: index 0 along x is then the rightmost.
    turned = (image[::-1, ::-1] + 100, LPS)
    files = {"a/flair.nii": image, "a/t1.nii": turned, "a/seg.nii": (labels[::-1, ::-1], LPS), "targets.yaml": WORDS}
    case = load_dataset(make(files)).read("a")
    assert case.notices == ()
    assert np.array_equal(case.images["t1"].array, case.images["flair"].array + 100)
    assert np.array_equal(case.labels.array, labels)
    for volume in (case.images["t1"], case.labels):
        assert volume.file_grid is case.reference.file_grid
        assert volume.affine is case.reference.affine


def test_a_modality_on_another_grid_is_resampled_with_a_notice(make, image):
    coarse = np.diag([2.0, 2.0, 1.0, 1.0])
    files = {"a/flair.nii": image, "a/t1.nii": (np.arange(12, dtype=np.int16).reshape(2, 2, 3), coarse)}
    case = load_dataset(make(files | {"targets.yaml": WORDS})).read("a")
    assert case.images["t1"].shape == case.shape == (4, 5, 3)
    assert case.images["t1"].array.dtype == np.int16
    # Along x the coarse values 0 and 6 lie at 0 and 2: half way stands 3; up to its edge at 3 a voxel keeps its value.
    assert case.images["t1"].array[:, 0, 0].tolist() == [0, 3, 6, 6]
    assert case.notices == (
        "a: t1 was resampled from a grid of 2x2x3 voxels of 2x2x1 mm from (0, 0, 0) to the grid of flair",
    )


def test_labels_drawn_on_another_modality_are_brought_to_the_reference_by_nearest_value(make, image):
    drawn = np.zeros((4, 5, 3), np.uint8)
    drawn[1, 1, 1] = 2
    shift = np.eye(4)
    shift[0, 3] = 1.0
    files = {"a/flair.nii": image, "a/seg.nii": (drawn, shift), "targets.yaml": WORDS}
    case = load_dataset(make(files)).read("a")
    assert np.argwhere(case.labels.array).tolist() == [[2, 1, 1]]
    assert "a: labels was resampled" in case.notices[0]


def test_images_that_do_not_overlap_are_refused_saying_both_grids(make, image):
    far = np.eye(4)
    far[0, 3] = 500
    dataset = load_dataset(make({"a/flair.nii": image, "a/t1.nii": (image, far), "targets.yaml": WORDS}))
    with pytest.raises(BadInputError, match=r"a: t1 is on .* from \(500, 0, 0\), flair on .* do not overlap") as error:
        dataset.read("a")
    assert "\n" not in str(error.value)


def test_pictures_of_one_case_must_have_one_size(make):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    dataset = load_dataset(make({"a/t1.png": pixels, "a/t2.png": pixels[:2]}))
    with pytest.raises(BadInputError, match="pictures of one case must have the same size"):
        dataset.read("a")


def test_a_label_value_that_no_target_names_is_refused_naming_value_and_file(make, image, labels):
    labels = labels.copy()
    labels[3, 3, 2] = 7
    files = {"a/flair.nii": image, "a/seg.nii": labels, "targets.yaml": WORDS}
    root = make(files)
    with pytest.raises(BadInputError, match=r"seg\.nii: label value 7 belongs to no target \(known: \[0, 1, 2\]\)"):
        load_dataset(root).read("a")
    (root / "targets.yaml").write_text(WORDS + "\nignore: [7]")
    dataset = load_dataset(root)
    assert dataset.read("a").mask(dataset.targets[0]).sum() == 5


def test_without_labels_the_label_file_is_not_even_opened(make, image):
    dataset = load_dataset(make({"a/flair.nii": image, "a/seg.nii": b"broken", "targets.yaml": WORDS}))
    assert dataset.read("a", labels=False).labels is None
    with pytest.raises(BadInputError, match=r"seg\.nii"):
        dataset.read("a")


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"not an image",
        np.stack([np.arange(60, dtype=np.int16).reshape(4, 5, 3)] * 2, -1),
        np.full((4, 5, 3), np.nan, np.float32),
        np.full((4, 5, 3), 5, np.int16),
    ],
    ids=["empty", "not NIfTI", "4-D", "NaN", "constant"],
)
def test_one_bad_image_costs_its_case_and_no_other(bad, make, image):
    dataset = load_dataset(make({"a/flair.nii": image, "a/t1.nii": bad, "b/flair.nii": image, "targets.yaml": WORDS}))
    with pytest.raises(BadInputError, match=r"a.t1\.nii") as error:
        dataset.read("a")
    assert "\n" not in str(error.value)
    assert dataset.read("b").shape == (4, 5, 3)


def test_a_case_without_any_image_is_listed_and_refused(make, image, labels):
    dataset = load_dataset(make({"a/flair.nii": image, "b/seg.nii": labels, "targets.yaml": WORDS}))
    assert any("case 'b': no image" in problem for problem in dataset.problems)
    with pytest.raises(BadInputError, match="case 'b': no image"):
        dataset.read("b")


def test_an_unknown_case_is_refused(make, image):
    with pytest.raises(UsageError, match="there is no case 'z'"):
        load_dataset(make({"a/t1.nii": image})).read("z")


def test_the_spacing_is_unknown_where_the_targets_file_says_so(make, image):
    affine = np.diag([1.0, 1.0, 5.0, 1.0])
    root = make({"a/t1.nii": (image, affine)})
    assert load_dataset(root).read("a").spacing_mm == (1.0, 1.0, 5.0)
    (root / "targets.yaml").write_text("spacing: unknown")
    assert load_dataset(root).read("a").spacing_mm == (1.0, 1.0, 1.0)


def test_the_digest_changes_with_a_files_name_or_size_and_with_nothing_else(make, image):
    root = make({"a/t1.nii": image, "b/t1.nii": image})
    first = load_dataset(root).digest()
    os.utime(root / "a" / "t1.nii", (0, 0))
    assert load_dataset(root).digest() == first
    nib.save(nib.Nifti1Image(image[:2], np.eye(4)), root / "a" / "t1.nii")
    second = load_dataset(root).digest()
    (root / "b").rename(root / "c")
    assert len({first, second, load_dataset(root).digest()}) == 3


def test_reading_says_nothing_on_standard_error(make, image, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        load_dataset(make({"a/t1.nii": image})).read("a")
    assert capfd.readouterr().err == ""
