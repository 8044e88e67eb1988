"""Clicks by themselves, and beside the words of our decoder."""

from dataclasses import replace

import pytest
import torch

from zeusseg.errors import UsageError
from zeusseg.models.clicks import ClickMap, Clicks, ClickTokens
from zeusseg.models.decoder import InstructionDecoder, PixelDecoder, pixel_positions

NO_BOX = [float("nan")] * 4
SIZE = (48, 32)
CHANNELS = (8, 12, 16)


def given(points: list[list[list[float]]], labels: list[list[int]], boxes: list[list[float]]) -> Clicks:
    """Clicks of one sample."""
    return Clicks(torch.tensor([points]).float(), torch.tensor([labels]), torch.tensor([boxes]))


ONE = given([[[10, 20]], [[0, 0]]], [[1], [-1]], [NO_BOX, NO_BOX])


def test_mirroring_moves_points_and_swaps_the_sides_of_boxes():
    clicks = given([[[3, 0]], [[2, 9]]], [[1], [0]], [NO_BOX, [1, 2, 4, 5]]).flipped(10)
    assert clicks.points[0].tolist() == [[[3, 9]], [[2, 0]]]
    assert clicks.boxes[0, 1].tolist() == [1, 4, 4, 7]
    assert clicks.boxes[0, 0].isnan().all()
    assert clicks.labels[0].tolist() == [[1], [0]]


def test_marks_are_points_and_corners_with_padding_where_there_is_none():
    places, kinds = given([[[3, 4]], [[7, 8]]], [[0], [-1]], [NO_BOX, [1, 2, 5, 6]]).marks()
    assert kinds[0].tolist() == [[0, -1, -1], [-1, 2, 3]]
    assert places[0].tolist() == [[[3, 4], [0, 0], [0, 0]], [[0, 0], [1, 2], [5, 6]]]


@pytest.mark.parametrize(
    ("points", "labels", "boxes", "reason"),
    [
        ([[[1, 2]]], [[1, 0]], [NO_BOX], "shapes"),
        ([[[1, 2]]], [[2]], [NO_BOX], "label is 1"),
        ([[[1, 2]]], [[1]], [[5, 2, 1, 6]], "top <= bottom"),
    ],
)
def test_what_is_no_click_is_refused(points, labels, boxes, reason):
    with pytest.raises(UsageError, match=reason):
        given(points, labels, boxes)


