import gzip

import nibabel as nib
import numpy as np
import pytest

from zeusseg.errors import BadInputError
from zeusseg.io import read_header, read_volume

NOISE = np.random.default_rng(0).integers(0, 200, (16, 16, 16)).astype(np.int16)


def one_line(error):
    return "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["image.nii", "image.nii.gz"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_truncated_file_is_refused_in_one_line_naming_it(name, share, save):
    path = save(NOISE, name)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    for read in (read_volume, read_header):
        with pytest.raises(BadInputError, match=name) as error:
            read(path)
        assert one_line(error)


@pytest.mark.parametrize("name", ["image.nii", "image.nii.gz"])
@pytest.mark.parametrize("content", [b"not an image at all" * 50, gzip.compress(b"nor is this" * 50), b"\x1f\x8b\x08"])
def test_what_is_no_nifti_file_is_refused(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    for read in (read_volume, read_header):
        with pytest.raises(BadInputError, match=name) as error:
            read(tmp_path / name)
        assert one_line(error)


def test_an_empty_and_a_missing_file_are_told_apart(tmp_path):
    (tmp_path / "image.nii.gz").touch()
    with pytest.raises(BadInputError, match=r"image\.nii\.gz: the file is empty"):
        read_volume(tmp_path / "image.nii.gz")
    with pytest.raises(BadInputError, match="no such file"):
        read_volume(tmp_path / "other.nii.gz")


def test_a_flipped_byte_inside_the_voxels_is_noticed(save):
    path = save(NOISE)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(BadInputError, match="truncated or corrupt"):
        read_volume(path)


def test_an_axis_of_no_length_is_refused(tmp_path):
    image = nib.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.eye(4))
    nib.save(image, tmp_path / "none.nii")
    content = bytearray((tmp_path / "none.nii").read_bytes())
    content[44:46] = (0).to_bytes(2, "little")  # dim[2] of the header
    (tmp_path / "none.nii").write_bytes(content)
    with pytest.raises(BadInputError, match="has no voxels"):
        read_volume(tmp_path / "none.nii")


@pytest.mark.parametrize("dtype", [np.complex64, [("R", "u1"), ("G", "u1"), ("B", "u1")]])
def test_voxels_that_are_not_grey_values_are_refused(dtype, save):
    with pytest.raises(BadInputError, match="not grey values"):
        read_volume(save(np.zeros((2, 2, 2), dtype)))


def test_a_fifth_axis_is_refused(save):
    with pytest.raises(BadInputError, match="5 axes"):
        read_volume(save(np.arange(16, dtype=np.int16).reshape(2, 2, 2, 1, 2)))
