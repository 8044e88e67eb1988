"""What a model is shown: the slices that matter, the right way up, windowed, the same each time."""

import io

import numpy as np
import pytest
from PIL import Image

from zeusseg.case import Case, Volume
from zeusseg.instruct.language.sheet import contact_sheet, separate_slices, worth_showing


def body(shape=(30, 40, 40)):
    """Planes (plane, row, column) of a grey ellipse on black, widest in the middle plane."""
    planes, rows, columns = (np.linspace(-1, 1, n) for n in shape)
    inside = planes[:, None, None] ** 2 + (rows[:, None] ** 2 + columns**2)[None] * 1.4 < 1
    return np.where(inside, 100.0 + np.random.default_rng(0).normal(0, 3, shape), 0.0)


def shown(planes):
    return worth_showing(planes.astype(np.float32), planes > 0, mirrored=True)


def test_the_fullest_plane_and_others_all_over_the_body_are_shown():
    chosen = shown(body())
    assert len(chosen) == 6
    assert chosen == sorted(set(chosen))
    assert any(13 <= index <= 16 for index in chosen)
    assert chosen[0] < 10
    assert chosen[-1] > 19


@pytest.mark.parametrize("plane", [6, 11, 22])
def test_a_plane_with_something_bright_on_one_side_is_shown(plane):
    planes = body()
    planes[plane, 18:22, 24:28] = 400.0
    assert plane in shown(planes)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_few_planes_are_all_shown(count):
    assert shown(np.tile(body()[15], (count, 1, 1))) == list(range(count))


def test_a_plane_that_is_the_same_everywhere_is_no_problem():
    assert shown(np.full((3, 8, 8), 7.0))


def case_of(array, kind="nifti", affine=None):
    volume = Volume.from_file(array, np.diag([1.0, 1.0, 4.0, 1.0]) if affine is None else affine, kind)
    return Case("c", "p", {"flair": volume})


def test_the_sheet_is_drawn_with_the_patients_right_on_the_left():
    # x runs towards the patient's right in the canonical grid: the bright block is on the right, in front.
    array = np.full((40, 40, 1), 50, np.int16)
    array[0] = 0
    array[30:38, 30:38] = 200
    sheet = contact_sheet(case_of(array), "flair")
    pixels = np.asarray(Image.open(io.BytesIO(sheet.pictures[0])).convert("L"), dtype=float)
    half = pixels.shape[0] // 2, pixels.shape[1] // 2
    quarters = {
        "front left": pixels[: half[0], : half[1]].mean(), "front right": pixels[: half[0], half[1] :].mean(),
        "back left": pixels[half[0] :, : half[1]].mean(), "back right": pixels[half[0] :, half[1] :].mean(),
    }  # fmt: skip
    assert max(quarters, key=quarters.get) == "front left"
    assert "right is on the left" in sheet.orientation


def test_a_sheet_has_three_columns_and_says_how_many_slices_it_shows():
    array = np.moveaxis(body(), 0, 2).astype(np.float32)
    sheet = contact_sheet(case_of(array), "flair")
    assert Image.open(io.BytesIO(sheet.pictures[0])).size == (3 * 224, 2 * 224)
    assert sheet.panels == "The picture shows 6 of the 30 slices, numbered,"
    assert "axial" in sheet.orientation
    assert contact_sheet(case_of(array), "flair").pictures[0] == sheet.pictures[0]


def test_a_noisy_background_is_not_taken_for_the_body():
    planes = body((40, 64, 64))
    planes[:8] = planes[32:] = 0.0
    array = np.moveaxis(planes + np.abs(np.random.default_rng(1).normal(0, 2, planes.shape)), 0, 2).astype(np.float32)
    sheet = contact_sheet(case_of(array), "flair")
    # The first tile would be an empty plane of noise; all of them show the body instead.
    pixels = np.asarray(Image.open(io.BytesIO(sheet.pictures[0])).convert("L"), dtype=float)
    tiles = [pixels[r : r + 224, c : c + 224] for r in (0, 224) for c in (0, 224, 448)]
    assert all((tile[:200] > 90).mean() > 0.03 for tile in tiles)


@pytest.mark.parametrize("shape", [(1, 64, 64), (64, 1, 64), (64, 64, 1), (2, 64, 64)])
def test_thin_stacks_are_shown_from_the_front(shape):
    array = np.random.default_rng(0).normal(100, 9, shape).astype(np.float32)
    sheet = contact_sheet(case_of(array, affine=np.diag([1.0, 1.0, 0.5, 1.0])), "flair")
    width, height = Image.open(io.BytesIO(sheet.pictures[0])).size
    assert min(width, height) >= 100


def test_a_colour_picture_is_shown_whole_and_in_colour():
    array = np.zeros((30, 20, 1, 3), np.uint8)
    array[..., 0] = np.arange(30)[:, None, None] * 8
    sheet = contact_sheet(case_of(array, "picture"), "flair")
    assert Image.open(io.BytesIO(sheet.pictures[0])).mode == "RGB"
    assert sheet.panels == "This is a picture"
    assert "not a slice" in sheet.orientation


def test_masks_play_no_part(data):
    from zeusseg.datasets import load_dataset

    dataset = load_dataset(data / "brats2013")
    case_id = dataset.case_ids[0]
    with_labels, without = dataset.read(case_id), dataset.read(case_id, labels=False)
    for modality in with_labels.images:
        assert contact_sheet(with_labels, modality) == contact_sheet(without, modality)


def test_slices_one_by_one_are_the_tiles_of_the_sheet_with_their_numbers():
    array = np.ascontiguousarray(body().transpose(2, 1, 0)).astype(np.float32)
    sheet, apart = contact_sheet(case_of(array), "flair"), separate_slices(case_of(array), "flair")
    assert len(apart.pictures) == 6
    whole = np.asarray(Image.open(io.BytesIO(sheet.pictures[0])))
    first, fifth = (np.asarray(Image.open(io.BytesIO(apart.pictures[place]))) for place in (0, 4))
    height, width = first.shape
    # The number is written into the sheet's lowest lines.
    np.testing.assert_array_equal(whole[: height - 20, :width], first[: height - 20])
    np.testing.assert_array_equal(whole[height : 2 * height - 20, width : 2 * width], fifth[: height - 20])
    assert apart.names[0] == f"slice {shown(body())[0] + 1} of 30"
    assert apart.panels.startswith(f"The pictures show the slices {shown(body())[0] + 1}, ")
    assert apart.one_by_one()[0].panels == f"The picture shows {apart.names[0]}"


def test_one_slice_is_one_sheet_either_way():
    array = np.full((40, 40, 1), 50, np.int16)
    array[30:38, 30:38] = 200
    assert separate_slices(case_of(array), "flair") == contact_sheet(case_of(array), "flair")
