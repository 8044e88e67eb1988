"""The three channels that an encoder is shown of a slice."""

import numpy as np
import pytest
import torch

from zeusseg.inference.slices import SliceStack
from zeusseg.pretraining.slices import SlicedCase, draw_channels, planes_with_tissue, to_pixels


def case_of(modalities: int) -> SlicedCase:
    """Every pixel of modality m, plane p is 10 m + p."""
    values = 10.0 * torch.arange(modalities)[:, None] + torch.arange(4)
    images = values[:, :, None, None, None].expand(-1, -1, 3, 5, 1).half()
    stack = SliceStack(images, torch.ones(modalities, dtype=torch.bool), 2, (4, 3, 5))
    return SlicedCase(tuple("abcd"[:modalities]), stack, (0, 1, 2, 3))


def drawn(case: SlicedCase, plane: int, early: float) -> set[tuple[tuple[float, ...], int]]:
    found = (draw_channels(case, plane, early, np.random.default_rng(seed)) for seed in range(300))
    return {(tuple(channels[:, 0, 0].tolist()), modality) for channels, modality in found}


def test_one_modality_has_its_neighbours_or_itself_beside_it():
    both = {((0.0, 1.0, 2.0), 0), ((1.0, 1.0, 1.0), 0), ((10.0, 11.0, 12.0), 1), ((11.0, 11.0, 11.0), 1)}
    assert drawn(case_of(2), 1, early=0.0) == both


def test_the_edges_of_a_volume_repeat():
    assert drawn(case_of(1), 3, early=0.0) == {((2.0, 3.0, 3.0), 0), ((3.0, 3.0, 3.0), 0)}


def test_early_stacks_hold_several_modalities_and_the_darkest_value_for_absent_ones():
    stacks = drawn(case_of(3), 1, early=1.0)
    assert {modality for _, modality in stacks} == {-1}
    assert {tuple(sorted(values)) for values, _ in stacks} == {
        (1.0, 11.0, 21.0), (1.0, 1.0, 11.0), (1.0, 1.0, 21.0), (11.0, 11.0, 21.0)
    }
    assert len(stacks) == 6 + 3 * 3


def test_early_stacks_are_as_frequent_as_configured():
    rng = np.random.default_rng(0)
    early = sum(draw_channels(case_of(3), 1, 0.25, rng)[1] < 0 for _ in range(1000))
    assert early == pytest.approx(250, abs=50)


def test_colour_pictures_are_their_own_three_channels_or_grey():
    images = torch.tensor([1.0, 2.0, 6.0]).expand(1, 1, 3, 5, 3).half()
    case = SlicedCase(("rgb",), SliceStack(images, torch.ones(1, dtype=torch.bool), 2, (1, 3, 5)), (0,))
    assert drawn(case, 0, early=0.0) == {((1.0, 2.0, 6.0), 0), ((3.0, 3.0, 3.0), 0)}


def test_intensities_become_pixels_between_black_and_white():
    assert to_pixels(torch.tensor([-9.0, -2.5, 0.0, 1.25, 2.5, 9.0])).tolist() == [-1.0, -1.0, 0.0, 0.5, 1.0, 1.0]


def test_planes_of_air_do_not_teach():
    images = torch.zeros(1, 3, 4, 4, 1)
    images[0, 1, :2] = 1
    assert planes_with_tissue(SliceStack(images, torch.ones(1, dtype=torch.bool), 2, (3, 4, 4))) == (1,)
