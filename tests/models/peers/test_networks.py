import json

import pytest
import torch
from safetensors.torch import save_file

from helpers.encoders import Trap
from zeusseg.errors import UsageError
from zeusseg.models.peers import peer_class
from zeusseg.models.peers.libraries import import_peer_library
from zeusseg.models.peers.networks import DeepLabV3Plus, UNet, UNetPlusPlus

SMALL = {"size": 64, "encoder": "resnet18"}
NARROW = {**SMALL, "decoder_channels": [16, 8, 8, 4, 4]}
KINDS = {UNet: NARROW, UNetPlusPlus: NARROW, DeepLabV3Plus: SMALL}
BIAS = 1


def small(kind=UNet, weights=None, frozen=None, **changes):
    torch.manual_seed(0)
    return kind.load(weights, KINDS[kind] | changes, frozen=frozen).eval()


@pytest.fixture(scope="module")
def models():
    """One of each kind, for tests that change nothing in it."""
    return {kind: small(kind) for kind in KINDS}


@pytest.fixture
def seen(models):
    """What the networks of `models` read while the test runs."""
    pixels = []
    hooks = [
        model.network.register_forward_pre_hook(lambda network, inputs: pixels.append(inputs[0]))
        for model in models.values()
    ]
    yield pixels
    for hook in hooks:
        hook.remove()


def ask(model, images, texts=("polyp",), targets=1):
    which = torch.arange(targets).expand(len(images), -1)
    present = torch.ones(len(images), 1, dtype=torch.bool)
    return model(images[:, None], present, model.encode_text(list(texts)), which)


def pictures(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def published():
    """A ResNet-18 as torchvision makes it, with norms that have seen something."""
    torch.manual_seed(2)
    network = import_peer_library("torchvision.models").resnet18()
    network(torch.randn(4, 3, 64, 64))
    return network.eval()


def norm(channels):
    return 2 * channels


def stage(inputs, outputs):
    """Two convolutions of 3 x 3 without a bias, each with a norm."""
    return 9 * inputs * outputs + 9 * outputs * outputs + 2 * norm(outputs)


def separable(inputs, outputs):
    return 9 * inputs + inputs * outputs + norm(outputs)


def pointwise(inputs, outputs):
    return inputs * outputs + norm(outputs)


# He et al. (2016): ResNet-50 without its classifier of 2048 x 1000 + 1000.
RESNET50 = 25_557_032 - 2_049_000
SKIPS = {16: 1024, 8: 512, 4: 256, 2: 64}
UNET = (
    stage(2048 + SKIPS[16], 256) + stage(256 + SKIPS[8], 128) + stage(128 + SKIPS[4], 64) + stage(64 + SKIPS[2], 32)
    + stage(32, 16) + 9 * 16 + BIAS
)  # fmt: skip
# Zhou et al. (2018): each node reads all nodes of its level before it and the next coarser level's last one.
UNETPLUSPLUS = (
    stage(2048 + SKIPS[16], 256)
    + stage(1024 + SKIPS[8], 512) + stage(256 + 2 * SKIPS[8], 128)
    + stage(512 + SKIPS[4], 256) + stage(512 + 2 * SKIPS[4], 256) + stage(128 + 3 * SKIPS[4], 64)
    + sum(stage(256 + n * SKIPS[2], 64) for n in (1, 2, 3)) + stage(64 + 4 * SKIPS[2], 32)
    + stage(32, 16) + 9 * 16 + BIAS
)  # fmt: skip
# Chen et al. (2018): five branches of 256, their projection, 48 channels of stride 4 beside it.
DEEPLABV3PLUS = (
    2 * pointwise(2048, 256) + 3 * separable(2048, 256) + pointwise(5 * 256, 256) + separable(256, 256)
    + pointwise(256, 48) + separable(256 + 48, 256) + 256 + BIAS
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "decoder", "whole"),
    [("unet", UNET, 32_521_105), ("unetplusplus", UNETPLUSPLUS, 48_985_745),
     ("deeplabv3plus", DEEPLABV3PLUS, 26_677_585)],
)  # fmt: skip
def test_published_sizes_have_the_parameters_that_the_papers_figures_give(name, decoder, whole):
    with torch.device("meta"):
        model = peer_class(name).load(None, {})
    assert (model.size, model.settings["encoder"], model.reads_text) == (256, "resnet50", False)
    assert sum(p.numel() for p in model.network.encoder.parameters()) == RESNET50 == 23_508_032
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == RESNET50 + decoder == whole


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(40, 60), (90, 50)])
def test_masks_lie_on_the_pixels_of_pictures_that_are_not_square(models, kind, shape):
    output = ask(models[kind], pictures(2, 3, *shape), ("polyp", "", "skin"), targets=3)
    assert output.masks.shape == (2, 3, *shape)
    assert torch.equal(output.presence, output.masks.amax(dim=(2, 3)))
    assert output.masks.std() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_any_text_gives_the_same_mask_and_the_network_runs_once_a_picture(models, seen, kind):
    masks = ask(models[kind], pictures(2, 3, 40, 60), ("polyp", "", "nothing like it"), targets=3).masks
    assert [pixels.shape for pixels in seen] == [(2, 3, 64, 64)]
    assert torch.equal(masks[:, 0], masks[:, 1])
    assert torch.equal(masks[:, 0], masks[:, 2])


