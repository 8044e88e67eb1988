"""The whole model on every kind of pretrained encoder: all fusions, both decoders, any subset of modalities."""

import itertools

import pytest
import torch

from helpers.encoders import VISION_KINDS
from helpers.text_encoders import tiny_text
from zeusseg.models.clicks import Clicks
from zeusseg.models.fusion import FUSIONS
from zeusseg.models.neck import Features
from zeusseg.models.zeus import ZeusModel, count_parameters, distinct

DECODERS = ("instruction", "sam")
SUBSETS = torch.tensor([[True, True, True, True], [False, True, False, False], [True, False, False, True]])


def make(folder, fusion: str, decoder: str = "instruction", **more) -> ZeusModel:
    torch.manual_seed(0)
    return ZeusModel(
        4, 3, fusion=fusion, vision=f"pretrained:{folder}", decoder=decoder, width=32, vision_channels=(8, 8, 16),
        norm="group", **more,
    ).eval()


def images_for(model: ZeusModel) -> torch.Tensor:
    return torch.randn(3, 4, 3, 2 * model.stride, 3 * model.stride, generator=torch.Generator().manual_seed(1))


def ask(model: ZeusModel, images, present, clicks=None):
    words, which = distinct([["lesion", "liver"], ["lesion", "the left kidney"], ["liver", "lesion"]][: len(present)])
    with torch.inference_mode():
        return model(images, present, model.encode_text(words), which, clicks)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("kind", VISION_KINDS)
def test_any_subset_gives_masks_of_the_image_s_size_and_what_is_absent_is_never_seen(folders, kind, fusion, decoder):
    model = make(folders[kind], fusion, decoder)
    images = images_for(model)
    output = ask(model, images, SUBSETS)
    assert output.masks.shape == (3, 2, *images.shape[-2:])
    assert output.presence.shape == (3, 2)
    assert output.masks.isfinite().all()
    other = torch.where(SUBSETS[:, :, None, None, None], images, 1000.0)
    torch.testing.assert_close(ask(model, other, SUBSETS).masks, output.masks)
    fewer = SUBSETS.clone()
    fewer[0, 2] = False
    assert not torch.allclose(ask(model, images, fewer).masks[0], output.masks[0])


@pytest.mark.parametrize(("fusion", "decoder"), itertools.product(FUSIONS, DECODERS))
def test_features_in_place_of_images_give_the_same_masks(folders, fusion, decoder):
    model = make(folders["vit"], fusion, decoder)
    images = images_for(model)
    maps = [torch.zeros(3, model.slots, c, 2, 3) for c in model.backbone.channels]
    for sample, present in enumerate(SUBSETS):
        for slot, _ in model.encoder_slots(present):
            seen = model.backbone(model.encoder_image(images[sample], present, slot)[None])
            for feature, found in zip(maps, seen, strict=True):
                feature[sample, slot] = found[0]
    features = Features(maps, (images.shape[-2], images.shape[-1]))
    found, expected = vars(ask(model, features, SUBSETS)), vars(ask(model, images, SUBSETS))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("fusion", "decoder"), itertools.product(FUSIONS, DECODERS))
def test_what_is_not_frozen_learns_and_what_is_frozen_is_no_part_of_the_state(folders, fusion, decoder):
    model = make(folders["vit"], fusion, decoder).train()
    words, which = distinct([["lesion", ""], ["the left kidney", "liver"]])
    labels = torch.tensor([[[1], [0]], [[0], [1]]])
    clicks = Clicks(torch.full((2, 2, 1, 2), 8.0), labels, torch.full((2, 2, 4), torch.nan))
    clicks.boxes[0, 0] = torch.tensor([2.0, 3.0, 20.0, 30.0])
    output = model(images_for(model)[:2], SUBSETS[[0, 2]], model.encode_text(words), which, clicks)
    (output.masks.square().mean() + output.presence.square().mean()).backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # SAM's decoder reads every word and not their summary; it says in a token of its own where no box was given.
    unread = {"text.pool.weight"} if decoder == "sam" else set()
    assert set(idle) == unread
    frozen = sum(p.numel() for p in model.backbone.parameters())
    trained, everything = count_parameters(model)
    assert everything == trained + frozen
    assert not any("backbone" in name for name in model.state_dict())


