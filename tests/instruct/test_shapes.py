"""Mask operations, checked against SciPy and by hand."""

import numpy as np
import pytest
from scipy import ndimage

from zeusseg.instruct.shapes import bounding_box, dilated, eroded, filled, largest_piece, opened, roundness

CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)[:, :, None]


@pytest.fixture
def mask():
    return np.random.default_rng(5).random((20, 17, 3)) > 0.4


def test_a_disc_of_one_is_the_cross_of_scipy(mask):
    assert (dilated(mask, 1) == ndimage.binary_dilation(mask, CROSS)).all()
    assert (eroded(mask, 1) == ndimage.binary_erosion(mask, CROSS, border_value=1)).all()


def test_opening_removes_a_line_and_keeps_a_disc():
    mask = np.zeros((15, 15, 1), dtype=bool)
    mask[:, 1] = True
    mask[7:12, 7:12] = True
    kept = opened(mask, 1)
    assert not kept[:, :4].any()
    assert kept[7:12, 9].all()


def test_holes_are_filled_plane_by_plane(mask):
    expected = np.stack([ndimage.binary_fill_holes(mask[:, :, k]) for k in range(3)], axis=2)
    assert (filled(mask) == expected).all()


def test_the_largest_piece_is_connected_by_faces_only():
    mask = np.zeros((6, 6, 1), dtype=bool)
    mask[0:2, 0:2] = True
    mask[2:5, 2:5] = True  # touches the first at a corner
    assert largest_piece(mask).sum() == 9
    assert not largest_piece(np.zeros((2, 2, 1), dtype=bool)).any()


def test_a_box_is_widened_in_plane_only_and_stays_on_the_grid():
    mask = np.zeros((10, 10, 4), dtype=bool)
    mask[1:3, 4, 2] = True
    assert bounding_box(mask, margin=2) == (slice(0, 5), slice(2, 7), slice(2, 3))


def test_a_disc_is_round_and_a_bar_is_not():
    x, y = np.indices((21, 21))
    disc = ((x - 10) ** 2 + (y - 10) ** 2 <= 64)[:, :, None]
    assert roundness(disc) > 0.97
    # A bar of 1 x 9 has the area of a disc of diameter 3.4, which holds the middle 3 of its 9 blocks.
    assert roundness(np.ones((1, 9, 1), dtype=bool)) == pytest.approx(3 / 9)
