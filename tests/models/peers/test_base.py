import pytest
import torch

from zeusseg.models.peers.base import PeerModel
from zeusseg.models.text import TextTokens

HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class Echo(PeerModel):
    """Its mask is the first channel of what the network reads, plus the number of letters of the text."""

    def __init__(self, size, pixels=((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))):
        super().__init__({"size": size}, pixels)

    @classmethod
    def load(cls, weights, changes, *, frozen=None):
        return cls(**changes)

    def encode_text(self, texts):
        letters = torch.tensor([[float(len(text))] for text in texts])
        return TextTokens(letters[:, None], torch.ones(len(texts), 1, dtype=torch.bool), letters)

    def segment(self, pixels, words):
        self.seen = pixels
        return pixels[:, :1] + words.pooled[..., None]


def ask(model, images, texts=("",), which=((0,),)):
    """`images` (b, 3, h, w) of intensities within the window of -2.5 to 2.5."""
    which = torch.tensor(which).expand(len(images), -1)
    return model(images[:, None], torch.ones(len(images), 1, dtype=torch.bool), model.encode_text(texts), which)


def pictures(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 4 - 2


def test_a_wide_picture_is_padded_above_and_below_with_its_own_darkest_value():
    model = Echo(8)
    images = pictures(2, 3, 4, 8)
    ask(model, images)
    shown = (images + 2.5) / 5
    torch.testing.assert_close(model.seen[:, :, 2:6], shown)
    for picture, seen in zip(shown, model.seen, strict=True):
        torch.testing.assert_close(seen[:, [0, 1, 6, 7]], picture.min().expand(3, 4, 8))


def test_a_tall_picture_is_padded_left_and_right_the_odd_column_at_the_right():
    model = Echo(6)
    images = pictures(1, 3, 6, 3)
    ask(model, images)
    torch.testing.assert_close(model.seen[..., 1:4], (images + 2.5) / 5)


def test_a_square_in_a_wide_picture_stays_a_square_in_what_the_network_reads():
    images = torch.full((1, 3, 20, 40), -2.5)
    images[..., 4:12, 16:24] = 2.5
    model = Echo(20)
    ask(model, images)
    # Half the size, and 10 rows above: rows (10 + 4) / 2 to (10 + 12) / 2, columns 16 / 2 to 24 / 2.
    expected = torch.zeros(20, 20, dtype=torch.bool)
    expected[7:11, 8:12] = True
    assert torch.equal(model.seen[0, 0] > 0.5, expected)


@pytest.mark.parametrize("shape", [(4, 8), (8, 3), (8, 8), (5, 8)])
def test_masks_come_back_on_the_pixels_of_the_picture(shape):
    images = pictures(2, 3, *shape)
    torch.testing.assert_close(ask(Echo(8), images).masks, (images[:, :1] + 2.5) / 5)


@pytest.mark.parametrize("size", [24, 96])
def test_masks_come_back_where_things_are_when_the_network_reads_another_size(size):
    images = torch.full((1, 3, 24, 48), -2.5)
    images[..., 6:18, 30:42] = 2.5
    mask = ask(Echo(size), images).masks[0, 0]
    assert mask.shape == (24, 48)
    # Resampling rounds the corners and leaves the middle of each side where it is.
    assert (mask[12] > 0.5).nonzero().flatten().tolist() == list(range(30, 42))
    assert (mask[:, 36] > 0.5).nonzero().flatten().tolist() == list(range(6, 18))


@pytest.mark.parametrize(("intensity", "pixel"), [(-2.5, -1.0), (0.0, 0.0), (2.5, 1.0), (9.0, 1.0), (-9.0, -1.0)])
def test_the_window_becomes_the_range_of_the_networks_own_pixels(intensity, pixel):
    model = Echo(4, HALVES)
    ask(model, torch.full((1, 3, 4, 4), intensity))
    torch.testing.assert_close(model.seen, torch.full((1, 3, 4, 4), pixel))


def test_every_target_gets_the_mask_of_its_own_text():
    images = torch.full((1, 3, 4, 4), -2.5)
    masks = ask(Echo(4), images, ("ab", "abcde"), ((1, 0, 1),)).masks
    assert masks[0, :, 0, 0].tolist() == [5, 2, 5]


def test_presence_is_that_of_the_surest_pixel_of_the_picture_not_of_its_padding():
    images = torch.full((1, 3, 4, 8), -2.5)
    images[0, 0, 3, 2] = 0.5  # (0.5 + 2.5) / 5 = 0.6
    output = ask(Echo(8), images, ("", "abc"), ((0, 1),))
    torch.testing.assert_close(output.presence, torch.tensor([[0.6, 3.6]]))

    class Framed(Echo):
        def segment(self, pixels, words):
            masks = super().segment(pixels, words)
            masks[:, :, 0] = 100
            return masks

    torch.testing.assert_close(ask(Framed(8), images).presence, torch.tensor([[0.6]]))


def test_pixel_statistics_are_no_part_of_its_state():
    assert Echo(4).state_dict() == {}
