"""SAM's mask decoder under an instruction: the same as transformers' SAM where only a person's clicks speak."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from zeusseg.errors import UsageError
from zeusseg.models.clicks import Clicks
from zeusseg.models.sam_decoder import SamInstructionDecoder

transformers = pytest.importorskip("transformers")

WIDTH, HIDDEN, SIDE = 24, 32, 128
GRID = SIDE // 16


@pytest.fixture(scope="module")
def sam():
    """A SAM of the real kind with tiny sizes, its weights large enough for masks to differ."""
    config = transformers.SamConfig(
        vision_config={
            "hidden_size": 16, "output_channels": HIDDEN, "num_hidden_layers": 1, "num_attention_heads": 2,
            "image_size": SIDE, "window_size": 2, "global_attn_indexes": [0], "num_pos_feats": HIDDEN // 2,
        },
        prompt_encoder_config={"hidden_size": HIDDEN, "image_size": SIDE},
        mask_decoder_config={
            "hidden_size": HIDDEN, "mlp_dim": 48, "num_attention_heads": 4, "iou_head_hidden_dim": 32
        },
    )
    torch.manual_seed(0)
    model = transformers.SamModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
        model.shared_image_embedding.positional_embedding.normal_()
    return model


@pytest.fixture(scope="module")
def folder(sam, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("sam")
    sam.save_pretrained(path)
    return str(path)


def without_words(batch: int, targets: int):
    tokens = torch.randn(batch, targets, 3, WIDTH)
    return tokens, torch.zeros(batch, targets, 3, dtype=torch.bool), tokens.mean(dim=2)


def words(batch: int = 2, targets: int = 3, count: int = 5):
    torch.manual_seed(1)
    tokens = torch.randn(batch, targets, count, WIDTH)
    return tokens, torch.ones(batch, targets, count, dtype=torch.bool), tokens.mean(dim=2)


def clicks_for(points, labels, boxes=None) -> Clicks:
    points = torch.tensor(points).float()
    none = torch.full((*points.shape[:2], 4), torch.nan)
    return Clicks(points, torch.tensor(labels), none if boxes is None else torch.tensor(boxes).float())


def random_decoder(channels: tuple[int, ...] = (8, 16), embedding: int = -1) -> SamInstructionDecoder:
    torch.manual_seed(0)
    return SamInstructionDecoder(channels, WIDTH, embedding=embedding).eval()


POINTS = [[[[20, 90]], [[100, 31]]], [[[64, 7]], [[5, 5]]]]
LABELS = [[[1], [0]], [[1], [1]]]
BOXES = [[[10, 20, 60, 100], [0, 0, 127, 64]], [[30, 5, 50, 120], [1, 2, 3, 4]]]


@pytest.mark.parametrize("given", ["points", "boxes", "points and boxes"])
@torch.inference_mode()
def test_clicks_alone_give_the_masks_that_sam_gives(sam, folder, given):
    decoder = SamInstructionDecoder((HIDDEN,), WIDTH, folder).eval()
    embedding = torch.randn(2, HIDDEN, GRID, GRID)
    points, boxes = torch.tensor(POINTS).float(), torch.tensor(BOXES).float()
    clicks, expected = Clicks.none(2, 2), {}
    if "points" in given:
        clicks = replace(clicks, points=points, labels=torch.tensor(LABELS))
        # SAM's points are (column, row).
        expected = {"input_points": points.flip(-1), "input_labels": torch.tensor(LABELS)}
    if "boxes" in given:
        clicks = replace(clicks, boxes=boxes)
        expected["input_boxes"] = boxes[..., [1, 0, 3, 2]]
    masks = decoder([embedding], *without_words(2, 2), clicks, (SIDE, SIDE)).masks
    theirs = sam(image_embeddings=embedding, multimask_output=False, **expected).pred_masks[:, :, 0]
    assert theirs.std() > 0.1
    torch.testing.assert_close(masks, theirs, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_words_are_prompts_through_one_linear_layer(sam, folder):
    decoder = SamInstructionDecoder((HIDDEN,), WIDTH, folder).eval()
    embedding = torch.randn(2, HIDDEN, GRID, GRID)
    instruction = words()
    masks = decoder([embedding], *instruction).masks
    grid = sam.get_image_wide_positional_embeddings().expand(2, -1, -1, -1)
    nothing = sam.prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(2, -1, GRID, GRID)
    theirs, _ = sam.mask_decoder(embedding, grid, decoder.to_prompts(instruction[0]), nothing, multimask_output=False)
    torch.testing.assert_close(masks, theirs[:, :, 0], atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_masks_are_four_times_the_embedding_whatever_its_shape():
    decoder = random_decoder((8, 16), embedding=0)
    output = decoder([torch.randn(2, 8, 6, 10), torch.randn(2, 16, 3, 5)], *words())
    assert output.masks.shape == (2, 3, 24, 40)
    assert output.presence.shape == (2, 3)
    assert output.queries.shape == (2, 3, WIDTH)


@torch.inference_mode()
def test_padding_of_words_and_of_clicks_has_no_influence():
    decoder, pixels = random_decoder(), [torch.randn(2, 8, 12, 8), torch.randn(2, 16, 6, 4)]
    tokens, mask, pooled = words()
    clicks = clicks_for([[[[3, 4]]] * 3] * 2, [[[1]] * 3] * 2)
    short = decoder(pixels, tokens, mask, pooled, clicks, (96, 64))
    padded = Clicks(
        torch.cat([clicks.points, torch.full((2, 3, 2, 2), torch.nan)], dim=2),
        torch.cat([clicks.labels, torch.full((2, 3, 2), -1)], dim=2), clicks.boxes,
    )
    longer = torch.cat([tokens, 9 * torch.randn(2, 3, 4, WIDTH)], dim=2)
    longer_mask = torch.cat([mask, torch.zeros(2, 3, 4, dtype=torch.bool)], dim=2)
    long = decoder(pixels, longer, longer_mask, pooled, padded, (96, 64))
    for name in ("masks", "presence", "queries"):
        torch.testing.assert_close(getattr(short, name), getattr(long, name))


@torch.inference_mode()
def test_clicks_that_are_not_there_change_nothing_and_others_change_their_own_target_only():
    decoder, pixels = random_decoder(), [torch.randn(1, 8, 12, 8), torch.randn(1, 16, 6, 4)]
    instruction = words(1, 2)
    plain = decoder(pixels, *instruction).masks
    torch.testing.assert_close(decoder(pixels, *instruction, Clicks.none(1, 2), (96, 64)).masks, plain)
    one = clicks_for([[[[30, 20]], [[0, 0]]]], [[[1], [-1]]])
    clicked = decoder(pixels, *instruction, one, (96, 64)).masks
    torch.testing.assert_close(clicked[:, 1], plain[:, 1])
    assert (clicked[:, 0] - plain[:, 0]).abs().max() > 1e-3


@torch.inference_mode()
def test_targets_and_samples_do_not_disturb_each_other():
    decoder, pixels = random_decoder(), [torch.randn(2, 8, 12, 8), torch.randn(2, 16, 6, 4)]
    tokens, mask, pooled = words()
    together = decoder(pixels, tokens, mask, pooled).masks
    alone = decoder([p[1:] for p in pixels], tokens[1:, 2:], mask[1:, 2:], pooled[1:, 2:]).masks
    torch.testing.assert_close(together[1:, 2:], alone, atol=1e-5, rtol=1e-5)


def test_an_image_that_is_not_square_has_the_places_of_the_square_that_it_is_padded_to():
    decoder = random_decoder()
    square = decoder._grid((8, 8), (128, 128)).reshape(8, 8, -1)
    wide = decoder._grid((3, 8), (48, 128)).reshape(3, 8, -1)
    torch.testing.assert_close(wide, square[:3])
    # A click on the middle of a pixel has that pixel's code.
    said, there = decoder._marks(clicks_for([[[[39.5, 55.5]]]], [[[1]]]), (48, 128))
    torch.testing.assert_close(said[0, 0, 0] - decoder.marks[1].weight[0], wide[2, 3])
    assert there[0, 0].tolist() == [True, False, False, True]


def test_neighbours_share_most_of_their_position_code_when_it_is_drawn():
    grid = torch.nn.functional.normalize(random_decoder()._grid((16, 16), (256, 256)), dim=-1)
    assert grid[0] @ grid[1] > 0.6
    assert (grid[0] @ grid[8 * 16 + 8]).abs() < 0.4


def test_every_parameter_learns_and_the_decoder_is_light():
    decoder = random_decoder().train()
    clicks = clicks_for([[[[3, 4]], [[5, 6]], [[0, 0]]]] * 2, [[[1], [0], [-1]]] * 2,
                        [[[float("nan")] * 4, [float("nan")] * 4, [2, 3, 20, 30]]] * 2)
    output = decoder([torch.randn(2, 8, 12, 8), torch.randn(2, 16, 6, 4)], *words(), clicks, (96, 64))
    (output.masks.square().mean() + output.presence.square().mean()).backward()
    assert [n for n, p in decoder.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    assert 3.5e6 < sum(p.numel() for p in decoder.parameters()) < 4.5e6


@torch.inference_mode()
def test_sixteen_bits_are_enough():
    decoder, pixels = random_decoder(), [torch.randn(1, 8, 12, 8), torch.randn(1, 16, 6, 4)]
    clicks = clicks_for([[[[30, 20]], [[0, 0]]]], [[[1], [-1]]])
    exact, grid = decoder(pixels, *words(1, 2), clicks, (96, 64)).masks, decoder._grid((6, 4), (96, 64))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = decoder(pixels, *words(1, 2), clicks, (96, 64)).masks.float()
        # Places stay exact.
        torch.testing.assert_close(decoder._grid((6, 4), (96, 64)), grid)
    assert (rounded - exact).abs().max() < 0.1 * exact.abs().max()


def test_a_map_of_another_width_is_projected_and_a_fitting_one_is_not(folder):
    assert isinstance(SamInstructionDecoder((HIDDEN,), WIDTH, folder).to_embedding, torch.nn.Identity)
    assert isinstance(SamInstructionDecoder((16,), WIDTH, folder).to_embedding, torch.nn.Conv2d)
    assert isinstance(random_decoder((256,)).to_embedding, torch.nn.Conv2d)


def test_what_is_no_sam_is_refused(tmp_path: Path):
    transformers.BertConfig().save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="expected a SAM"):
        SamInstructionDecoder((8,), WIDTH, str(tmp_path))
    with pytest.raises(UsageError, match="no folder"):
        SamInstructionDecoder((8,), WIDTH, str(tmp_path / "nowhere"))


def test_a_sam_without_its_decoder_is_refused(sam, tmp_path: Path):
    kept = {name: value for name, value in sam.state_dict().items() if not name.startswith("mask_decoder.")}
    sam.save_pretrained(tmp_path, state_dict=kept)
    with pytest.raises(UsageError, match="mask_decoder"):
        SamInstructionDecoder((HIDDEN,), WIDTH, str(tmp_path))


def test_clicks_need_the_size_of_their_image():
    with pytest.raises(UsageError, match="without the size"):
        random_decoder()([torch.randn(1, 8, 4, 4), torch.randn(1, 16, 2, 2)], *words(1, 2), Clicks.none(1, 2))