def test_texts_become_tokens_that_carry_nothing(models):
    words = models[UNet].encode_text(["polyp", "a round pink polyp"])
    assert torch.equal(words.tokens, torch.zeros(2, 1, 1))
    assert torch.equal(words.mask, torch.ones(2, 1, dtype=torch.bool))
    assert torch.equal(words.pooled, torch.zeros(2, 1))


# By hand: (0 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0 - 0.406) / 0.225, and the same from 1.
@pytest.mark.parametrize(
    ("intensity", "expected"),
    [(-2.5, [-2.117904, -2.035714, -1.804444]), (2.5, [2.248908, 2.428571, 2.640000])],
)  # fmt: skip
def test_the_window_becomes_pixels_with_the_statistics_of_imagenet(models, seen, intensity, expected):
    ask(models[UNet], torch.full((1, 3, 40, 60), intensity))
    torch.testing.assert_close(seen[0], torch.tensor(expected)[None, :, None, None].expand(1, 3, 64, 64))


def test_padding_with_the_darkest_value_changes_nothing(models):
    model, images = models[UNet], pictures(1, 3, 40, 60)
    square = images.min().expand(1, 3, 60, 60).clone()
    square[:, :, 10:50] = images
    torch.testing.assert_close(ask(model, images).masks, ask(model, square).masks[:, :, 10:50])


def as_file(state, folder):
    save_file(state, folder / "model.safetensors")
    return folder / "model.safetensors"


def as_folder(state, folder):
    (folder / "README.md").write_text("weights")
    return as_file(state, folder).parent


def as_pickle(state, folder):
    torch.save(state, folder / "resnet18.pth")
    return folder / "resnet18.pth"


def as_old_pickle(state, folder):
    """torchvision's first files were written before norms counted their batches."""
    return as_pickle({name: tensor for name, tensor in state.items() if "num_batches" not in name}, folder)


@pytest.mark.parametrize(
    ("kind", "publish"),
    [(UNet, as_file), (UNetPlusPlus, as_folder), (DeepLabV3Plus, as_pickle), (UNet, as_old_pickle)],
)
def test_the_encoder_has_the_published_weights_and_computes_what_torchvision_does(tmp_path, published, kind, publish):
    state = published.state_dict()
    encoder = small(kind, str(publish(state, tmp_path))).network.encoder
    loaded = dict(encoder.named_parameters()) | dict(encoder.named_buffers())
    for name, tensor in state.items():
        if not name.startswith("fc.") and "num_batches" not in name:
            torch.testing.assert_close(loaded[name], tensor, rtol=0, atol=0)
    images = pictures(1, 3, 64, 64)
    whole = published.layer1(published.maxpool(published.relu(published.bn1(published.conv1(images)))))
    torch.testing.assert_close(encoder(images)[2], whole)


