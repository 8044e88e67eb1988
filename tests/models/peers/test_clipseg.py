import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.clipseg import SIDE, TINY_CLIPSEG, asked, clipseg, disturb, pictures
from zeusseg.errors import UsageError
from zeusseg.models.peers.clipseg import PUBLISHED, ClipSeg, clip_tokens, load_clipseg
from zeusseg.models.text import TextTokens

TEXTS = ["a polyp", "", "the left kidney"]
# CIDAS/clipseg-rd64-refined, as its files have them.
SHAPES = {
    "clip.logit_scale": (), "clip.text_projection.weight": (512, 512), "clip.visual_projection.weight": (512, 768),
    "clip.text_model.embeddings.token_embedding.weight": (49408, 512),
    "clip.text_model.embeddings.position_embedding.weight": (77, 512),
    "clip.text_model.encoder.layers.11.mlp.fc1.weight": (2048, 512),
    "clip.text_model.final_layer_norm.bias": (512,),
    "clip.vision_model.embeddings.class_embedding": (768,),
    "clip.vision_model.embeddings.patch_embedding.weight": (768, 3, 16, 16),
    "clip.vision_model.embeddings.position_embedding.weight": (14 * 14 + 1, 768),
    "clip.vision_model.pre_layrnorm.weight": (768,),
    "clip.vision_model.encoder.layers.11.self_attn.out_proj.weight": (768, 768),
    "clip.vision_model.encoder.layers.0.mlp.fc2.weight": (768, 3072),
    "decoder.film_mul.weight": (64, 512), "decoder.film_add.bias": (64,), "decoder.reduces.2.weight": (64, 768),
    "decoder.layers.2.self_attn.q_proj.weight": (64, 64), "decoder.layers.0.mlp.fc1.weight": (2048, 64),
    "decoder.transposed_convolution.0.weight": (64, 64, 3, 3),
    "decoder.transposed_convolution.2.weight": (64, 32, 4, 4),
    "decoder.transposed_convolution.4.weight": (32, 1, 4, 4),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return clipseg(tmp_path_factory.mktemp("clipseg"))


@pytest.fixture(scope="module")
def drawn():
    torch.manual_seed(0)
    model = ClipSeg.load(None, TINY_CLIPSEG)
    disturb(model)
    return model.eval()


@pytest.mark.parametrize("side", [32, 64])
def test_its_logits_are_those_of_transformers(folder, side):
    # In double precision, so that the order of sums does not show.
    model = ClipSeg.load(str(folder), {"size": side}).eval().double()
    theirs, pixels = load_clipseg(str(folder)).eval().double(), pictures(side=side).double()
    ids, there = clip_tokens(TEXTS, 77)
    with torch.no_grad():
        ours = asked(model, pixels, TEXTS)
        for i, j in [(0, 0), (0, 1), (1, 0), (1, 2)]:
            said = {"input_ids": ids[j : j + 1], "attention_mask": there[j : j + 1].long()}
            expected = theirs(pixel_values=pixels[i : i + 1], **said).logits[0]
            torch.testing.assert_close(ours[i, j], expected, rtol=1e-9, atol=1e-9)
    assert ours.shape == (2, 3, side, side)


def test_texts_have_the_numbers_of_clips_vocabulary():
    # The first as transformers' documentation of CLIP has it.
    numbers, there = clip_tokens(["a photo of a cat", "", "cat " * 100], 77)
    assert numbers[0, :8].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407, 0]
    assert numbers[1, :3].tolist() == [49406, 49407, 0]
    assert numbers[2].tolist() == [49406, *[2368] * 75, 49407]
    assert there.sum(dim=1).tolist() == [7, 2, 77]
    assert clip_tokens(["a photo of a cat", ""], 77)[0].shape == (2, 7)


def test_the_published_configuration_has_the_published_tensors():
    with torch.device("meta"):
        model = ClipSeg.load(None, {})
    state = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    assert SHAPES.items() <= state.items()
    # 16 tensors a block, of 12 + 12 + 3; 14 around those of the encoders; film, reduces and convolutions.
    assert len(state) == 16 * 27 + 14 + (4 + 6 + 6)
    assert sum(math.prod(shape) for shape in state.values()) == 150_747_746
    assert (model.size, model.settings["extract_layers"]) == (352, [3, 6, 9])


def test_a_picture_is_encoded_once_for_all_its_texts(drawn):
    seen = []
    hook = drawn.clip.vision_model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["pixel_values"].shape), with_kwargs=True
    )
    asked(drawn, pictures(), TEXTS)
    hook.remove()
    assert seen == [(2, 3, SIDE, SIDE)]


