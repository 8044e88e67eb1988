"""The body is found whatever the background is, and what gives no outline counts as a crop."""

import numpy as np
import pytest

from zeusseg.case import Volume
from zeusseg.instruct.foreground import find_foreground, work_grid

RNG = np.random.default_rng(2)
X, Y, _ = np.indices((60, 70, 6))
BODY = ((X - 30) / 22) ** 2 + ((Y - 35) / 28) ** 2 <= 1


def overlap(found: np.ndarray) -> float:
    return 2 * (found & BODY).sum() / (found.sum() + BODY.sum())


@pytest.mark.parametrize(
    ("name", "background", "tissue", "noise"),
    [
        ("uint8 MRI in noise", RNG.integers(0, 6, BODY.shape), 90, 10),
        ("z-scores on their least value", np.full(BODY.shape, -362), 40, 120),
        ("z-scores around a background of 0", np.zeros(BODY.shape), 0, 1.0),
    ],
)
def test_the_body_is_told_from_any_background(name, background, tissue, noise):
    image = np.where(BODY, tissue + RNG.normal(0, noise, BODY.shape), background).astype(np.float32)
    found = find_foreground(image, kind="nifti", is_ct=False)
    assert found.frame == "body"
    assert overlap(found.mask) > 0.95, name


def test_in_ct_everything_denser_than_air_is_body_and_gas_inside_too():
    image = np.where(BODY, 40.0, -1000.0).astype(np.float32)
    image[28:32, 30:40] = -1000.0
    found = find_foreground(image, kind="nifti", is_ct=True)
    assert found.frame == "body"
    assert (found.mask == BODY).mean() > 0.99
    assert found.mask[28:32, 30:40].all()


def test_an_image_full_of_tissue_is_a_crop_and_wholly_foreground():
    image = RNG.normal(300, 60, (36, 50, 35)).astype(np.float32)
    found = find_foreground(image, kind="nifti", is_ct=False)
    assert found.frame == "crop"
    assert found.mask.all()


def test_in_a_picture_the_black_margin_is_left_out():
    image = np.zeros((100, 80, 1), dtype=np.float32)
    image[20:80] = 90 + RNG.normal(0, 5, (60, 80, 1))
    found = find_foreground(image, kind="picture", is_ct=False)
    assert found.frame == "picture"
    assert found.mask[22:78].all()
    assert not found.mask[:18].any()


def test_the_work_grid_holds_block_means_and_says_how_large_a_block_is():
    array = np.arange(200 * 50 * 10, dtype=np.float64).reshape(200, 50, 10)
    volume = Volume.from_file(array, np.diag([0.5, 1.0, 3.0, 1.0]))
    grid = work_grid(volume, spacing_known=True)
    assert (grid.factors, grid.edges, grid.voxels_per_block) == ((3, 1, 1), (1.5, 1.0, 3.0), 3)
    assert grid.image.shape == (66, 50, 10)
    assert grid.image[1, 2, 3] == pytest.approx(array[3:6, 2, 3].mean())
    assert work_grid(volume, spacing_known=False).edges == (3.0, 1.0, 1.0)


def test_a_colour_picture_is_measured_in_grey():
    array = np.zeros((10, 12, 1, 3), dtype=np.uint8)
    array[..., 0] = 90
    volume = Volume.from_file(array, np.diag([-1.0, -1.0, 1.0, 1.0]), "picture")
    assert work_grid(volume, spacing_known=False).image == pytest.approx(np.full((10, 12, 1), 30.0))
