"""Distances, random fields and grids that phantoms are drawn with."""

import numpy as np
import pytest

from zeusseg.datasets.phantom_shapes import Points, ellipsoid, fine_axes, pose, sheets, smooth_noise, tube


def test_the_fine_grid_has_two_parts_per_voxel_in_plane_and_its_middle_at_zero() -> None:
    x, y, z = fine_axes((2, 1, 3), (2.0, 4.0, 5.0))
    assert x.tolist() == [-1.5, -0.5, 0.5, 1.5]
    assert y.tolist() == [-1.0, 1.0]
    assert z.tolist() == [-5.0, 0.0, 5.0]


@pytest.mark.parametrize(("point", "distance"), [((5, 0, 0), -5.0), ((0, 13, 0), 3.0), ((0, 0, 10), 0.0)])
def test_distance_to_a_ball(point: tuple[float, float, float], distance: float) -> None:
    assert float(ellipsoid(Points.at(point), (0, 0, 0), (10, 10, 10))) == pytest.approx(distance, abs=1e-4)


def test_the_centre_of_an_ellipsoid_is_its_smallest_radius_deep() -> None:
    assert float(ellipsoid(Points.at((1, 2, 3)), (1, 2, 3), (4, 5, 6))) == -4


def test_an_ellipsoid_turns_counter_clockwise_seen_from_above() -> None:
    on_its_tip = Points.at((0, 20, 0))
    assert float(ellipsoid(on_its_tip, (0, 0, 0), (20, 5, 5), 90)) == pytest.approx(0, abs=1e-3)
    assert float(ellipsoid(on_its_tip, (0, 0, 0), (20, 5, 5))) > 10


@pytest.mark.parametrize(
    ("point", "distance"), [((5, 3, 0), 1.0), ((10, 0, 0), -4.0), ((13, 4, 0), 1.0), ((-5, 0, 0), 3)]
)
def test_distance_to_a_tube_that_widens(point: tuple[float, float, float], distance: float) -> None:
    # radius 2 at the start, 4 at the end: 3 in the middle; at (13, 4) the end ball of radius 4 is 5 away
    path = [(0.0, 0.0, 0.0), (10.0, 0.0, 0.0)]
    measured = float(tube(Points.at(point), path, [2, 4]))
    assert measured == pytest.approx(distance if point[0] != 5 else 0.0, abs=1e-4)


def test_distances_of_a_whole_grid_are_those_of_its_points() -> None:
    x, y, z = np.meshgrid(*(np.linspace(-30, 30, n, dtype=np.float32) for n in (40, 41, 42)), indexing="ij")
    distance = ellipsoid(Points(x, y, z), (3, 2, 1), (9, 12, 7), 30)
    some = (31, 7, 22)
    alone = ellipsoid(Points.at((x[some], y[some], z[some])), (3, 2, 1), (9, 12, 7), 30)
    assert distance.shape == (40, 41, 42)
    assert distance[some] == pytest.approx(float(alone), rel=1e-5)


def test_smooth_noise_has_unit_variance_and_neighbours_alike() -> None:
    axes = fine_axes((60, 60, 40), (2, 2, 5))
    noise = smooth_noise(np.random.default_rng(0), axes, 12.0)
    assert noise.shape == (120, 120, 40)
    assert noise.std() == pytest.approx(1, abs=0.05)
    assert np.abs(np.diff(noise, axis=0)).mean() < 0.15


def test_sheets_measure_the_distance_to_where_a_field_changes_sign() -> None:
    axis = np.arange(-10, 11, dtype=np.float32)
    field = np.broadcast_to((0.3 * (axis - 2.0))[:, None, None], (21, 5, 5)).astype(np.float32)
    distance = sheets(field, (axis, axis[:5], axis[:5]))
    assert distance[:, 2, 2] == pytest.approx(np.abs(axis - 2), abs=1e-2)


def test_a_pose_moves_the_body_by_little_and_folds_nothing() -> None:
    axes = fine_axes((32, 32, 8), (4, 4, 10))
    points = pose(np.random.default_rng(1), axes, 7.0, (3.0, 2.0, 6.0), 1.6)
    assert np.all(np.diff(points.x, axis=0) > 0)
    assert np.all(np.diff(points.y, axis=1) > 0)
    assert np.all(np.diff(points.z, axis=2) > 0)
    assert np.abs(points.x - axes[0][:, None, None]).max() < 25
