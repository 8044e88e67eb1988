"""What of a pretrained vision encoder is trained, kept and taken back."""

import pytest
import torch

from helpers.backbones import CONVOLUTIONAL, PLAIN, load, picture, same
from helpers.encoders import VISION_KINDS
from zeusseg.errors import UsageError

pytestmark = pytest.mark.usefixtures("seeded")


@pytest.mark.parametrize("kind", VISION_KINDS)
def test_a_frozen_encoder_stays_as_it_is_and_what_follows_it_learns(folders, kind):
    backbone = load(folders, kind)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    image = picture(backbone, batch=2)
    maps = backbone(image)
    backbone.train()
    same(backbone(image), maps, rtol=0, atol=0)
    same(backbone.state_dict().values(), before.values(), rtol=0, atol=0)
    assert not backbone.trains
    assert not any(p.requires_grad for p in backbone.parameters())
    follower = torch.nn.Conv2d(backbone.channels[0], 1, 1)
    follower(backbone(image)[0]).sum().backward()
    assert follower.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", VISION_KINDS)
def test_unfreezing_trains_the_last_blocks_and_nothing_else(folders, kind):
    backbone = load(folders, kind, unfrozen_blocks=1)
    assert backbone.trains
    backbone.train()
    sum(found.square().sum() for found in backbone(picture(backbone))).backward()
    reached = {id(p) for p in backbone.parameters() if p.grad is not None}
    assert reached == {id(p) for p in backbone.blocks[-1].parameters()}
    assert len(backbone.trained_state()) == len(list(backbone.blocks[-1].parameters()))


def test_the_last_block_of_a_small_vit_has_the_parameters_counted_by_hand(folders):
    state = load(folders, "vit", unfrozen_blocks=2).trained_state()
    # Four projections, two norms, and the two layers of the perceptron.
    assert sum(p.numel() for p in state.values()) == 2 * (4 * (32 * 32 + 32) + 4 * 32 + 2 * 32 * 64 + 64 + 32)


# kind: how many matrices get low-rank changes: queries and values of four blocks (SAM: one fused matrix; Swin: five)
LORA = dict.fromkeys(PLAIN, 8) | {"sam": 4, "swin": 10}


@pytest.mark.parametrize("kind", LORA)
def test_lora_trains_changes_of_queries_and_values_that_start_at_nothing(folders, kind):
    backbone = load(folders, kind, lora_rank=2)
    image = picture(backbone)
    same(backbone(image), load(folders, kind)(image))
    state = backbone.trained_state()
    assert len(state) == 2 * LORA[kind]
    assert all(".lora_" in name and 2 in value.shape for name, value in state.items())
    assert not [name for name in state if any(part in name for part in ("k_proj", "key", "o_proj", "out", "fc"))]
    backbone.train()
    sum(found.square().sum() for found in backbone(image)).backward()
    assert {name for name, p in backbone.encoder.named_parameters() if p.grad is not None} == set(state)


@pytest.mark.parametrize("kind", CONVOLUTIONAL)
def test_lora_is_refused_where_there_is_no_attention(folders, kind):
    with pytest.raises(UsageError, match="has none: train its last stages instead"):
        load(folders, kind, lora_rank=2)


@pytest.mark.parametrize("options", [{"lora_rank": 2}, {"unfrozen_blocks": 2}])
def test_what_was_trained_is_kept_and_taken_back(folders, options):
    backbone = load(folders, "siglip", **options)
    image = picture(backbone)
    before = backbone(image)
    with torch.no_grad():
        for p in backbone.parameters():
            p.add_(0.1 * torch.randn_like(p) * p.requires_grad)
    trained = [found.detach() for found in backbone(image)]
    assert not torch.allclose(before[-1], trained[-1])
    fresh = load(folders, "siglip", **options)
    fresh.load_trained_state(backbone.trained_state())
    same(fresh(image), trained)


def test_what_was_trained_otherwise_is_refused(folders):
    state = load(folders, "vit", unfrozen_blocks=1).trained_state()
    with pytest.raises(ValueError, match="of another encoder or adaptation"):
        load(folders, "vit", unfrozen_blocks=2).load_trained_state(state)


@pytest.mark.parametrize("count", [-1, 5])
def test_more_blocks_than_there_are_cannot_be_trained(folders, count):
    with pytest.raises(UsageError, match="the encoder has 4"):
        load(folders, "vit", unfrozen_blocks=count)


def test_blocks_and_lora_are_not_trained_together(folders):
    with pytest.raises(UsageError, match="not both"):
        load(folders, "vit", unfrozen_blocks=1, lora_rank=1)
