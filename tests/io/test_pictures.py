import numpy as np
import pytest
from PIL import Image

from zeusseg.errors import BadInputError
from zeusseg.io import read_labels, read_volume, write_volume

GREY = np.array([[10, 20, 30], [40, 50, 60]], np.uint8)  # two rows, three columns


def saved(tmp_path, pixels, name="picture.png", mode=None):
    Image.fromarray(pixels, mode).save(tmp_path / name)
    return tmp_path / name


def test_a_picture_is_one_plane_with_columns_to_the_left_and_rows_to_the_back(tmp_path):
    volume = read_volume(saved(tmp_path, GREY))
    assert volume.file_grid.kind == "picture"
    assert volume.file_grid.shape == (3, 2, 1)
    assert volume.file_grid.affine.tolist() == np.diag([-1.0, -1.0, 1.0, 1.0]).tolist()
    # x runs to the right and y to the front: the last column and the last row come first.
    assert volume.array[:, :, 0].tolist() == [[60, 30], [50, 20], [40, 10]]
    assert np.array_equal(volume.array[::-1, ::-1, 0].T, GREY)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".jpg", ".jpeg", ".PNG"])
def test_every_kind_of_picture_is_read(suffix, tmp_path):
    smooth = np.linspace(0, 255, 64 * 32).reshape(64, 32).astype(np.uint8)
    volume = read_volume(saved(tmp_path, smooth, f"picture{suffix}"))
    assert volume.shape == (32, 64, 1)
    assert np.abs(volume.array[::-1, ::-1, 0].T.astype(int) - smooth).max() <= (12 if "j" in suffix else 0)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_keep_their_values(suffix, tmp_path):
    deep = np.array([[0, 1000], [40000, 65535]], np.uint16)
    volume = read_volume(saved(tmp_path, deep, f"deep{suffix}"))
    assert volume.array[::-1, ::-1, 0].T.tolist() == deep.tolist()
    write_volume(tmp_path / f"again{suffix}", volume.array, volume, np.uint16)
    assert np.array_equal(read_volume(tmp_path / f"again{suffix}").array, volume.array)


def test_grey_stored_as_colour_is_grey_and_colour_is_colour(tmp_path):
    assert read_volume(saved(tmp_path, np.stack([GREY] * 3, -1))).array.shape == (3, 2, 1)
    colour = np.stack([GREY, GREY, GREY + 1], -1)
    volume = read_volume(saved(tmp_path, colour))
    assert volume.array.shape == (3, 2, 1, 3)
    assert volume.array[-1, -1, 0].tolist() == [10, 10, 11]


def test_a_palette_gives_colours_to_images_and_indices_to_labels(tmp_path):
    indexed = Image.fromarray(np.array([[0, 1], [2, 0]], np.uint8), "P")
    indexed.putpalette([0, 0, 0, 200, 0, 0, 0, 90, 0])
    indexed.save(tmp_path / "indexed.png")
    assert read_labels(tmp_path / "indexed.png").array[::-1, ::-1, 0].T.tolist() == [[0, 1], [2, 0]]
    assert read_volume(tmp_path / "indexed.png").array[0, 1, 0].tolist() == [200, 0, 0]


def test_a_mask_of_one_bit_is_zero_and_one(tmp_path):
    Image.fromarray(GREY > 25).save(tmp_path / "bits.png")
    assert read_labels(tmp_path / "bits.png").array[::-1, ::-1, 0].T.tolist() == [[0, 0, 1], [1, 1, 1]]


def test_a_label_picture_in_colour_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="label picture in colour"):
        read_labels(saved(tmp_path, np.stack([GREY, GREY, GREY + 1], -1)))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_truncated_empty_and_foreign_files_are_refused_in_one_line(suffix, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    path = saved(tmp_path, noise, f"picture{suffix}")
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no picture" * 20):
        path.write_bytes(content)
        with pytest.raises(BadInputError, match=f"picture{suffix}: ") as error:
            read_volume(path)
        assert "\n" not in str(error.value)


def test_a_picture_of_one_shade_is_refused_as_image_not_as_labels(tmp_path):
    path = saved(tmp_path, np.zeros((4, 4), np.uint8))
    with pytest.raises(BadInputError, match="every voxel is 0"):
        read_volume(path)
    assert not read_labels(path).array.any()


def test_several_pages_are_refused(tmp_path):
    first, second = Image.fromarray(GREY), Image.fromarray(GREY + 1)
    first.save(tmp_path / "pages.tif", save_all=True, append_images=[second])
    with pytest.raises(BadInputError, match="has 2 pages"):
        read_volume(tmp_path / "pages.tif")


def test_a_format_that_loses_values_is_not_written(tmp_path):
    volume = read_volume(saved(tmp_path, GREY))
    with pytest.raises(ValueError, match="without loss"):
        write_volume(tmp_path / "mask.jpg", volume.array, volume, np.uint8)