def test_words_decide_and_masks_lie_on_the_pictures_pixels(drawn):
    images = pictures(2, 50)[:, None, :, :40]
    with torch.no_grad():
        texts = drawn.encode_text(TEXTS)
        output = drawn(images, torch.ones(2, 1, dtype=torch.bool), texts, torch.tensor([[0, 1, 2], [2, 2, 0]]))
    assert texts.tokens.shape == (3, 1, 24)
    assert texts.mask.all()
    assert texts.pooled.shape == (3, 24)
    assert output.masks.shape == (2, 3, 40, 50)
    torch.testing.assert_close(output.masks[1, 0], output.masks[1, 1])
    assert (output.masks[0, 0] - output.masks[0, 1]).abs().max() > 1e-3
    assert (output.masks[0, 0] - output.masks[0, 2]).abs().max() > 1e-3


def gradients(model):
    """Which parts get a gradient."""
    model.zero_grad()
    asked(model, pictures(), TEXTS).square().mean().backward()
    return {
        name: any(p.grad is not None and p.grad.abs().max() > 0 for p in part.parameters())
        for name, part in (
            ("vision", model.clip.vision_model), ("text", model.clip.text_model), ("decoder", model.decoder)
        )
    }  # fmt: skip


def test_published_encoders_are_frozen_unless_one_says_otherwise(folder):
    model = ClipSeg.load(str(folder), {"size": SIDE}).train()
    assert gradients(model) == {"vision": False, "text": False, "decoder": True}
    assert not model.clip.training
    assert model.decoder.training
    assert not any(p.requires_grad for p in model.clip.parameters())
    assert all(p.requires_grad for p in model.decoder.parameters())
    model = ClipSeg.load(str(folder), {"size": SIDE}, frozen=False).train()
    assert gradients(model) == {"vision": True, "text": True, "decoder": True}
    assert model.clip.training


def test_encoders_drawn_anew_learn_unless_one_says_otherwise(drawn):
    assert gradients(drawn) == {"vision": True, "text": True, "decoder": True}
    frozen = ClipSeg.load(None, TINY_CLIPSEG, frozen=True)
    assert gradients(frozen) == {"vision": False, "text": False, "decoder": True}


def test_its_settings_and_state_rebuild_it_without_its_folder(folder):
    model = ClipSeg.load(str(folder), {"size": SIDE}).eval()
    again = ClipSeg(json.loads(json.dumps(model.settings))).eval()
    again.load_state_dict(model.state_dict())
    pixels = pictures()
    torch.testing.assert_close(asked(again, pixels, TEXTS), asked(model, pixels, TEXTS), rtol=0, atol=0)
    assert not any(p.requires_grad for p in again.clip.parameters())
    assert model.state_dict().keys() == load_file(folder / "model.safetensors").keys()


def test_weights_that_lack_a_tensor_are_refused(folder, tmp_path):
    weights = load_file(folder / "model.safetensors")
    del weights["decoder.film_mul.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    with pytest.raises(UsageError, match=r"lack 1 tensors \(decoder\.film_mul\.weight"):
        ClipSeg.load(str(tmp_path), {})


def test_another_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UsageError, match="is of the kind 'bert': expected a CLIPSeg"):
        ClipSeg.load(str(tmp_path), {})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reduce_dims": 8}, "does not let reduce_dims be changed: expected one of size, projection_dim, reduce_dim"),
        ({"size": 100}, "size is 100: expected a multiple of the patch, 16"),
        ({"extract_layers": [3, 12]}, "expected numbers of blocks from 0 to 3"),
        ({"conditional_layer": 3}, "conditional_layer is 3: expected 0 to 2"),
        ({"reduce_dim": "wide"}, "cannot be built with these settings.*reduce_dim"),
        ({"text_config.num_attention_heads": 5}, "cannot be built with these settings"),
    ],
)
def test_changes_that_cannot_be_are_refused(changes, said):
    with pytest.raises(UsageError, match=said):
        ClipSeg.load(None, TINY_CLIPSEG | changes)


def test_beside_weights_only_the_size_changes(folder):
    with pytest.raises(UsageError, match=r"does not let reduce_dim be changed: expected one of size$"):
        ClipSeg.load(str(folder), {"reduce_dim": PUBLISHED["reduce_dim"]})


def test_logits_drawn_anew_are_of_the_order_of_one():
    # transformers 5 draws a decoder's joints with a deviation of 1: logits would start in the hundreds.
    torch.manual_seed(0)
    model = ClipSeg.load(None, TINY_CLIPSEG).eval()
    pixels = torch.randn(2, 3, SIDE, SIDE)
    with torch.no_grad():
        words = model.encode_text(["polyp"])
        logits = model.segment(pixels, TextTokens(*(part.expand(2, *part.shape) for part in vars(words).values())))
    assert float(logits.abs().max()) < 5
