import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.clipseg import PROJECTION, SIDE, asked, biomedclip, clipseg, disturb, pictures, trunk
from zeusseg.errors import UsageError
from zeusseg.models.peers.biomedclipseg import BiomedClipSeg
from zeusseg.models.peers.libraries import import_peer_library

TEXTS = ["Outline the lesion", "", "The liver shows no mass."]
TINY = {
    "size": SIDE, "context": 16, "projection": 12,
    "vision.hidden_size": 16, "vision.num_hidden_layers": 4, "vision.num_attention_heads": 2,
    "vision.intermediate_size": 32, "vision.image_size": 32, "text.hidden_size": 16, "text.num_hidden_layers": 2,
    "text.num_attention_heads": 2, "text.intermediate_size": 32, "text.max_position_embeddings": 16,
    "decoder.reduce_dim": 8, "decoder.extract_layers": [0, 1, 3], "decoder.decoder_intermediate_size": 16,
}  # fmt: skip
SMALL_DECODER = {"decoder.reduce_dim": 8, "decoder.decoder_intermediate_size": 16}
# BiomedCLIP's projection of texts has a middle of (768 + 512) / 2; the vocabulary is CLIP's where there are no files.
SHAPES = {
    "text_projection.0.weight": (640, 768), "text_projection.2.weight": (512, 640),
    "text.embeddings.word_embeddings.weight": (49408, 768),
    "text.embeddings.position_embeddings.weight": (512, 768),
    "text.encoder.layer.11.intermediate.dense.weight": (3072, 768),
    "vision.embeddings.position_embeddings": (1, 197, 768), "vision.layernorm.weight": (768,),
    "decoder.film_mul.weight": (64, 512), "decoder.reduces.0.weight": (64, 768),
    "decoder.transposed_convolution.4.weight": (32, 1, 4, 4),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return biomedclip(tmp_path_factory.mktemp("biomedclip"))


@pytest.fixture(scope="module")
def model(folder):
    torch.manual_seed(0)
    return BiomedClipSeg.load(str(folder), {"size": SIDE} | SMALL_DECODER).eval()


@pytest.fixture(scope="module")
def drawn():
    torch.manual_seed(0)
    drawn = BiomedClipSeg.load(None, TINY)
    disturb(drawn)
    return drawn.eval()


def test_the_decoder_reads_blocks_3_6_and_9_counted_from_0(model):
    read, blocks = [], {}
    reference = trunk()
    for i, block in enumerate(reference.blocks):
        block.register_forward_hook(lambda module, inputs, output, i=i: blocks.update({i: output}))
    hook = model.decoder.register_forward_pre_hook(lambda module, inputs: read.extend(inputs[0]))
    with torch.no_grad():
        asked(model, pictures(), TEXTS[:1])
        reference(pictures())
    hook.remove()
    assert len(read) == 3
    for state, block in zip(read, (3, 6, 9), strict=True):
        torch.testing.assert_close(state, blocks[block], rtol=1e-4, atol=1e-4)
        assert (state - blocks[block + 1]).abs().max() > 0.1


def test_a_text_conditions_by_what_open_clip_makes_of_it(folder, model):
    from transformers import AutoTokenizer, BertConfig

    import_peer_library("open_clip")
    from open_clip.hf_model import HFTextEncoder

    weights = load_file(folder / "open_clip_model.safetensors")
    words = AutoTokenizer.from_pretrained(folder)
    config = BertConfig(
        hidden_size=128, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, vocab_size=len(words),
        max_position_embeddings=32,
    )  # fmt: skip
    theirs = HFTextEncoder(
        "", PROJECTION, config=config, pooler_type="cls_last_hidden_state_pooler", proj_type="mlp", pretrained=False
    ).eval()
    state = {key.removeprefix("text."): tensor for key, tensor in weights.items() if key.startswith("text.")}
    lacking, unknown = theirs.load_state_dict(state, strict=False)
    assert not lacking
    assert all("transformer.pooler." in key for key in unknown)
    ids = words(TEXTS, padding="max_length", max_length=24, return_tensors="pt").input_ids
    with torch.no_grad():
        ours = model.encode_text(TEXTS)
        torch.testing.assert_close(ours.pooled, theirs(ids), rtol=1e-4, atol=1e-5)
    assert (ours.pooled[0] - ours.pooled[2]).abs().max() > 1e-3
    assert ours.tokens.shape == (3, 1, PROJECTION)
    assert ours.mask.all()


def test_a_text_is_cut_to_the_context_and_keeps_its_end(folder, model):
    from transformers import AutoTokenizer

    words = AutoTokenizer.from_pretrained(folder)
    numbers, there = model._words(["lesion " * 50, ""])
    assert numbers.shape == (2, 24)
    assert there.sum(dim=1).tolist() == [24, 2]
    assert numbers[0, [0, -1]].tolist() == words.convert_tokens_to_ids(["<s>", "</s>"])


def test_the_published_configuration_has_the_published_tensors():
    with torch.device("meta"):
        model = BiomedClipSeg.load(None, {})
    state = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    assert SHAPES.items() <= state.items()
    # 16 tensors a block, of 12 + 12 + 3; 6 around those of the trunk, 5 of the words; two layers; the decoder's others.
    assert len(state) == 16 * 27 + 6 + 5 + 2 + (4 + 6 + 6)
    vision = sum(math.prod(shape) for key, shape in state.items() if key.startswith("vision."))
    assert vision == 85_798_656  # timm's vit_base_patch16_224 without its classifier
    # BERT base without its pooler, 108,891,648 with its 30,522 words.
    text = sum(math.prod(shape) for key, shape in state.items() if key.startswith("text."))
    assert text - (49408 - 30522) * 768 == 108_891_648
    assert (model.size, model.settings["context"]) == (224, 256)


def test_words_decide_and_a_picture_is_encoded_once(drawn):
    seen = []
    hook = drawn.vision.register_forward_pre_hook(lambda module, args, kwargs: seen.append(1), with_kwargs=True)
    with torch.no_grad():
        texts = drawn.encode_text(TEXTS)
        images, there = pictures(2, 50)[:, None, :, :40], torch.ones(2, 1, dtype=torch.bool)
        masks = drawn(images, there, texts, torch.tensor([[0, 1], [2, 2]])).masks
    hook.remove()
    assert seen == [1]
    assert masks.shape == (2, 2, 40, 50)
    torch.testing.assert_close(masks[1, 0], masks[1, 1])
    assert (masks[0, 0] - masks[0, 1]).abs().max() > 1e-3


def gradients(model):
    model.zero_grad()
    asked(model, pictures(), TEXTS).square().mean().backward()
    return {
        name: any(p.grad is not None and p.grad.abs().max() > 0 for p in getattr(model, name).parameters())
        for name in ("vision", "text", "text_projection", "decoder")
    }


def test_published_encoders_are_frozen_and_drawn_ones_learn(folder, drawn):
    frozen = {"vision": False, "text": False, "text_projection": False, "decoder": True}
    model = BiomedClipSeg.load(str(folder), {"size": SIDE} | SMALL_DECODER).train()
    assert gradients(model) == frozen
    assert not any(p.requires_grad for encoder in model.encoders for p in encoder.parameters())
    assert not model.text.training
    assert not model.vision.training
    assert model.decoder.training
    assert gradients(drawn) == dict.fromkeys(frozen, True)
    assert gradients(BiomedClipSeg.load(str(folder), SMALL_DECODER, frozen=False)) == dict.fromkeys(frozen, True)


def test_its_settings_and_state_rebuild_it_without_its_folder(model):
    again = BiomedClipSeg(json.loads(json.dumps(model.settings))).eval()
    again.load_state_dict(model.state_dict())
    pixels = pictures()
    torch.testing.assert_close(asked(again, pixels, TEXTS), asked(model, pixels, TEXTS), rtol=0, atol=0)
    assert not any(p.requires_grad for p in again.text.parameters())


def test_another_size_interpolates_the_positions(folder):
    model = BiomedClipSeg.load(str(folder), {"size": 96} | SMALL_DECODER).eval()
    assert asked(model, pictures(side=96), TEXTS).shape == (2, 3, 96, 96)


def test_the_decoder_of_a_clipseg_can_be_taken(folder, tmp_path):
    donor = clipseg(tmp_path / "donor", hidden_size=192)
    model = BiomedClipSeg.load(str(folder), {"size": SIDE, "decoder_weights": str(donor)})
    published = load_file(donor / "model.safetensors")
    expected = {key.removeprefix("decoder."): t for key, t in published.items() if key.startswith("decoder.")}
    state = model.decoder.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], expected[key]) for key in state)
    assert model.settings["decoder.extract_layers"] == [2, 5, 9]
    assert "decoder_weights" not in model.settings
    again = BiomedClipSeg(model.settings)
    again.load_state_dict(model.state_dict())
    with pytest.raises(UsageError, match=r"does not let decoder\.reduce_dim be changed"):
        BiomedClipSeg.load(str(folder), {"decoder_weights": str(donor), "decoder.reduce_dim": 8})
    with pytest.raises(UsageError, match="does not fit these encoders"):
        BiomedClipSeg.load(str(folder), {"decoder_weights": str(clipseg(tmp_path / "other", hidden_size=32))})


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ("visual.trunk.blocks.4.mlp.fc1.bias", r"files lack 1 tensors \(.*4\.mlp\.fc1\.bias"),
        ("text.transformer.encoder.layer.1.output.dense.bias", "its tensors do not fit"),
        ("text.proj.2.weight", r"no projection of texts in two layers, text\.proj\.0\.weight and text\.proj\.2"),
    ],
)
def test_weights_that_lack_a_tensor_are_refused(folder, tmp_path, lacking, said):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = load_file(folder / "open_clip_model.safetensors")
    del weights[lacking]
    save_file(weights, tmp_path / "open_clip_model.safetensors")
    with pytest.raises(UsageError, match=said):
        BiomedClipSeg.load(str(tmp_path), {})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vision.depth": 3}, r"does not let vision\.depth be changed: expected one of size, context, projection"),
        ({"context": 17}, r"context is 17: expected at most text\.max_position_embeddings, 16"),
        ({"size": 100}, "size is 100: expected a multiple of the patch, 16"),
        ({"decoder.extract_layers": [4]}, r"decoder\.extract_layers is \[4\]: expected numbers of blocks from 0 to 3"),
        ({"text.num_attention_heads": 5}, "cannot be built with these settings"),
    ],
)
def test_changes_that_cannot_be_are_refused(changes, said):
    with pytest.raises(UsageError, match=said):
        BiomedClipSeg.load(None, TINY | changes)


def test_beside_weights_the_encoders_stay(folder):
    with pytest.raises(UsageError, match=r"does not let text\.hidden_size be changed: expected one of size, decoder\."):
        BiomedClipSeg.load(str(folder), {"text.hidden_size": 64})
