"""The brain within scalp and skull, and shading that is evened out."""

import numpy as np
import pytest

from zeusseg.instruct.foreground import WorkGrid
from zeusseg.instruct.tissue import evened, inner_tissue, robust_deviation

X, Y, _ = np.indices((64, 80, 9))
RADIUS = np.hypot((X - 31.5) / 28, (Y - 39.5) / 36)
HEAD, BRAIN = RADIUS <= 1, RADIUS <= 0.82


def grid_of(image: np.ndarray) -> WorkGrid:
    return WorkGrid(image, (1, 1, 1), (2.5, 2.5, 5.0))


def test_scalp_and_skull_are_left_out_of_the_tissue():
    image = np.where(BRAIN, 100.0, np.where(RADIUS > 0.93, 220.0, 15.0)) * HEAD
    image = (image + np.random.default_rng(0).normal(0, 3, image.shape)).astype(np.float32)
    tissue = inner_tissue(HEAD, image, grid_of(image), background=0.0)
    assert not (tissue & (RADIUS > 0.9)).any()
    assert (tissue & BRAIN).sum() > 0.95 * BRAIN.sum()


def test_a_skull_stripped_brain_loses_only_its_outermost_blocks():
    image = np.where(BRAIN, 100.0, 0.0).astype(np.float32)
    tissue = inner_tissue(BRAIN, image, grid_of(image), background=0.0)
    assert 0.85 * BRAIN.sum() < tissue.sum() < BRAIN.sum()
    assert not (tissue & ~BRAIN).any()


def test_in_ct_bone_is_left_out_by_its_density():
    image = np.where(BRAIN, 35.0, np.where(RADIUS > 0.93, 40.0, 300.0)).astype(np.float32)
    image[~HEAD] = -200.0
    tissue = inner_tissue(HEAD, image, grid_of(image), background=None)
    assert not (tissue & ~BRAIN).any()
    assert tissue.sum() > 0.9 * BRAIN.sum()


def test_shading_is_evened_out_and_a_lesion_kept():
    shading = 100 * (1 + 0.3 * (X - 31.5) / 32 + 0.2 * ((Y - 39.5) / 40) ** 2)
    lesion = np.hypot(X - 45, Y - 45) < 5
    image = np.where(BRAIN, shading + 40 * lesion, 0).astype(np.float32)
    deviation = evened(image, BRAIN, scale=100.0)
    assert np.abs(deviation[BRAIN & ~lesion]).max() < 0.03
    assert np.median(deviation[lesion]) == pytest.approx(0.4, abs=0.03)
    assert not deviation[~BRAIN].any()


def test_the_robust_deviation_is_that_of_a_normal_distribution_without_its_outliers():
    values = np.random.default_rng(1).normal(5, 2, 20_000)
    values[:500] = 1e6
    assert robust_deviation(values) == pytest.approx(2.0, rel=0.08)
