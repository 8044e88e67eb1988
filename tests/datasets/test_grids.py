import numpy as np
import pytest

from zeusseg.case import Volume
from zeusseg.datasets.grids import resample


def on(array, affine):
    return Volume.from_file(np.asarray(array), affine)


def at(edges, origin=(0, 0, 0)):
    affine = np.diag([*np.broadcast_to(edges, 3), 1.0])
    affine[:3, 3] = origin
    return affine


def test_a_shift_of_one_voxel_moves_every_value_by_one():
    moving = on(np.arange(4, dtype=np.int16).reshape(4, 1, 1) + 10, at(2.0))
    reference = on(np.zeros((4, 1, 1)), at(2.0, (2.0, 0, 0)))
    # The reference's last voxel lies beyond the image: it takes the least value.
    assert resample(moving, reference).array.ravel().tolist() == [11, 12, 13, 10]


def test_between_voxels_images_are_linear_and_labels_nearest():
    moving = on(np.array([0, 8, 4], np.int16).reshape(3, 1, 1), at(4.0))
    reference = on(np.zeros((3, 1, 1)), at((4.0, 4.0, 4.0), (1.0, 0, 0)))
    assert resample(moving, reference).array.ravel().tolist() == [2, 7, 4]
    assert resample(moving, reference, labels=True).array.ravel().tolist() == [0, 8, 4]


def test_the_type_is_kept():
    reference = on(np.zeros((3, 1, 1)), at(1.0, (0.4, 0, 0)))
    for dtype in (np.uint8, np.int16, np.float32):
        assert resample(on(np.arange(3, dtype=dtype).reshape(3, 1, 1), at(1.0)), reference).array.dtype == dtype


@pytest.mark.parametrize("turn", [np.eye(4), np.diag([-1.0, -1.0, 1.0, 1.0])[[1, 0, 2, 3]]])
def test_a_plane_in_space_stays_where_it_is_on_an_oblique_grid(turn):
    angle = np.deg2rad(20)
    oblique = np.eye(4)
    oblique[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    reference = on(np.zeros((9, 9, 5)), oblique @ turn @ at(1.3, (-4, -4, -2)))
    affine = at((1.0, 1.0, 1.5), (-12, -12, -6))
    x, y, z = np.meshgrid(*(np.arange(n) for n in (25, 25, 9)), indexing="ij")
    ramp = 3 * (x - 12.0) + 2 * (y - 12.0) - (1.5 * z - 6)
    moved = resample(on(ramp.astype(np.float32), affine), reference)
    for place in [(0, 0, 0), (4, 4, 2), (8, 2, 4)]:
        world = reference.affine @ [*place, 1]
        # A ramp survives linear interpolation exactly, and a symmetric blur away from the border too.
        assert moved.array[place] == pytest.approx(3 * world[0] + 2 * world[1] - world[2], abs=1e-3)


def test_a_much_coarser_grid_sees_averages_not_single_voxels():
    stripes = np.tile([0, 100], 32).astype(np.float32).reshape(64, 1, 1)
    coarse = resample(on(stripes, at(1.0)), on(np.zeros((8, 1, 1)), at((8.0, 1.0, 1.0))))
    assert np.abs(coarse.array[1:-1] - 50).max() < 1


def test_grids_without_overlap_give_none():
    moving = on(np.arange(8.0).reshape(2, 2, 2), at(1.0))
    assert resample(moving, on(np.zeros((2, 2, 2)), at(1.0, (50, 0, 0)))) is None
    assert resample(moving, on(np.zeros((2, 2, 2)), at(1.0, (50, 0, 0))), labels=True) is None


def test_labels_outside_their_file_are_background():
    moving = on(np.full((2, 1, 1), 3, np.uint8), at(1.0))
    moved = resample(moving, on(np.zeros((4, 1, 1)), at(1.0)), labels=True)
    assert moved.array.dtype == np.uint8
    assert moved.array.ravel()[[0, 1, 3]].tolist() == [3, 3, 0]
