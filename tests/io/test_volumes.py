import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeusseg.errors import BadInputError
from zeusseg.io import image_suffix, read_channels, read_labels, read_volume, write_volume

OBLIQUE = np.array([[1.8, 0.35, -0.2, -60.0], [-0.4, 1.9, 0.5, 31.5], [0.3, -0.6, 4.9, -12.25], [0, 0, 0, 1]])
AFFINES = {
    "identity": np.eye(4),
    "flipped (LPS)": np.diag([-1.5, -1.5, 3.0, 1.0]),
    "permuted (SRA)": np.array([[0, 2.0, 0, 5], [0, 0, 3.0, 6], [4.0, 0, 0, 7], [0, 0, 0, 1]]),
    "permuted and flipped (IPR)": np.array([[0, 0, 1.0, 5], [0, -2.0, 0, 6], [-3.0, 0, 0, 7], [0, 0, 0, 1]]),
    "oblique": OBLIQUE,
    "oblique, flipped": OBLIQUE @ np.diag([-1.0, 1, -1, 1]),
    "oblique, permuted": OBLIQUE[:, [2, 0, 1, 3]],
}


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES.keys())
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_what_is_read_and_written_back_is_the_same_file_voxel_for_voxel(affine, suffix, save, tmp_path):
    stored = np.random.default_rng(0).integers(-1000, 1000, (4, 5, 6)).astype(np.int16)
    original = save(stored, f"in{suffix}", affine)
    volume = read_volume(original)
    write_volume(tmp_path / f"out{suffix}", volume.array, volume, np.int16)
    before, after = nib.load(original), nib.load(tmp_path / f"out{suffix}")
    assert np.array_equal(np.asarray(after.dataobj), stored)
    assert np.array_equal(after.affine, before.affine)
    assert after.get_data_dtype() == np.int16
    assert (int(after.header["sform_code"]), int(after.header["qform_code"])) == (1, 1)


@settings(max_examples=15, deadline=None)
@given(st.permutations([0, 1, 2]), st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
def test_every_voxel_keeps_its_place_in_space(tmp_path_factory, order, signs):
    affine = np.eye(4)
    affine[:3, :3] = (np.diag([2.0, 3.0, 4.0]) * signs)[:, order]
    affine[:3, 3] = [7, -8, 9]
    stored = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    path = tmp_path_factory.mktemp("grid") / "image.nii"
    nib.save(nib.Nifti1Image(stored, affine), path)
    volume = read_volume(path)
    assert nib.aff2axcodes(volume.affine) == ("R", "A", "S")
    assert volume.spacing_mm == (2.0, 3.0, 4.0)
    for place in np.ndindex(stored.shape):
        canonical = np.linalg.inv(volume.affine) @ affine @ [*place, 1]
        assert volume.array[tuple(np.rint(canonical[:3]).astype(int))] == stored[place]


def test_a_flipped_axis_is_turned_by_hand_worked_values(save):
    volume = read_volume(save(np.array([[[1]], [[2]], [[3]]], np.uint8), affine=np.diag([-2.0, 1, 1, 1])))
    assert volume.array[:, 0, 0].tolist() == [3, 2, 1]
    assert volume.affine[0].tolist() == [2, 0, 0, -4]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32])
def test_voxels_keep_their_type(dtype, save):
    assert read_volume(save(np.arange(8).reshape(2, 2, 2).astype(dtype))).array.dtype == dtype


def test_doubles_and_scaled_values_become_float32(save):
    assert read_volume(save(np.arange(8.0).reshape(2, 2, 2))).array.dtype == np.float32
    scaled = save(np.arange(8, dtype=np.int16).reshape(2, 2, 2), "scaled.nii")
    content = bytearray(scaled.read_bytes())
    content[112:120] = struct.pack("<2f", 0.5, 10.0)  # scl_slope and scl_inter of the header
    scaled.write_bytes(content)
    volume = read_volume(scaled)
    assert volume.array.dtype == np.float32
    assert volume.array.ravel().tolist() == [10, 10.5, 11, 11.5, 12, 12.5, 13, 13.5]


def test_big_endian_voxels_arrive_in_native_order(tmp_path):
    header = nib.Nifti1Header(endianness=">")
    nib.save(nib.Nifti1Image(np.arange(8, dtype=">i2").reshape(2, 2, 2), np.eye(4), header), tmp_path / "big.nii")
    volume = read_volume(tmp_path / "big.nii")
    assert volume.array.dtype.isnative
    assert volume.array.ravel().tolist() == list(range(8))


