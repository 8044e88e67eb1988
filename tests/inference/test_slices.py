"""Cases become slices as a radiologist sees them, and slices become volumes again."""

import numpy as np
import pytest
import torch

from zeusseg.case import Case, Volume
from zeusseg.inference.slices import (
    Slicing,
    cut,
    foreground,
    normalise,
    restore_planes,
    stack_masks,
    stack_slices,
    uncut,
)


def volume(array: np.ndarray, spacing=(1.0, 1.0, 1.0)) -> Volume:
    return Volume.from_file(array, np.diag([*spacing, 1.0]))


def random_case(shape=(6, 8, 4), spacing=(1.0, 1.0, 3.0), modalities=("t1", "flair"), **rest) -> Case:
    rng = np.random.default_rng(0)
    return Case("c", "p", {m: volume(rng.normal(100, 20, shape), spacing) for m in modalities}, **rest)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_cutting_is_undone_exactly(axis):
    array = np.random.default_rng(0).normal(size=(3, 4, 5))
    assert np.array_equal(uncut(cut(array, axis), axis), array)


def test_axial_planes_show_the_front_at_the_top_and_the_patients_right_on_the_left():
    array = np.zeros((3, 4, 2))
    array[2, 3, 1] = 1  # the most right (x), the most anterior (y), upper plane
    planes = cut(array, 2)
    assert planes.shape == (2, 4, 3)
    assert planes[1, 0, 0] == 1


def test_sagittal_and_coronal_planes_show_the_head_at_the_top():
    array = np.zeros((3, 4, 2))
    array[2, 3, 1] = 1
    assert cut(array, 0)[2, 0, 0] == 1
    assert cut(array, 1)[3, 0, 0] == 1


def test_slices_are_cut_across_the_coarsest_axis():
    assert stack_slices(random_case((6, 8, 4), (4.0, 1.0, 1.0)), ("t1",), Slicing()).axis == 0


def test_where_spacing_is_unknown_slices_are_cut_by_fewest_planes():
    case = random_case((6, 3, 8), (4.0, 1.0, 1.0), spacing_known=False)
    assert stack_slices(case, ("t1",), Slicing()).axis == 1


def test_neighbours_come_as_channels_and_the_edges_repeat():
    slicing = Slicing(context=1)
    stack = stack_slices(random_case(), ("t1", "flair"), slicing)
    first = stack.read(0, slicing)
    assert first.shape == (2, 3, 8, 6)
    torch.testing.assert_close(first[:, 0], first[:, 1])
    torch.testing.assert_close(first[:, 2], stack.read(1, slicing)[:, 1])


def test_an_absent_modality_is_zeros_and_not_present():
    stack = stack_slices(random_case(modalities=("flair",)), ("t1", "flair"), Slicing())
    assert stack.present.tolist() == [False, True]
    assert not stack.images[0].any()
    assert stack.images[1].any()


def test_a_colour_picture_brings_its_three_colours_as_channels():
    array = np.random.default_rng(0).integers(0, 255, (6, 8, 1, 3)).astype(np.uint8)
    picture = Volume.from_file(array, np.diag([-1.0, -1.0, 1.0, 1.0]), "picture")
    slicing = Slicing(context=1)
    stack = stack_slices(Case("c", "c", {"rgb": picture}, spacing_known=False), ("rgb",), slicing)
    shown = stack.read(0, slicing)
    assert shown.shape == (1, 3, 8, 6)
    # As in the file: row 2, column 1 of the picture.
    order = [(shown[0, c, 2, 1] > shown[0, c, 5, 3]).item() for c in range(3)]
    assert order == [bool(array[1, 2, 0, c] > array[3, 5, 0, c]) for c in range(3)]


def test_pixels_are_resampled_and_a_mask_comes_back_on_the_cases_own_grid():
    case = random_case((20, 30, 4), (1.0, 2.0, 5.0))
    slicing = Slicing(pixel_mm=1.0)
    stack = stack_slices(case, ("t1",), slicing)
    assert stack.images.shape[1:4] == (4, 60, 20)
    mask = np.zeros(case.shape, dtype=bool)
    mask[5:12, 10:20, 1:3] = True
    restored = restore_planes(stack_masks(case, [mask], slicing).float(), stack)
    assert restored.shape == (1, 20, 30, 4)
    assert np.array_equal(restored[0] > 0.5, mask)


def test_hounsfield_units_keep_their_meaning():
    air_and_liver = volume(np.where(np.arange(64).reshape(4, 4, 4) < 32, -1000, 60).astype(np.int16))
    values = normalise(air_and_liver, "ct")
    assert values.min() == -3.0
    assert values.max() == pytest.approx((60 - 50) / 200)


def test_other_images_have_mean_zero_and_deviation_one_over_the_foreground():
    array = np.zeros((20, 20, 10), dtype=np.float32)
    array[5:15, 5:15] = np.random.default_rng(0).normal(300, 40, (10, 10, 10))
    values = normalise(volume(array), "t1")
    inside = values[5:15, 5:15]
    assert inside.mean() == pytest.approx(0, abs=0.05)
    assert inside.std() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("background", [0, -157, 30])
def test_the_background_is_the_commonest_border_value_whatever_it_is(background):
    array = np.full((10, 10, 6), background, dtype=np.int16)
    array[3:7, 3:7] = np.arange(4 * 4 * 6).reshape(4, 4, 6) + 100
    assert np.array_equal(foreground(array), array != background)


def test_a_crop_without_background_is_all_foreground():
    assert foreground(np.random.default_rng(0).normal(size=(5, 5, 5))).all()


def test_scale_and_offset_of_an_image_do_not_matter():
    array = np.random.default_rng(0).normal(100, 20, (8, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(normalise(volume(array), "t1"), normalise(volume(array * 7 + 50), "t1"), atol=1e-3)