@pytest.mark.parametrize("factor", [1, 4, 16])
def test_a_click_has_the_code_of_the_pixel_under_it_on_a_map_of_any_scale(factor):
    tokens = ClickTokens(32)
    torch.nn.init.zeros_(tokens.kinds.weight)
    shape = (SIZE[0] // factor, SIZE[1] // factor)
    row, column = shape[0] - 1, 1
    # The middle of that pixel, in the image.
    point = [(row + 0.5) * factor - 0.5, (column + 0.5) * factor - 0.5]
    clicks = given([[point]], [[1]], [NO_BOX])
    said, there = tokens(clicks, SIZE, shape)
    positions = pixel_positions(torch.zeros(1, 1, *shape), 32)
    torch.testing.assert_close(said[0, 0, 0], positions[row * shape[1] + column])
    assert there[0, 0].tolist() == [True, False, False]


def test_kinds_of_marks_differ():
    tokens = ClickTokens(32)
    clicks = given([[[3, 4], [3, 4]]], [[0, 1]], [[3, 4, 3, 4]])
    said = tokens(clicks, SIZE, SIZE)[0][0, 0]
    assert (torch.cdist(said, said) + 10 * torch.eye(4)).min() > 0.1


def test_what_a_click_adds_fades_where_it_is_not_heard():
    clicks = ClickMap(8, 2)
    pixels, tokens = torch.randn(1, 5, 8), torch.randn(1, 2, 3, 8)
    none = torch.zeros(1, 2, 3, dtype=torch.bool)
    assert torch.equal(clicks(pixels, tokens, none), torch.zeros(1, 2, 5))
    some = none.clone()
    some[0, 1, 0] = True
    added = clicks(pixels, tokens, some)
    assert (added[0, 0] == 0).all()
    assert (added[0, 1] != 0).all()


def decoder_and_inputs():
    torch.manual_seed(0)
    decoder = InstructionDecoder(CHANNELS, 32).eval()
    pixels = [torch.randn(1, c, SIZE[0] // 2**i, SIZE[1] // 2**i) for i, c in enumerate(CHANNELS)]
    tokens, mask = torch.randn(1, 2, 5, 32), torch.ones(1, 2, 5, dtype=torch.bool)
    return decoder, (pixels, tokens, mask, tokens.mean(dim=2))


def test_a_click_changes_its_own_target_and_no_other():
    decoder, inputs = decoder_and_inputs()
    plain, clicked = decoder(*inputs), decoder(*inputs, ONE, SIZE)
    assert not torch.allclose(plain.masks[:, 0], clicked.masks[:, 0], atol=1e-3)
    torch.testing.assert_close(plain.masks[:, 1], clicked.masks[:, 1])
    torch.testing.assert_close(plain.presence[:, 1], clicked.presence[:, 1])


def test_no_clicks_padding_and_missing_boxes_are_all_the_same():
    decoder, inputs = decoder_and_inputs()
    plain = decoder(*inputs).masks
    torch.testing.assert_close(decoder(*inputs, Clicks.none(1, 2), SIZE).masks, plain)
    padding = replace(ONE, labels=torch.full((1, 2, 1), -1), points=torch.full((1, 2, 1, 2), torch.nan))
    torch.testing.assert_close(decoder(*inputs, padding, SIZE).masks, plain)


@pytest.mark.parametrize(
    "other",
    [
        given([[[10, 20]], [[0, 0]]], [[0], [-1]], [NO_BOX, NO_BOX]),
        given([[[20, 10]], [[0, 0]]], [[1], [-1]], [NO_BOX, NO_BOX]),
        given([[[10, 20]], [[0, 0]]], [[1], [-1]], [[5, 15, 15, 25], NO_BOX]),
    ],
    ids=["label", "place", "box"],
)
def test_label_place_and_box_matter(other):
    decoder, inputs = decoder_and_inputs()
    first, second = (decoder(*inputs, clicks, SIZE) for clicks in (ONE, other))
    assert not torch.allclose(first.masks[:, 0], second.masks[:, 0], atol=1e-3)
    assert not torch.allclose(first.queries[:, 0], second.queries[:, 0], atol=1e-4)


def test_clicks_need_the_size_of_their_image():
    decoder, inputs = decoder_and_inputs()
    with pytest.raises(UsageError, match="without the size"):
        decoder(*inputs, ONE)


def test_every_parameter_learns_from_words_with_clicks():
    decoder, inputs = decoder_and_inputs()
    clicks = given([[[10, 20]], [[5, 6]]], [[1], [0]], [NO_BOX, [2, 3, 20, 25]])
    output = decoder(*inputs, clicks, SIZE)
    (output.masks.square().mean() + output.presence.square().mean()).backward()
    assert [n for n, p in decoder.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_a_click_tells_apart_places_that_look_the_same():
    """Pixels without any content: a query dotted with them says the same everywhere, only the click can say where."""
    decoder, (pixels, *words) = decoder_and_inputs()
    alike = [torch.ones_like(scale) for scale in pixels]
    assert decoder(alike, *words).masks[0, 0].std() < 1e-5
    assert decoder(alike, *words, ONE, SIZE).masks[0, 0].std() > 1e-2


@pytest.mark.parametrize(
    "sizes", [[(24, 20), (13, 9), (5, 5)], [(14, 14), (14, 14), (14, 14)]], ids=["odd", "one stride"]
)
def test_scales_of_any_size_are_decoded_to_twice_the_finest(sizes):
    channels = (8, 8, 16)
    torch.manual_seed(0)
    pixels = PixelDecoder(channels, "group")
    decoded = pixels([torch.randn(1, c, *size) for c, size in zip(channels, sizes, strict=True)])
    finest = (2 * sizes[0][0], 2 * sizes[0][1])
    assert [tuple(x.shape[2:]) for x in decoded] == [finest, *sizes]
    assert [x.shape[1] for x in decoded] == [16, *channels]
    tokens, mask = torch.randn(1, 2, 5, 32), torch.ones(1, 2, 5, dtype=torch.bool)
    masks = InstructionDecoder(pixels.channels, 32)(decoded, tokens, mask, tokens.mean(dim=2)).masks
    assert masks.shape == (1, 2, *finest)
