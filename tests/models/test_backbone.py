"""Pretrained vision encoders: what they are shown, and the maps that they make of it."""

import json
import shutil

import pytest
import torch
import transformers
from einops import rearrange, reduce
from torch.nn import functional

from helpers.backbones import CONVOLUTIONAL, PLAIN, load, picture, same
from helpers.encoders import MEAN, STD, VISION_KINDS
from zeusseg.models.backbone import Backbone, load_backbone
from zeusseg.models.families import FAMILIES, places, vision_config
from zeusseg.models.weights import look_up

# kind: channels, strides
SHAPES = {kind: ((32,) * 4, (14 if "dinov2" in kind else 16,) * 4) for kind in PLAIN} | {
    "sam": ((32, 32, 32, 16), (16,) * 4),
    "swin": ((8, 16, 32, 64), (4, 8, 16, 32)),
    **dict.fromkeys(CONVOLUTIONAL, ((8, 16, 24, 32), (4, 8, 16, 32))),
}


pytestmark = pytest.mark.usefixtures("seeded")


@pytest.mark.parametrize("kind", VISION_KINDS)
@pytest.mark.parametrize("size", [(2, 3), (5, 4)])
def test_every_kind_gives_maps_of_the_stated_channels_and_strides_at_any_size(folders, kind, size):
    backbone = load(folders, kind)
    assert (backbone.channels, backbone.strides) == SHAPES[kind]
    assert backbone.multiple == SHAPES[kind][1][-1]
    image = picture(backbone, *size, channels=1, batch=2)
    for found, channels, stride in zip(backbone(image), *SHAPES[kind], strict=True):
        assert found.shape == (2, channels, image.shape[2] // stride, image.shape[3] // stride)


def reference(kind, folder, pixels):
    """The last map, from transformers' own whole models."""

    def whole(name):
        return getattr(transformers, name).from_pretrained(folder).eval()

    def grid(tokens, skipped=0):
        patch = SHAPES[kind][1][0]
        return rearrange(tokens[:, skipped:], "b (h w) c -> b c h w", h=pixels.shape[2] // patch)

    def normed(found):
        return rearrange(functional.layer_norm(rearrange(found, "b c h w -> b h w c"), found.shape[1:2], eps=eps),
                         "b h w c -> b c h w")  # fmt: skip

    match kind:
        case "vit":
            model = whole("ViTForImageClassification").vit
            return grid(model(pixels, interpolate_pos_encoding=True).last_hidden_state, 1)
        case "dinov2":
            return grid(whole("Dinov2Model")(pixels).last_hidden_state, 1)
        case "dinov2_registers":
            return grid(whole("Dinov2WithRegistersModel")(pixels).last_hidden_state, 5)
        case "dinov3":
            return grid(whole("DINOv3ViTModel")(pixels).last_hidden_state, 5)
        case "clip":
            model = whole("CLIPModel").vision_model
            return grid(model.post_layernorm(model(pixels, interpolate_pos_encoding=True).last_hidden_state), 1)
        case "siglip":
            return grid(whole("SiglipModel").vision_model(pixels, interpolate_pos_encoding=True).last_hidden_state)
        case "siglip2":
            from transformers.models.siglip2.image_processing_pil_siglip2 import convert_image_to_patches

            patches = convert_image_to_patches(pixels[0].numpy(), 16)
            return grid(
                whole("Siglip2Model").vision_model(
                    pixel_values=torch.from_numpy(patches)[None],
                    pixel_attention_mask=torch.ones(1, len(patches), dtype=torch.long),
                    spatial_shapes=torch.tensor([[side // 16 for side in pixels.shape[2:]]]),
                ).last_hidden_state
            )
        case "sam":
            return whole("SamModel").get_image_embeddings(pixels)
        case "resnet":
            return whole("ResNetForImageClassification").resnet(pixels).last_hidden_state
        case "swin":
            eps = 1e-5
            found = whole("SwinForImageClassification").swin(pixels, output_hidden_states=True)
            return normed(found.reshaped_hidden_states[-1])
        case "convnext":
            eps = 1e-6
            return normed(whole("ConvNextForImageClassification").convnext(pixels).last_hidden_state)
        case "dinov3_convnext":
            return whole("DINOv3ConvNextModel")(pixels, output_hidden_states=True).hidden_states[-1]


@pytest.mark.parametrize("kind", VISION_KINDS)
def test_the_last_map_is_what_transformers_itself_computes(folders, kind):
    backbone = load(folders, kind)
    # SAM itself takes its native size only, and Swin breaks on maps that are narrower than its windows.
    image = picture(backbone, *{"sam": (8, 8), "swin": (5, 6)}.get(kind, (2, 3)))
    pixels = ((image + 2.5) / 5).clamp(0, 1)
    pixels = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    with torch.no_grad():
        expected = reference(kind, folders[kind], pixels)
    torch.testing.assert_close(backbone(image)[-1], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [*PLAIN, "sam"])
def test_the_other_maps_of_a_transformer_are_its_blocks_outputs(folders, kind):
    backbone = load(folders, kind)
    seen = []
    for block in backbone.blocks:
        block.register_forward_hook(lambda _, __, out: seen.append(out[0] if isinstance(out, tuple) else out))
    for found, output in zip(backbone(picture(backbone))[:3], seen, strict=False):
        tokens = rearrange(found, "b c h w -> b (h w) c")
        torch.testing.assert_close(tokens, output.reshape(1, -1, 32)[:, -tokens.shape[1] :])


def test_four_evenly_spaced_blocks_are_looked_at_and_all_where_there_are_fewer():
    assert (places(12), places(27), places(2)) == ([3, 6, 9, 12], [7, 14, 21, 27], [1, 2])


@pytest.mark.parametrize("kind", VISION_KINDS)
def test_what_moves_in_the_image_moves_in_every_map(folders, kind):
    backbone = load(folders, kind)
    cell = backbone.multiple
    for row, column in ((1, 1), (1, 2), (3, 2)):
        image = torch.full((1, 1, 5 * cell, 4 * cell), -1.0)
        blank = backbone(image)
        image[..., row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] = 2.0
        for number, (with_square, without) in enumerate(zip(backbone(image), blank, strict=True)):
            change = reduce((with_square - without).abs(), "1 c (h k) (w l) -> 1 h w", "mean", h=5, w=4)
            if kind == "sam" and number == 3:  # the neck's convolution spreads it over 3 x 3
                change = functional.avg_pool2d(change, 3, stride=1, padding=1)
            assert divmod(int(change.argmax()), 4) == (row, column)


def test_sam_at_another_size_is_sam_with_its_position_embeddings_resized(folders):
    backbone = load(folders, "sam")
    config = transformers.SamConfig.from_pretrained(folders["sam"]).vision_config
    config.image_size = 64
    smaller = transformers.SamVisionModel(config).eval()
    state = dict(backbone.encoder.state_dict())
    for name, parameter in smaller.state_dict().items():
        old = state[name]
        if name.endswith("pos_embed"):
            grid = functional.interpolate(old.permute(0, 3, 1, 2), (4, 4), mode="bicubic", align_corners=False)
            state[name] = grid.permute(0, 2, 3, 1)
        elif old.shape != parameter.shape:
            state[name] = functional.interpolate(old.T[None], len(parameter), mode="linear")[0].T
    smaller.load_state_dict(state)
    image = picture(backbone, 4, 4)
    with torch.no_grad():
        expected = smaller(backbone._pixels(image)).last_hidden_state
    torch.testing.assert_close(backbone(image)[-1], expected, rtol=1e-5, atol=1e-5)


def test_only_the_vision_tower_of_a_whole_model_is_held(folders):
    for kind in ("clip", "siglip", "siglip2", "sam"):
        names = [name for name, _ in load(folders, kind).named_parameters()]
        assert not [name for name in names if any(part in name for part in ("text", "head", "prompt", "mask_decoder"))]


def test_one_channel_is_shown_three_times(folders):
    backbone = load(folders, "vit")
    image = picture(backbone, channels=1)
    same(backbone(image), backbone(image.expand(-1, 3, -1, -1)))


def test_three_channels_are_three_different_ones(folders):
    backbone = load(folders, "vit")
    image = picture(backbone)
    assert not torch.allclose(backbone(image)[0], backbone(image.flip(1))[0])


def test_an_encoder_of_one_channel_sees_the_slice_without_its_neighbours(tmp_path):
    config = transformers.ViTConfig(
        num_channels=1, image_size=32, patch_size=16, hidden_size=32, num_hidden_layers=2, num_attention_heads=2
    )
    transformers.ViTModel(config).save_pretrained(tmp_path)
    backbone = load_backbone(str(tmp_path))
    image = picture(backbone)
    same(backbone(image), backbone(image[:, 1:2]))


@pytest.mark.parametrize(
    ("file", "said", "mean"),
    [
        ("preprocessor_config.json", {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.5, 0.5]}, [0.1, 0.2, 0.3]),
        ("preprocessor_config.json", {"image_processor": {"image_mean": [0.1] * 3, "image_std": [1] * 3}}, [0.1] * 3),
        ("processor_config.json", {"image_processor": {"image_mean": [0.2] * 3, "image_std": [1] * 3}}, [0.2] * 3),
        ("preprocessor_config.json", {"do_normalize": False, "image_mean": [0.1] * 3, "image_std": [1] * 3}, [0.0] * 3),
        ("README.md", {}, [0.5] * 3),
    ],
)
def test_mean_and_deviation_are_those_of_the_encoders_own_pictures(folders, tmp_path, file, said, mean):
    shutil.copy(folders["vit"] / "config.json", tmp_path)
    (tmp_path / file).write_text(json.dumps(said))
    assert load_backbone(str(tmp_path), random=True).mean.flatten().tolist() == pytest.approx(mean)


@pytest.mark.parametrize("shape", [(1, 2, 32, 32), (1, 1, 32, 40)])
def test_an_image_that_does_not_fit_is_refused(folders, shape):
    with pytest.raises(ValueError, match="1 or 3 channels, sides multiples of 16"):
        load(folders, "vit")(torch.zeros(shape))


def test_a_random_sam_tells_images_apart(tmp_path):
    from transformers import SamVisionConfig

    # As SAM is published: its configuration says that weights are drawn with a deviation of 1e-10.
    config = SamVisionConfig(
        hidden_size=32, mlp_dim=64, output_channels=16, num_hidden_layers=4, num_attention_heads=2, image_size=64,
        window_size=2, global_attn_indexes=[3],
    )  # fmt: skip
    assert config.initializer_range < 1e-6
    config.save_pretrained(tmp_path)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for feature in load_backbone(str(tmp_path), random=True)(images):
        assert (feature[0] - feature[1]).abs().mean() > 0.1


@pytest.mark.parametrize("kind", VISION_KINDS)
def test_random_weights_need_no_weights_repeat_and_disturb_nothing(folders, tmp_path, kind):
    for file in folders[kind].glob("*.json"):
        shutil.copy(file, tmp_path)
    state = torch.get_rng_state()
    control = load_backbone(str(tmp_path), random=True)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    again = load_backbone(str(tmp_path), random=True)
    pretrained = load(folders, kind)
    image = picture(control)
    same(control(image), again(image), rtol=0, atol=0)
    assert not any(torch.allclose(*pair) for pair in zip(control(image), pretrained(image), strict=True))
    assert control.fingerprint == again.fingerprint
    assert control.fingerprint.startswith("random-")
    assert control.fingerprint != pretrained.fingerprint


# As published: MedSigLIP-448, DINOv3 ViT-S/16, SAM ViT-B, ViT-B/16, ResNet-50. (configuration, channels, strides)
FULL_SIZE = {
    "medsiglip": (
        {"model_type": "siglip", "vision_config": {
            "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16,
            "image_size": 448, "patch_size": 14}},
        (1152,) * 4, (14,) * 4,
    ),
    "dinov3": (
        {"model_type": "dinov3_vit", "hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 12,
         "num_attention_heads": 6, "num_register_tokens": 4, "patch_size": 16},
        (384,) * 4, (16,) * 4,
    ),
    "sam": ({"model_type": "sam", "vision_config": {}}, (768, 768, 768, 256), (16,) * 4),
    "vit": ({"model_type": "vit"}, (768,) * 4, (16,) * 4),
    "resnet": ({"model_type": "resnet"}, (256, 512, 1024, 2048), (4, 8, 16, 32)),
}  # fmt: skip


@pytest.mark.parametrize("name", FULL_SIZE)
def test_full_size_encoders_have_the_published_channels_and_strides(name, tmp_path):
    said, channels, strides = FULL_SIZE[name]
    (tmp_path / "config.json").write_text(json.dumps(said))
    config = vision_config(look_up(str(tmp_path), "config.json"))
    family = FAMILIES[config.model_type]
    with torch.device("meta"):
        backbone = Backbone(getattr(transformers, family.network)(config, **family.options), ([0.5], [0.5]), "")
        maps = backbone(torch.zeros(1, 3, 448, 224))
    assert (backbone.channels, backbone.strides) == (channels, strides)
    assert [found.shape for found in maps] == [
        (1, c, 448 // stride, 224 // stride) for c, stride in zip(channels, strides, strict=True)
    ]