def without(state, name):
    return {key: tensor for key, tensor in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda state: without(state, "layer1.0.conv1.weight"), r"layer1\.0\.conv1\.weight"),
        (lambda state: without(state, "bn1.running_var"), r"bn1\.running_var"),
        (lambda state: state | {"layer1.2.conv1.weight": torch.zeros(1)}, r"layer1\.2\.conv1\.weight"),
        (lambda state: state | {"conv1.weight": torch.zeros(64, 1, 7, 7)}, r"conv1\.weight"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_the_name_of_a_tensor(tmp_path, published, change, named):
    path = as_file(change(published.state_dict()), tmp_path)
    with pytest.raises(UsageError, match=rf"does not fit the encoder resnet18: .*{named}"):
        small(weights=str(path))


def test_weights_that_are_not_there_are_refused(tmp_path, published):
    with pytest.raises(UsageError, match="is no file of weights"):
        small(weights=str(tmp_path / "model.safetensors"))
    with pytest.raises(UsageError, match="holds 0 files"):
        small(weights=str(tmp_path))
    as_file(published.state_dict(), tmp_path)
    as_pickle(published.state_dict(), tmp_path)
    with pytest.raises(UsageError, match="holds 2 files"):
        small(weights=str(tmp_path))


def test_files_that_hold_more_than_tensors_are_refused_and_not_run(tmp_path, published):
    torch.save({"conv1.weight": Trap(tmp_path / "sprung")}, tmp_path / "trap.pth")
    (tmp_path / "cut.safetensors").write_bytes(b"\x08\x00\x00")
    (tmp_path / "cut.pth").write_bytes(b"")
    for name in ("trap.pth", "cut.safetensors", "cut.pth"):
        with pytest.raises(UsageError, match="cannot be read safely"):
            small(weights=str(tmp_path / name))
    assert not (tmp_path / "sprung").exists()
    torch.save({"state_dict": published.state_dict()}, tmp_path / "nested.pth")
    with pytest.raises(UsageError, match="is no state dictionary"):
        small(weights=str(tmp_path / "nested.pth"))


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        (UNet, {"depth": 4}, "UNet has no setting 'depth': expected size, encoder, decoder_channels"),
        (DeepLabV3Plus, {"decoder_channels": [8]}, "DeepLabV3Plus has no setting 'decoder_channels': expected size"),
        (UNet, {"encoder": "vgg16"}, "no encoder 'vgg16': expected one of resnet18, resnet34"),
        (UNet, {"size": 48}, "UNet cannot have size 48: expected a multiple of 32"),
        (UNetPlusPlus, {"size": 0}, "UNetPlusPlus cannot have size 0: expected a multiple of 32"),
        (DeepLabV3Plus, {"size": 40}, "DeepLabV3Plus cannot have size 40: expected a multiple of 16"),
        (UNet, {"decoder_channels": [8, 4]}, r"cannot have decoder_channels \[8, 4\]: expected 5 numbers"),
    ],
)
def test_settings_that_the_network_cannot_have_are_refused(kind, changes, said):
    with pytest.raises(UsageError, match=said):
        kind.load(None, changes)


@pytest.mark.parametrize("kind", [UNet, UNetPlusPlus])
def test_decoder_channels_are_those_of_the_settings(models, kind):
    assert models[kind].network.segmentation_head[0].weight.shape == (1, 4, 3, 3)


def test_deeplab_reads_sizes_between_those_of_unet():
    model = small(DeepLabV3Plus, size=48)
    assert ask(model, pictures(1, 3, 40, 60)).masks.shape == (1, 1, 40, 60)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_and_state_make_the_same_network_again_without_any_file(models, kind):
    model = models[kind]
    again = kind(json.loads(json.dumps(model.settings)))
    again.load_state_dict(model.state_dict())
    images = pictures(1, 3, 40, 60)
    assert again.settings == model.settings
    assert torch.equal(ask(again.eval(), images).masks, ask(model, images).masks)


@pytest.mark.parametrize("frozen", [True, None])
def test_a_frozen_encoder_learns_nothing_and_its_norms_keep_their_statistics(frozen):
    model = small(frozen=frozen).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    ask(model, pictures(2, 3, 64, 64)).masks.mean().backward()
    optimizer.step()
    after = model.state_dict()
    changed = {name.split(".")[1] for name in before if not torch.equal(after[name], before[name])}
    assert changed == {"decoder", "segmentation_head"} | (set() if frozen else {"encoder"})


def test_a_network_of_frozen_settings_is_frozen_from_the_start():
    model = UNet({**NARROW, "frozen": True})
    assert not any(module.training for module in model.network.encoder.modules())


def test_deeplab_refuses_to_train_on_one_picture_and_predicts_it():
    model = small(DeepLabV3Plus)
    assert ask(model, pictures(1, 3, 64, 64)).masks.shape == (1, 1, 64, 64)
    with pytest.raises(UsageError, match="expected a batch size of 2 or more"):
        ask(model.train(), pictures(1, 3, 64, 64))
