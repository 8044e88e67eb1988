"""Text-to-pixel alignment, and the places of pixels that queries see."""

import math

import pytest
import torch

from zeusseg.models.alignment import TextPixelAlignment, alignment_loss
from zeusseg.models.decoder import COORDINATE_SCALE, with_coordinates
from zeusseg.models.zeus import ZeusModel

SMALL = {"vision_channels": (8, 16, 24), "width": 16}


def test_a_pixel_that_points_where_the_text_does_has_the_highest_logit():
    head = TextPixelAlignment(2, 2)
    with torch.no_grad():
        head.text.weight.copy_(torch.eye(2))
        head.text.bias.zero_()
        head.pixels.weight.copy_(torch.eye(2)[:, :, None, None])
        head.pixels.bias.zero_()
        pixels = torch.tensor([[3.0, 0.0, -1.0], [0.0, 5.0, 0.0]])[None, :, None]  # (1, 2, 1, 3)
        logits = head(pixels, torch.tensor([[[2.0, 0.0]]]))
    scale, bias = math.exp(2.0), -3.0
    assert logits.flatten().tolist() == pytest.approx([scale + bias, bias, -scale + bias], rel=1e-5)


def test_inside_and_outside_weigh_alike_however_small_the_mask():
    logits = torch.tensor([0.0, 0.0, 0.0, 2.0]).reshape(1, 1, 2, 2)
    masks = torch.tensor([0, 0, 0, 1]).reshape(1, 1, 2, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    inside, outside = math.log(1 + math.exp(-2)), math.log(2)
    assert float(alignment_loss(logits, masks)) == pytest.approx((inside + outside) / 2, rel=1e-5)


def test_absent_words_have_an_outside_alone():
    assert float(alignment_loss(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 4, 4))) == pytest.approx(math.log(2))


@pytest.mark.parametrize("fusion", ["early", "hybrid", "late"])
def test_a_model_aligns_in_training_only(fusion):
    torch.manual_seed(0)
    model = ZeusModel(2, 1, fusion=fusion, alignment=True, **SMALL)
    images, present = torch.randn(2, 2, 1, 16, 20), torch.ones(2, 2, dtype=torch.bool)
    which = torch.zeros(2, 3, dtype=torch.long)
    texts = model.encode_text(["lesion"])
    output = model(images, present, texts, which)
    assert output.alignment.shape == (2, 3, 4, 5)
    output.alignment.sum().backward()
    assert model.text.subwords.weight.grad.abs().sum() > 0
    assert model.eval()(images, present, texts, which).alignment is None


def test_places_run_from_edge_to_edge():
    seen = with_coordinates(torch.zeros(1, 1, 3, 5))
    assert seen.shape == (1, 3, 3, 5)
    assert seen[0, 1, :, 0].tolist() == [-COORDINATE_SCALE, 0.0, COORDINATE_SCALE]
    assert seen[0, 2, 0].tolist() == pytest.approx([-4.0, -2.0, 0.0, 2.0, 4.0])


def test_with_coordinates_a_blank_image_can_have_a_mask_on_one_side():
    """Nothing else in a blank image tells left from right."""
    torch.manual_seed(0)
    model = ZeusModel(1, 1, coordinates=True, **SMALL)
    wanted = torch.zeros(1, 1, 16, 16)
    wanted[..., :8] = 1
    images, present = torch.zeros(1, 1, 1, 16, 16), torch.ones(1, 1, dtype=torch.bool)
    which = torch.zeros(1, 1, dtype=torch.long)
    optimizer = torch.optim.Adam(model.decoder.parameters(), 1e-2)
    for _ in range(30):
        masks = model(images, present, model.encode_text(["left"]), which).masks
        loss = torch.nn.functional.binary_cross_entropy_with_logits(masks, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert ((masks > 0) == (wanted > 0)).float().mean() > 0.95


def test_sams_decoder_takes_no_coordinates():
    with pytest.raises(ValueError, match="SAM's has its own"):
        ZeusModel(1, 1, decoder="sam", coordinates=True, **SMALL)
