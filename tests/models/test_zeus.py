"""The whole model: shapes, subsets of modalities, and words, for every fusion."""

import pytest
import torch

from zeusseg.models.clicks import Clicks
from zeusseg.models.fusion import FUSIONS
from zeusseg.models.zeus import ZeusModel, count_parameters, distinct


def make(fusion: str, modalities: int = 3) -> ZeusModel:
    torch.manual_seed(0)
    return ZeusModel(modalities, 3, fusion=fusion, width=32, vision_channels=(8, 16, 16, 24)).eval()


def run(model: ZeusModel, images: torch.Tensor, present: torch.Tensor, texts: list[list[str]]):
    words, which = distinct(texts)
    with torch.inference_mode():
        return model(images, present, model.encode_text(words), which)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_gives_a_mask_and_a_presence_per_target_at_full_resolution(fusion):
    present = torch.tensor([[True, True, True], [False, True, False]])
    output = run(make(fusion), torch.randn(2, 3, 3, 48, 32), present, [["lesion", "liver"], ["lesion", "spleen"]])
    assert output.masks.shape == (2, 2, 48, 32)
    assert output.presence.shape == (2, 2)
    assert output.masks.isfinite().all()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_what_an_absent_modality_holds_is_never_seen(fusion):
    model, images = make(fusion), torch.randn(1, 3, 3, 32, 32)
    present = torch.tensor([[True, False, True]])
    other = images.clone()
    other[:, 1] = 1000.0
    first, second = (run(model, x, present, [["lesion"]]) for x in (images, other))
    torch.testing.assert_close(first.masks, second.masks)
    torch.testing.assert_close(first.presence, second.presence)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_present_modality_and_its_place_matter(fusion):
    model, images = make(fusion), torch.randn(1, 3, 3, 32, 32)
    everything = torch.ones(1, 3, dtype=torch.bool)
    masks = run(model, images, everything, [["lesion"]]).masks
    without = run(model, images, torch.tensor([[True, True, False]]), [["lesion"]]).masks
    permuted = run(model, images[:, [1, 0, 2]], everything, [["lesion"]]).masks
    assert not torch.allclose(masks, without)
    assert not torch.allclose(masks, permuted)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_sample_does_not_depend_on_the_others_in_its_batch(fusion):
    model, images = make(fusion), torch.randn(3, 3, 3, 32, 32)
    present = torch.tensor([[True, True, True], [False, True, False], [True, False, False]])
    together = run(model, images, present, [["a"], ["b"], ["c"]])
    for i, text in enumerate("abc"):
        alone = run(model, images[i : i + 1], present[i : i + 1], [[text]])
        torch.testing.assert_close(together.masks[i : i + 1], alone.masks, atol=1e-4, rtol=1e-4)


def test_targets_do_not_disturb_each_other():
    model, images, present = make("early"), torch.randn(1, 3, 3, 32, 32), torch.ones(1, 3, dtype=torch.bool)
    both = run(model, images, present, [["lesion", "liver"]]).masks
    swapped = run(model, images, present, [["liver", "lesion"]]).masks
    torch.testing.assert_close(both, swapped.flip(1))
    assert not torch.allclose(both[:, 0], both[:, 1])


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_parameter_learns(fusion):
    model = make(fusion).train()
    words, which = distinct([["lesion", ""], ["the left kidney", "liver"]])
    points, labels = torch.full((2, 2, 2, 2), 9.0), torch.tensor([0, 1]).expand(2, 2, 2)
    clicks = Clicks(points, labels, torch.tensor([2.0, 3.0, 20.0, 30.0]).expand(2, 2, 4))
    images, present = torch.randn(2, 3, 3, 32, 32), torch.ones(2, 3, dtype=torch.bool)
    output = model(images, present, model.encode_text(words), which, clicks)
    (output.masks.square().mean() + output.presence.square().mean()).backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []


def test_an_unknown_part_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown fusion 'middle': expected one of early, hybrid, late"):
        ZeusModel(2, 3, fusion="middle")


def test_parameters_are_counted_with_and_without_frozen_ones():
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))
    model[0].requires_grad_(False)
    assert count_parameters(model) == (3, 11)


def test_distinct_texts_are_listed_once():
    words, which = distinct([["a", "b"], ["b", "a"]])
    assert (words, which.tolist()) == (["a", "b"], [[0, 1], [1, 0]])
