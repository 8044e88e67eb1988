"""The tasks: hidden patches are hidden, undefined attributes are not asked, and losses are what the papers say."""

import math

import pytest
import torch

from zeusseg.pretraining.encoder import make_encoder
from zeusseg.pretraining.fit import learning_rate, measure_statistics
from zeusseg.pretraining.samples import ImageBatch, PhantomBatch
from zeusseg.pretraining.tasks import (
    Pretraining,
    attribute_loss,
    reconstruction_loss,
    segmentation_losses,
    to_patches,
)


@pytest.fixture(params=["vit-small-16", "resnet-18"])
def model(request, tiny_config) -> Pretraining:
    torch.manual_seed(0)
    config = tiny_config(request.param)
    return Pretraining(make_encoder(config.encoder, 64, config.encoder_config), 64).train()


def images() -> ImageBatch:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.stack([torch.randperm(16, generator=generator) < 10 for _ in range(2)])
    return ImageBatch(torch.randn(2, 3, 64, 64, generator=generator).clamp(-1, 1), hidden)


def pixels_of(hidden: torch.Tensor) -> torch.Tensor:
    return hidden.reshape(-1, 1, 4, 4).repeat_interleave(16, 2).repeat_interleave(16, 3)


def test_what_is_hidden_is_not_seen(model):
    batch = images()
    other = ImageBatch(batch.pixels.masked_fill(pixels_of(batch.hidden), 0.7), batch.hidden)
    assert torch.equal(model.fill_in(batch), model.fill_in(other))
    seen = ImageBatch(batch.pixels.masked_fill(~pixels_of(batch.hidden), 0.7), batch.hidden)
    assert not torch.allclose(model.fill_in(batch), model.fill_in(seen))


def test_filling_in_gives_a_value_for_every_pixel_and_keeps_the_memory_of_batches(model):
    before = {name: value.clone() for name, value in model.encoder.named_buffers()}
    assert model.fill_in(images()).shape == (2, 16, 3 * 256)
    after = dict(model.encoder.named_buffers())
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_every_weight_of_the_encoder_learns(model):
    phantoms = PhantomBatch(images().pixels, torch.arange(64).div(8, rounding_mode="floor").expand(2, 64, 64),
                            torch.zeros(2, 5, dtype=torch.long))
    torch.stack(list(model(phantoms, images()).values())).sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_visible_patches_go_through_a_vit_alone(tiny_config):
    encoder = make_encoder("vit-small-16", 64, tiny_config().encoder_config).eval()
    batch = images()
    assert encoder.encode_visible(batch.pixels, batch.hidden).shape == (2, 1 + 6, 32)
    # Nothing hidden: the tokens that the whole image has.
    whole = encoder.encode_visible(batch.pixels, torch.zeros_like(batch.hidden))
    torch.testing.assert_close(whole, encoder.model(batch.pixels).last_hidden_state)


def test_statistics_are_measured_over_whole_images_of_both_streams(tiny_config):
    config = tiny_config("resnet-18")
    model = Pretraining(make_encoder("resnet-18", 64, config.encoder_config), 64)

    class Two:
        def phantom_batch(self, step):
            return PhantomBatch(torch.full((3, 3, 64, 64), step / 50), None, None)

        def image_batch(self, step):
            return ImageBatch(torch.full((3, 3, 64, 64), -step / 25), None)

    norm = next(part for part in model.encoder.modules() if isinstance(part, torch.nn.BatchNorm2d))
    means = []
    norm.register_forward_pre_hook(lambda module, inputs: means.append(inputs[0].mean(dim=(0, 2, 3))))
    momentum = norm.momentum
    measure_statistics(model, Two(), 0, torch.device("cpu"))
    assert len(means) == 25
    torch.testing.assert_close(norm.running_mean, torch.stack(means).mean(dim=0).detach())
    assert norm.momentum == momentum


def test_the_reconstruction_counts_hidden_patches_normalised_by_themselves():
    batch = images()
    patches = to_patches(batch.pixels)
    variance, mean = patches.var(dim=-1, keepdim=True), patches.mean(dim=-1, keepdim=True)
    perfect = (patches - mean) / (variance + 1e-3).sqrt()
    assert float(reconstruction_loss(perfect, batch)) == pytest.approx(0, abs=1e-9)
    assert float(reconstruction_loss(perfect + 2, batch)) == pytest.approx(4, rel=1e-4)
    assert float(reconstruction_loss(perfect + 2 * ~batch.hidden[..., None], batch)) == pytest.approx(0, abs=1e-9)


def test_patches_are_numbered_row_by_row():
    pixels = torch.zeros(1, 3, 32, 64)
    pixels[:, :, 16:, 32:48] = 1
    assert to_patches(pixels).sum(dim=-1).tolist() == [[0, 0, 0, 0, 0, 0, 3 * 256, 0]]


def test_segmentation_losses_by_hand():
    labels = torch.zeros(1, 4, 4, dtype=torch.long)
    labels[0, :2] = 3
    cross_entropy, dice = segmentation_losses(torch.zeros(1, 10, 4, 4), labels)
    assert float(cross_entropy) == pytest.approx(math.log(10))
    # The structure fills 8 of 16 pixels, and every pixel is given a tenth: 2 x 0.8 / (1.6 + 8).
    assert float(dice) == pytest.approx(1 - 1.6 / 9.6)
    sure = torch.nn.functional.one_hot(labels, 10).permute(0, 3, 1, 2) * 50.0
    assert [float(loss) for loss in segmentation_losses(sure, labels)] == pytest.approx([0, 0], abs=1e-5)
    assert float(segmentation_losses(torch.zeros(1, 10, 4, 4), labels * 0)[1]) == 0


def test_rare_structures_count_more_than_their_pixels():
    labels = torch.zeros(1, 4, 4, dtype=torch.long)
    labels[0, 0, :1] = 3
    # Every pixel is said to be background with 3/4 and the structure with 1/4.
    logits = torch.full((1, 10, 4, 4), -50.0)
    logits[:, 0], logits[:, 3] = math.log(0.75), math.log(0.25)
    background, structure = 15 * math.sqrt(16 / 15), 1 * math.sqrt(16 / 1)
    expected = -(background * math.log(0.75) + structure * math.log(0.25)) / (background + structure)
    assert float(segmentation_losses(logits, labels)[0]) == pytest.approx(expected)


def test_attributes_that_are_not_defined_are_not_asked():
    logits = torch.zeros(2, 5 + 2 + 3 + 3 + 3)
    one = torch.tensor([[-1, 1, -1, -1, -1], [-1, -1, -1, -1, -1]])
    assert float(attribute_loss(logits, one)) == pytest.approx(math.log(2))
    two = torch.tensor([[4, 1, -1, -1, -1], [-1, 0, -1, -1, -1]])
    assert float(attribute_loss(logits, two)) == pytest.approx((math.log(5) + math.log(2)) / 2)
    assert float(attribute_loss(logits, torch.full((2, 5), -1))) == 0


def test_the_learning_rate_rises_for_a_tenth_and_falls_to_nothing(tiny_config):
    config = tiny_config(steps=100, learning_rate=1.0)
    rates = [learning_rate(step, config) for step in (0, 9, 10, 55, 99)]
    assert rates == pytest.approx([0.1, 1.0, 1.0, 0.5, 0.0003], abs=1e-4)