def test_more_than_three_modalities_make_groups_whose_features_are_averaged(folders):
    model = make(folders["vit"], "early")
    assert model.slots == 2
    images = images_for(model)
    seen = []
    model.fusion.encoder.neck.register_forward_pre_hook(lambda neck, maps: seen.append(maps[0]))
    ask(model, images, torch.tensor([[True] * 4] * 3))
    groups = torch.stack([images[:, :3, 1], images[:, [3, 3, 3], 1]], dim=1)
    expected = model.backbone(groups.flatten(0, 1))[-1].unflatten(0, (3, 2)).mean(dim=1)
    torch.testing.assert_close(seen[0][-1], expected, atol=1e-5, rtol=1e-4)


def test_late_fusion_weighs_a_modality_by_what_the_words_say_of_it(folders):
    model = make(folders["vit"], "late")
    with torch.no_grad():
        # The weight by the masks' own confidence is switched off: what is left follows from the words.
        model.fusion.confidence.weight.zero_()
    weights = []
    said = model.fusion._said_of_each
    model.fusion._said_of_each = lambda words: weights.append(said(words)) or weights[-1]
    everything = torch.ones(3, 4, dtype=torch.bool)
    ask(model, images_for(model), everything)
    assert weights[0].shape == (3, 4, 2)
    # The first sample asks for the lesion first and the third one second: same words, same weights.
    torch.testing.assert_close(weights[0][0, :, 0], weights[0][2, :, 1])
    assert not torch.allclose(weights[0][0, :, 0], weights[0][0, :, 1])


def test_a_click_changes_the_mask_of_its_own_target_alone(folders):
    model = make(folders["vit"], "hybrid")
    images = images_for(model)
    without = ask(model, images, SUBSETS).masks
    clicks = Clicks(torch.full((3, 2, 1, 2), 9.0), torch.full((3, 2, 1), -1), torch.full((3, 2, 4), torch.nan))
    torch.testing.assert_close(ask(model, images, SUBSETS, clicks).masks, without)
    clicks.labels[1, 0] = 1
    clicked = ask(model, images, SUBSETS, clicks).masks
    assert not torch.allclose(clicked[1, 0], without[1, 0])
    torch.testing.assert_close(clicked[1, 1], without[1, 1])
    torch.testing.assert_close(clicked[[0, 2]], without[[0, 2]])


def test_frozen_words_and_a_frozen_encoder_leave_only_light_parts_to_train(folders, tmp_path):
    text = tiny_text("bert", tmp_path / "bert")
    model = make(folders["vit"], "late", text=f"pretrained:{text}")
    assert set(model.frozen) == {"vision", "text"}
    trained, everything = count_parameters(model)
    assert everything - trained == sum(p.numel() for p in model.backbone.parameters()) + model.text.frozen_parameters


def test_random_weights_are_a_control_of_another_name(folders):
    torch.manual_seed(0)
    control = ZeusModel(4, 3, vision=f"random:{folders['vit']}", width=32)
    assert control.frozen != make(folders["vit"], "early").frozen


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vision": "resnet"}, "expected one of compact, pretrained:MODEL or random:MODEL"),
        ({"decoder": "unet"}, "expected instruction, sam or sam:MODEL"),
        ({"text": "bert"}, "expected one of subword or pretrained:MODEL"),
        ({"lora_rank": 4}, "are for pretrained encoders"),
    ],
)
def test_an_unknown_part_lists_the_known_ones(options, message):
    with pytest.raises(ValueError, match=message):
        ZeusModel(2, 3, **options)


def test_slices_of_five_channels_are_refused_by_an_encoder_of_three(folders):
    with pytest.raises(ValueError, match=r"set slices\.context to 0 or 1"):
        ZeusModel(2, 5, vision=f"pretrained:{folders['vit']}")
