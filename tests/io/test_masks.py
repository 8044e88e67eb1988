import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from zeusseg.case import Volume
from zeusseg.errors import BadInputError
from zeusseg.io import read_mask, write_mask

LPS = np.diag([-2.0, -2.0, 5.0, 1.0])


@pytest.fixture
def volume():
    return Volume.from_file(np.arange(24).reshape(2, 3, 4), LPS)


@pytest.fixture
def picture():
    return Volume.from_file(np.arange(6, dtype=np.uint8).reshape(3, 2, 1), np.diag([-1.0, -1, 1, 1]), "picture")


def test_a_mask_of_a_volume_is_written_as_zeros_and_ones_on_its_file_grid(volume, tmp_path):
    mask = np.zeros(volume.shape, bool)
    mask[0, 0, 0] = True  # leftmost and rearmost, so the last voxel of a file in LPS
    path = write_mask(tmp_path / "case" / "tumor v1.5", mask, volume)
    assert path.name == "tumor v1.5.nii.gz"
    stored = nib.load(path)
    assert stored.get_data_dtype() == np.uint8
    assert stored.affine.tolist() == LPS.tolist()
    assert np.argwhere(np.asarray(stored.dataobj)).tolist() == [[1, 2, 0]]
    assert np.array_equal(read_mask(tmp_path / "case" / "tumor v1.5", volume), mask)
    assert np.array_equal(read_mask(path, volume), mask)


def test_a_mask_of_a_picture_is_written_black_and_white(picture, tmp_path):
    mask = picture.array == 0
    path = write_mask(tmp_path / "tumor", mask, picture)
    assert path.name == "tumor.png"
    assert np.asarray(Image.open(path)).tolist() == [[255, 0, 0], [0, 0, 0]]
    assert np.array_equal(read_mask(tmp_path / "tumor", picture), mask)


def test_an_empty_mask_is_a_mask(volume, tmp_path):
    write_mask(tmp_path / "none", np.zeros(volume.shape, bool), volume)
    assert not read_mask(tmp_path / "none", volume).any()


def test_a_missing_mask_says_where_it_was_looked_for(volume, tmp_path):
    with pytest.raises(BadInputError, match=r"tumor: there is no such mask \(looked for tumor\.nii\.gz too\)"):
        read_mask(tmp_path / "tumor", volume)


def test_an_unreadable_mask_is_refused_naming_it(volume, tmp_path):
    (tmp_path / "tumor.nii.gz").write_bytes(b"nothing")
    with pytest.raises(BadInputError, match=r"tumor\.nii\.gz"):
        read_mask(tmp_path / "tumor", volume)


def test_a_mask_on_another_grid_is_refused_saying_both_grids(volume, tmp_path):
    other = Volume.from_file(np.zeros((2, 3, 5)), LPS)
    write_mask(tmp_path / "tumor", np.zeros(other.shape, bool), other)
    with pytest.raises(BadInputError, match=r"2x3x5 voxels of 2x2x5 mm from .* the case on a grid of 2x3x4 voxels"):
        read_mask(tmp_path / "tumor", volume)
    moved = Volume.from_file(np.zeros((2, 3, 4)), LPS + np.eye(4, k=3) * 10)
    write_mask(tmp_path / "moved", np.zeros(moved.shape, bool), moved)
    with pytest.raises(BadInputError, match=r"from \(8, -4, 0\), the case on .* from \(-2, -4, 0\)"):
        read_mask(tmp_path / "moved", volume)
