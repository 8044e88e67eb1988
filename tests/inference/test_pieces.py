"""Pieces of drawn masks, whose side, size and signal are known."""

import numpy as np
import pytest

from helpers.heads import SHAPE, ball, head
from zeusseg.case import Case, Volume
from zeusseg.inference.pieces import measure_pieces, view_of


def pieces_of(mask, case, modalities=()):
    return measure_pieces(mask, case, view_of(case), modalities)


@pytest.mark.parametrize(
    ("x", "sides"),
    [
        (16, {"left"}),
        (43, {"right"}),
        (29.5, {"left", "right", "midline"}),
        # A little off the middle: most of it is on the left, but a good part is not.
        (27.5, {"left", "right", "midline"}),
    ],
)
def test_the_side_is_the_patients_and_what_lies_across_is_on_both(x, sides):
    case = head(t1=[])
    (piece,) = pieces_of(ball(x, 30), case)
    assert piece.sides == sides


def test_the_side_does_not_change_with_the_grid_that_is_measured_on():
    case = head(t1=[])
    fine = {"t1": Volume.from_file(np.repeat(np.repeat(case.images["t1"].array, 3, 0), 3, 1), np.diag([1, 1, 6, 1]))}
    mask = np.repeat(np.repeat(ball(17, 30), 3, 0), 3, 1)
    (piece,) = pieces_of(mask, Case("c", "p", fine))
    (coarse,) = pieces_of(ball(17, 30), case)
    assert piece.sides == coarse.sides == {"left"}
    assert piece.volume_ml == pytest.approx(coarse.volume_ml)
    assert piece.share == pytest.approx(coarse.share, rel=0.05)


def test_size_is_that_of_the_ball_of_the_same_volume():
    mask = ball(16, 30, radius_mm=15)
    (piece,) = pieces_of(mask, head(t1=[]))
    assert piece.volume_ml == pytest.approx(mask.sum() * 54 / 1000)
    assert piece.diameter == pytest.approx(30, rel=0.05)
    assert piece.share == pytest.approx(mask.sum() / (np.pi * 24 * 30 * 8), rel=0.05)


def test_the_largest_piece_comes_first_and_crumbs_are_left_out():
    large, small = ball(16, 30, radius_mm=18), ball(43, 30, radius_mm=9)
    crumb = np.zeros(SHAPE, dtype=bool)
    crumb[30, 50, 4] = True
    found = pieces_of(large | small | crumb, head(t1=[]))
    assert [(piece.voxels, piece.sides) for piece in found] == [(large.sum(), {"left"}), (small.sum(), {"right"})]


@pytest.mark.parametrize("radius_mm", [6, 24])
def test_signal_is_that_of_the_piece_against_what_is_around_it(radius_mm):
    mask, other = ball(16, 34, radius_mm=radius_mm), ball(43, 34, radius_mm=radius_mm)
    case = head(flair=[(mask, 180), (other, 30)], t1=[(mask, 60), (other, 180)], t2=[])
    left, right = sorted(pieces_of(mask | other, case, ("flair", "t1", "t2")), key=lambda p: "right" in p.sides)
    assert left.polarity == {"flair": "bright", "t1": "dark", "t2": None}
    assert right.polarity == {"flair": "dark", "t1": "bright", "t2": None}


def test_air_is_not_around_a_piece():
    x, y, _ = np.indices(SHAPE)
    from_centre = ((x - 29.5) / 24) ** 2 + ((y - 34.5) / 30) ** 2
    rim = (from_centre <= 1) & (from_centre > 0.85) & (x < 20) & (abs(y - 34.5) < 12)
    (piece,) = pieces_of(rim, head(flair=[(rim, 60)]), ("flair",))
    assert piece.polarity == {"flair": "dark"}


def test_the_rest_of_the_mask_is_not_around_a_piece():
    x, y, _ = np.indices(SHAPE)
    from_axis = np.hypot(x - 18, y - 34)
    core, shell = from_axis <= 2, (from_axis >= 4) & (from_axis <= 6)
    *_, piece = pieces_of(core | shell, head(flair=[(core, 60), (shell, 20)]), ("flair",))
    assert piece.voxels == core.sum()
    assert piece.polarity == {"flair": "dark"}


def test_in_a_crop_there_are_no_sides_and_without_a_spacing_no_millilitres():
    case = head(t1=[])
    cropped = {"t1": Volume.from_file(case.images["t1"].array[15:45, 15:45], case.images["t1"].affine)}
    (piece,) = pieces_of(ball(24, 30)[15:45, 15:45], Case("c", "p", cropped, spacing_known=False))
    assert (piece.sides, piece.volume_ml) == (frozenset(), None)
    assert piece.diameter == pytest.approx(2 * (3 * piece.voxels / (4 * np.pi)) ** (1 / 3))


def test_of_a_picture_grey_is_measured_and_the_rest_is_not_told():
    pixels = np.full((40, 30, 1, 3), 120, dtype=np.uint8)
    pixels[10:18, 10:18] = (20, 30, 40)
    volume = Volume.from_file(pixels, np.diag([-1.0, -1.0, 1.0, 1.0]), "picture")
    mask = np.zeros(volume.shape, dtype=bool)
    mask[volume.array[..., 0] == 20] = True
    (piece,) = pieces_of(mask, Case("c", "p", {"rgb": volume}), ("rgb",))
    assert (piece.sides, piece.volume_ml, piece.polarity) == (frozenset(), None, {"rgb": "dark"})
    assert piece.share == pytest.approx(64 / 1200)
