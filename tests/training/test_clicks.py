"""Clicks and boxes drawn from reference masks; the expected pixels were found by hand."""

from dataclasses import replace

import pytest
import torch

from zeusseg.models.clicks import Clicks
from zeusseg.training.clicks import correction_clicks, drawn_boxes


def plane(*boxes: tuple[int, int, int, int]) -> torch.Tensor:
    """A mask (1, 1, 12, 16) of boxes (top, left, bottom, right), last pixels included."""
    mask = torch.zeros(1, 1, 12, 16)
    for top, left, bottom, right in boxes:
        mask[..., top : bottom + 1, left : right + 1] = 1
    return mask


def logits(mask: torch.Tensor) -> torch.Tensor:
    return 4.0 * mask - 2.0


@pytest.mark.parametrize(
    ("predicted", "reference", "point", "label"),
    [
        # A missed square of 5 x 5: its middle.
        (plane(), plane((2, 3, 6, 7)), [4, 5], 1),
        # A made-up bar of 3 x 7: depth 2 along its middle row, from the second column on.
        (plane((5, 6, 7, 12)), plane(), [6, 7], 0),
        # Of two missed squares the larger, though the other comes first.
        (plane(), plane((0, 0, 2, 2), (5, 8, 9, 12)), [7, 10], 1),
        # 9 pixels missed, 15 made up: the click says outside. What is right is no error.
        (plane((0, 0, 3, 3), (6, 0, 8, 4)), plane((0, 0, 3, 3), (6, 8, 8, 10)), [7, 1], 0),
        # Missed and made-up pixels that touch are two regions: 3 x 5 missed beside 3 x 3 made up.
        (plane((4, 6, 6, 8)), plane((4, 9, 6, 13)), [5, 10], 1),
        # At the image's edge, beyond is outside: the middle of a 3 x 3 corner, not the corner.
        (plane(), plane((0, 0, 2, 2)), [1, 1], 1),
        # Pixels that touch by a corner are one region: 2 + 2 pixels against 3.
        (plane(), plane((0, 0, 0, 1), (1, 2, 1, 3), (8, 3, 8, 5)), [0, 0], 1),
    ],
)
def test_a_click_lies_deepest_inside_the_largest_error(predicted, reference, point, label):
    clicks = correction_clicks(logits(predicted), reference)
    assert clicks.points[0, 0].tolist() == [point]
    assert clicks.labels[0, 0].tolist() == [label]
    assert clicks.boxes.isnan().all()


def test_each_target_has_its_own_click_and_a_right_mask_has_padding():
    reference = torch.cat([plane((2, 3, 6, 7)), plane(), plane((2, 3, 6, 7))], dim=1)
    predicted = torch.cat([plane((2, 3, 6, 7)), plane(), plane()], dim=1)
    clicks = correction_clicks(logits(predicted), reference)
    assert clicks.labels[0, :, 0].tolist() == [-1, -1, 1]
    assert clicks.points[0, :, 0].tolist() == [[0, 0], [0, 0], [4, 5]]


def test_a_click_never_lands_beside_the_error_even_where_the_error_is_hollow():
    ring = plane((2, 3, 8, 9)) - plane((3, 4, 7, 8))
    (row, column), = correction_clicks(logits(plane()), ring).points[0, 0].long().tolist()
    assert ring[0, 0, row, column] == 1


def test_no_gradient_flows_through_a_click():
    masks = logits(plane()).requires_grad_()
    assert not correction_clicks(masks, plane((2, 3, 6, 7))).points.requires_grad


def test_a_box_without_jitter_holds_exactly_the_mask():
    masks = torch.cat([plane((2, 3, 6, 9)), plane(), plane((1, 1, 1, 1), (11, 15, 11, 15))], dim=1)
    boxes = drawn_boxes(masks, torch.Generator().manual_seed(0), jitter=0.0)
    assert boxes[0, 0].tolist() == [2, 3, 6, 9]
    assert boxes[0, 1].isnan().all()
    assert boxes[0, 2].tolist() == [1, 1, 11, 15]


def test_edges_are_moved_by_up_to_the_jitter_of_the_side_but_not_beyond_the_image():
    masks = plane((1, 4, 11, 9)).expand(200, 1, -1, -1)
    boxes = drawn_boxes(masks, torch.Generator().manual_seed(0), jitter=0.2)[:, 0]
    # Sides of 10 and 5 pixels: moves of up to 2 and 1.
    low, high = boxes.amin(dim=0), boxes.amax(dim=0)
    assert low.tolist() == pytest.approx([0, 3, 9, 8], abs=0.1)
    assert high.tolist() == pytest.approx([3, 5, 11, 10], abs=0.1)
    assert (low[:2] >= 0).all()
    assert high[2] <= 11


def test_a_box_repeats_with_its_seed_whatever_the_other_masks_hold():
    filled, empty = plane((2, 3, 6, 9)), plane()
    first, second = (
        drawn_boxes(torch.cat([other, filled], dim=1), torch.Generator().manual_seed(3)) for other in (filled, empty)
    )
    assert torch.equal(first[:, 1], second[:, 1])
    assert not torch.equal(first[:, 1], drawn_boxes(filled, torch.Generator().manual_seed(4))[:, 0])


def test_boxes_of_single_pixels_and_of_none_are_boxes_that_clicks_take():
    masks = torch.cat([plane((3, 3, 3, 3)), plane()], dim=1)
    boxes = drawn_boxes(masks, torch.Generator().manual_seed(0), jitter=0.4)
    clicks = replace(Clicks.none(1, 2), boxes=boxes)
    assert clicks.boxes[0, 0].tolist() == [3, 3, 3, 3]
