"""Areas: what is compact and set off is found, what both sides have is not, a core gives way to the whole."""

from dataclasses import replace

import numpy as np

from zeusseg.instruct.areas import Area, Search, choose, find_areas
from zeusseg.instruct.signals import FLAIR, T1

SHAPE = (60, 70, 8)
X, Y, Z = np.indices(SHAPE)
BALL = ((X - 42) * 2.0) ** 2 + ((Y - 40) * 2.0) ** 2 + ((Z - 4) * 5.0) ** 2 < 12**2
SEARCH = Search(np.zeros(SHAPE, dtype=np.float32), None, np.ones(SHAPE, dtype=bool), FLAIR, noise=0.01, thin=2)


def searched(image, mirrored=None, signal=FLAIR):
    opposite = None if mirrored is None else mirrored.astype(np.float32)
    return replace(SEARCH, deviation=image.astype(np.float32), mirrored=opposite, signal=signal)


def test_a_ball_is_found_whole_and_with_its_contrast():
    area = choose(find_areas(searched(0.7 * BALL), "bright"), 3)[0]
    assert (area.mask & BALL).sum() > 0.9 * BALL.sum()
    assert (area.mask & ~BALL).sum() < 0.1 * BALL.sum()
    assert abs(area.contrast - 0.7) < 0.01
    assert find_areas(searched(0.7 * BALL), "dark") == []


def test_a_fold_is_too_thin_to_be_an_area():
    fold = (abs(X - 30 - 3 * np.sin(Y / 8)) < 1.6) & (Y > 10) & (Y < 60)
    assert find_areas(searched(0.7 * fold), "bright") == []
    assert find_areas(searched(-0.2 * fold, signal=T1), "dark") == []


def test_what_the_other_side_has_as_well_is_anatomy():
    assert find_areas(searched(0.7 * BALL, mirrored=0.7 * BALL), "bright") == []
    assert find_areas(searched(0.7 * BALL, mirrored=0.7 * np.roll(BALL, 25, axis=0)), "bright") != []


def test_an_ordinary_difference_between_tissues_and_fluid_are_no_areas():
    assert find_areas(searched(0.2 * BALL), "bright") == []  # grey against white matter in FLAIR
    assert find_areas(searched(-0.2 * BALL, signal=T1), "dark") != []
    assert find_areas(searched(-0.7 * BALL, signal=T1), "dark") == []  # fluid in T1


def test_noise_raises_the_bar():
    assert find_areas(replace(searched(0.35 * BALL), noise=0.3), "bright") == []


def area(start: int, stop: int, conspicuity: float) -> Area:
    mask = np.zeros((40, 1, 1), dtype=bool)
    mask[start:stop] = True
    return Area(mask, "dark", 0.3, conspicuity)


def test_the_most_conspicuous_of_overlapping_areas_is_chosen_up_to_the_number_asked_for():
    areas = [area(0, 10, 5), area(8, 16, 9), area(20, 24, 8), area(30, 34, 7)]
    assert choose(areas, 2) == [areas[1], areas[2]]


def test_what_is_far_less_conspicuous_than_the_first_is_left_unsaid():
    areas = [area(0, 10, 40), area(20, 30, 9)]
    assert choose(areas, 3) == areas[:1]


def test_a_core_gives_way_to_the_whole_unless_that_hardly_stands_out():
    core = area(10, 14, 10)
    assert choose([core, area(5, 20, 4)], 3)[0].mask.sum() == 15
    assert choose([core, area(5, 20, 3)], 3) == [core]