def test_a_trailing_axis_of_one_is_no_fourth_dimension(save):
    assert read_volume(save(np.arange(8, dtype=np.int16).reshape(2, 2, 2, 1))).shape == (2, 2, 2)


def test_a_flat_file_is_one_plane(save):
    assert read_volume(save(np.arange(6, dtype=np.int16).reshape(2, 3))).shape == (2, 3, 1)


def test_a_4d_file_is_refused_unless_a_channel_is_named(save):
    path = save(np.arange(24, dtype=np.int16).reshape(2, 2, 2, 3))
    with pytest.raises(BadInputError, match=r"image\.nii\.gz: 4-D with 3 volumes"):
        read_volume(path)
    assert read_volume(path, channel=2).array.ravel().tolist() == [2, 5, 8, 11, 14, 17, 20, 23]
    with pytest.raises(BadInputError, match=r"3 channel\(s\), so there is none numbered 3"):
        read_volume(path, channel=3)
    with pytest.raises(BadInputError, match="4-D"):
        read_labels(path)


def test_several_channels_of_one_file_come_in_the_order_asked_for(save):
    path = save(np.arange(24, dtype=np.int16).reshape(2, 2, 2, 3))
    assert [int(v.array[0, 0, 0]) for v in read_channels(path, [2, 0])] == [2, 0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused_in_images_and_labels(value, save):
    array = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    array[1, 0, 1] = value
    for read in (read_volume, read_labels):
        with pytest.raises(BadInputError, match=r"image\.nii\.gz: holds NaN or infinite"):
            read(save(array))


def test_a_constant_image_is_refused_but_constant_labels_are_not(save):
    path = save(np.full((2, 2, 2), 3, np.int16))
    with pytest.raises(BadInputError, match="every voxel is 3"):
        read_volume(path)
    assert read_labels(path).array.tolist() == [[[3, 3], [3, 3]], [[3, 3], [3, 3]]]


def test_an_affine_that_maps_to_a_plane_is_refused_naming_the_file(tmp_path):
    image = nib.Nifti1Image(np.arange(8, dtype=np.int16).reshape(2, 2, 2), np.eye(4))
    image.set_sform(np.diag([1.0, 1.0, 0.0, 1.0]), 1)
    nib.save(image, tmp_path / "flat.nii")
    with pytest.raises(BadInputError, match=r"flat\.nii: the affine"):
        read_volume(tmp_path / "flat.nii")


@pytest.mark.parametrize(
    ("values", "dtype"), [([0, 1], np.uint8), ([0, 255], np.uint8), ([0, 300], np.uint16), ([-1, 4], np.int16)]
)
def test_labels_take_the_smallest_integer_type_that_holds_them(values, dtype, save):
    labels = read_labels(save(np.array(values, np.float64).reshape(2, 1, 1)))
    assert labels.array.dtype == dtype
    assert labels.array.ravel().tolist() == values


def test_labels_between_whole_numbers_are_refused(save):
    with pytest.raises(BadInputError, match=r"label value 0\.5 is not a whole number"):
        read_labels(save(np.array([0, 0.5, 1.0]).reshape(3, 1, 1)))


def test_a_file_of_another_kind_is_refused_naming_the_kinds_there_are():
    with pytest.raises(BadInputError, match=r"scan\.dcm: not an image by its suffix: expected one of \.nii"):
        read_volume(Path("scan.dcm"))


def test_image_suffixes_are_told_in_any_case():
    assert [image_suffix(Path(n)) for n in ("a.NII.GZ", "a.b.nii", "a.JPG", "a.txt")] == [
        ".nii.gz",
        ".nii",
        ".jpg",
        None,
    ]


def test_a_failed_write_leaves_the_old_file_as_it_was(save, tmp_path):
    volume = read_volume(save(np.arange(8, dtype=np.int16).reshape(2, 2, 2)))
    out = tmp_path / "out.nii.gz"
    write_volume(out, volume.array, volume, np.int16)
    before = out.read_bytes()
    with pytest.raises(ValueError, match="not on the grid"):
        write_volume(out, volume.array[:1], volume, np.int16)
    assert out.read_bytes() == before
    write_volume(out, volume.array, volume, np.int16)
    assert out.read_bytes() == before  # nor does a file carry when it was written
    assert sorted(p.name for p in tmp_path.iterdir()) == ["image.nii.gz", "out.nii.gz"]
