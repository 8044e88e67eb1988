"""Random views: where they look, which way round, and in what contrast."""

import numpy as np
import pytest
import torch

from zeusseg.pretraining.views import CROPS, STRETCH, apply_view, change_appearance, draw_view


def test_a_view_says_whether_it_mirrors_left_and_right():
    ramp = torch.linspace(-1, 1, 60).expand(1, 40, 60)
    seen = set()
    for seed in range(40):
        view, mirrored = draw_view((40, 60), np.random.default_rng(seed))
        values = apply_view(ramp, view, 32)[0]
        assert (values[:, -1].mean() < values[:, 0].mean()) == mirrored
        seen.add(mirrored)
    assert seen == {True, False}


def test_views_stay_within_the_slice_and_are_as_large_as_they_should_be():
    for seed in range(100):
        view, _ = draw_view((40, 60), np.random.default_rng(seed))
        pixels = view[:, :2] * torch.tensor([60.0, 40.0])[:, None]
        area = float(torch.linalg.det(pixels).abs()) ** 0.5 / 40
        assert CROPS[0] - 1e-5 <= area <= CROPS[1] + 1e-5
        # The middle of the view stays so far inside that without a turn nothing beyond the slice shows.
        scale = torch.linalg.norm(pixels, dim=1) / torch.tensor([60.0, 40.0])
        assert bool((view[:, 2].abs() <= (1 - scale).clamp(min=0) + STRETCH - 1).all())


def test_image_and_labels_are_seen_through_the_same_view():
    labels = torch.zeros(1, 40, 60)
    labels[0, 10:30, 20:50] = 7
    view, _ = draw_view((40, 60), np.random.default_rng(3))
    nearest, linear = apply_view(labels, view, 64, "nearest"), apply_view(labels, view, 64)
    assert set(nearest.unique().tolist()) == {0.0, 7.0}
    assert float(((nearest > 3.5) == (linear > 3.5)).float().mean()) > 0.98


@pytest.mark.parametrize("each_channel", [False, True])
def test_contrast_changes_every_channel_alike_unless_they_are_modalities(each_channel):
    pixels = torch.linspace(-1, 1, 64).reshape(1, 8, 8).expand(3, -1, -1)
    alike = []
    for seed in range(30):
        changed = change_appearance(pixels, each_channel, np.random.default_rng(seed))
        assert -1 <= float(changed.min()) <= float(changed.max()) <= 1
        assert not torch.equal(changed, pixels)
        alike.append(torch.equal(changed[0], changed[1]))
    # Noise, in three of ten, is every channel's own.
    assert any(alike) != each_channel
    assert not all(alike)
