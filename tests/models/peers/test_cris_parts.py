"""The parts of CRIS: pooling, neck, decoder and projector."""

import math

import torch
from torch import nn
from torch.nn import functional

from zeusseg.models.peers.cris_parts import (
    DensePooling,
    FusionNeck,
    Projector,
    WithCoordinates,
    WordDecoder,
    map_positions,
    sinusoids,
)


def test_pooling_attends_from_every_position_and_adds_the_map(seeded: None) -> None:
    pool = DensePooling(side=2, width=8, heads=2, embed=4).eval()
    maps = torch.randn(1, 8, 2, 2)
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    attention.in_proj_weight.data = torch.cat([pool.q_proj.weight, pool.k_proj.weight, pool.v_proj.weight])
    attention.in_proj_bias.data = torch.cat([pool.q_proj.bias, pool.k_proj.bias, pool.v_proj.bias])
    attention.out_proj = nn.Identity()
    attention.out_proj.weight, attention.out_proj.bias = nn.Parameter(torch.eye(8)), nn.Parameter(torch.zeros(8))
    tokens = maps.flatten(2).transpose(1, 2) + pool.positional_embedding[1:]
    seen = pool.c_proj(attention(tokens, tokens, tokens)[0]).transpose(1, 2).reshape(1, 4, 2, 2)
    torch.testing.assert_close(pool(maps), functional.relu(seen + pool.connect(maps)))


def test_each_sentence_makes_the_kernel_for_its_own_map(seeded: None) -> None:
    project = Projector(width=8, embed=6).eval()
    maps, sentences = torch.randn(3, 8, 2, 2), torch.randn(3, 6)
    told = project.txt(sentences)
    expected = [
        functional.conv2d(project.vis(maps[i : i + 1]), told[i, :-1].reshape(1, 4, 3, 3), told[i, -1:], padding=1)[0, 0]
        for i in range(3)
    ]
    torch.testing.assert_close(project(maps, sentences), torch.stack(expected))


def test_the_sentence_decides_how_much_of_the_coarsest_map_passes(seeded: None) -> None:
    neck = FusionNeck((4, 6, 8), fine=4, middle=8, coarse=8).eval()
    fine, middle, sentence = torch.randn(1, 4, 8, 8), torch.randn(1, 6, 4, 4), torch.randn(1, 8)

    def fused(coarse: torch.Tensor) -> torch.Tensor:
        return neck([fine, middle, coarse], sentence)

    first, second = torch.randn(2, 1, 8, 2, 2)
    assert fused(first).shape == (1, 8, 4, 4)
    assert not torch.equal(fused(first), fused(second))
    nn.init.zeros_(neck.txt_proj[0].weight)  # a sentence that closes every channel
    assert torch.equal(fused(first), fused(second))


def test_the_neck_sees_where_a_position_is() -> None:
    layer = WithCoordinates(1).eval()
    nn.init.zeros_(layer.conv1[0].weight)
    layer.conv1[0].weight.data[0, :, 1, 1] = torch.tensor([0.0, 1.0, 10.0])  # column + 10 · row
    found = layer(torch.ones(1, 1, 3, 3))[0, 0] * math.sqrt(1 + 1e-5)
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [9.0, 10.0, 11.0]]))


def test_the_decoder_knows_the_order_of_words_and_the_place_of_pixels(seeded: None) -> None:
    decoder = WordDecoder(layers=1, width=8, heads=2, feedforward=16, dropout=0.1).eval()
    maps, words, mask = torch.randn(1, 8, 3, 3), torch.randn(1, 4, 8), torch.ones(1, 4, dtype=torch.bool)
    # Attention alone gives the same for words in any order, and moved pixels for pixels that moved.
    assert not torch.allclose(decoder(maps, words.flip(1), mask), decoder(maps, words, mask), atol=1e-3)
    layer = decoder.layers[0]
    for closed in (layer.self_attn_norm, layer.cross_attn_norm):
        nn.init.zeros_(closed.weight)  # what is left is the attention of the other kind
        for axis in (-1, -2):
            moved = decoder(maps.flip(axis), words, mask).flip(axis)
            assert not torch.allclose(moved, decoder(maps, words, mask), atol=1e-3)
        nn.init.ones_(closed.weight)


def test_positions_are_sines_and_cosines() -> None:
    device = torch.device("cpu")
    one = [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)]
    torch.testing.assert_close(sinusoids(2, 4, device), torch.tensor([[0.0, 1.0, 0.0, 1.0], one]))
    # Two rows of one column, with two channels for the column and two for the row.
    places = torch.tensor([[0.0, 1.0, 0.0, 1.0], [0.0, 1.0, math.sin(1), math.cos(1)]])
    torch.testing.assert_close(map_positions(2, 1, 4, device), places)
    torch.testing.assert_close(map_positions(1, 2, 4, device), places[:, [2, 3, 0, 1]])


