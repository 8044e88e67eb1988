"""Pictures of slices: the right slice, the right way round, outlines along the voxels' edges."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from zeusseg.case import Case, Volume
from zeusseg.report.pictures import PIXEL_BUDGET, outline, panel_edge, picture_of


def image_of(panel):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(panel.image.split(",", 1)[1]))))


def case_of(array, spacing=(1.0, 1.0, 3.0), kind="nifti", **more):
    affine = np.diag([*spacing, 1.0]) if kind == "nifti" else np.diag([-1.0, -1.0, 1.0, 1.0])
    return Case("c", "p", {"t1": Volume.from_file(array, affine, kind), **more})


@pytest.mark.parametrize(
    ("mask", "path"),
    [
        ([[False]], ""),
        ([[True]], "M0 0h1M0 1h1M0 0v1M1 0v1"),
        ([[True, True]], "M0 0h2M0 1h2M0 0v1M2 0v1"),
        ([[True], [True]], "M0 0h1M0 2h1M0 0v2M1 0v2"),
        ([[True, False, True]], "M0 0h1M2 0h1M0 1h1M2 1h1M0 0v1M1 0v1M2 0v1M3 0v1"),
    ],
)
def test_outlines_run_along_voxel_edges(mask, path):
    assert outline(np.array(mask)) == path


def test_the_hole_of_a_ring_is_outlined_too():
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    assert "M1 1h1M1 2h1" in outline(ring)


def test_an_axial_slice_has_the_patients_right_on_the_left_and_the_front_up():
    array = np.tile(np.arange(64.0).reshape(8, 8, 1), (1, 1, 2))
    array[7, 7] = 1000  # right and front in canonical (x, y, z)
    array[0, 0] = -1000
    empty = np.zeros(array.shape, bool)
    picture = picture_of(case_of(array), empty, empty, 320)
    seen = image_of(picture.panels[0])
    assert (seen[0, 0], seen[7, 7]) == (255, 0)
    assert (picture.left, picture.top) == ("R", "A")


def test_a_picture_is_shown_as_its_file_has_it():
    seen_in_viewer = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)  # (row, column)
    case = case_of(np.ascontiguousarray(seen_in_viewer.T[..., None]), kind="picture")
    reference = np.zeros(case.shape, bool)
    reference[case.shape[0] - 1, case.shape[1] - 1] = True  # first column, first row
    picture = picture_of(case, reference, ~reference & False, 320)
    found = image_of(picture.panels[0]).astype(int)
    assert found.shape == (4, 6)
    assert (np.diff(found, axis=1) > 0).all()
    assert (np.diff(found, axis=0) > 0).all()
    assert picture.reference_path == "M0 0h1M0 1h1M0 0v1M1 0v1"
    assert (picture.left, picture.top, picture.plane) == ("", "", "")


def test_colours_stay():
    array = np.zeros((5, 5, 1, 3), np.uint8)
    array[..., 0] = 200
    case = Case("c", "p", {"rgb": Volume.from_file(array, np.diag([-1.0, -1.0, 1.0, 1.0]), "picture")})
    empty = np.zeros(case.shape, bool)
    assert image_of(picture_of(case, empty, empty, 320).panels[0])[2, 2].tolist() == [200, 0, 0]


def test_the_slice_is_the_one_on_which_both_masks_together_cover_most():
    array = np.random.default_rng(0).random((6, 6, 5))
    reference, prediction = np.zeros(array.shape, bool), np.zeros(array.shape, bool)
    reference[:2, 0, 1] = True
    prediction[:3, 0, 3] = True
    assert picture_of(case_of(array), reference, prediction, 320).plane == "axial slice 4 of 5"
    assert picture_of(case_of(array), reference, ~prediction & False, 320).plane == "axial slice 2 of 5"


def test_slices_are_cut_across_the_coarse_axis_and_keep_their_proportions():
    array = np.random.default_rng(0).random((4, 5, 6))
    empty = np.zeros(array.shape, bool)
    sagittal = picture_of(case_of(array, spacing=(5.0, 1.0, 2.0)), empty, empty, 320)
    assert sagittal.plane.startswith("sagittal")
    assert (sagittal.columns, sagittal.rows) == (5, 6)  # y across, z up
    assert (sagittal.column_edge, sagittal.row_edge) == (1.0, 2.0)
    assert (sagittal.left, sagittal.top) == ("A", "S")


def test_dark_margins_are_cut_but_never_a_mask():
    array = np.zeros((40, 40, 3))
    array[15:25, 15:25] = 100
    empty, corner = np.zeros(array.shape, bool), np.zeros(array.shape, bool)
    corner[39, 20, 1] = True
    assert picture_of(case_of(array), empty, empty, 320).columns == 10 + 2 * 3
    wide = picture_of(case_of(array), corner, empty, 320)
    assert wide.columns == 25 + 3
    assert wide.reference_path.startswith("M0 ")


def test_every_modality_is_shown_in_one_window():
    first, second = np.zeros((20, 20, 3)), np.zeros((20, 20, 3))
    first[2:6, 8:12], second[14:18, 8:12] = 50, 50
    empty = np.zeros(first.shape, bool)
    case = case_of(first, t2=Volume.from_file(second, np.diag([1.0, 1.0, 3.0, 1.0])))
    picture = picture_of(case, empty, empty, 320)
    assert [panel.modality for panel in picture.panels] == ["t1", "t2"]
    assert len({image_of(panel).shape for panel in picture.panels}) == 1


def test_a_constant_image_is_drawn_without_complaint():
    array = np.full((4, 4, 2), 7.0)
    empty = np.zeros(array.shape, bool)
    assert image_of(picture_of(case_of(array), empty, empty, 320).panels[0]).shape == (4, 4)


def test_large_images_are_made_smaller_and_small_ones_are_not():
    array = np.random.default_rng(0).random((300, 150, 1))
    empty = np.zeros(array.shape, bool)
    assert image_of(picture_of(case_of(array), empty, empty, 100).panels[0]).shape == (50, 100)
    assert image_of(picture_of(case_of(array), empty, empty, 320).panels[0]).shape == (150, 300)


def test_many_pictures_share_the_budget_of_a_page():
    assert panel_edge(3) == 320
    assert 500 * panel_edge(500) ** 2 <= PIXEL_BUDGET
