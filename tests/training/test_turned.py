"""Queries that turn a mask: what they ask for, in words and in pixels."""

import numpy as np
import pytest
import torch

from zeusseg.case import Target
from zeusseg.datasets.phantom import make_phantom
from zeusseg.inference.slices import Slicing
from zeusseg.instruct.attributes import Attributes, is_held_out
from zeusseg.instruct.knowledge import known_targets
from zeusseg.training.turned import Turned, draw_turned, find_pieces

LESION = Target("lesion", (1, 2, 3))
VENTRICLES = Target("ventricles", (4,))
SLICING = Slicing(1)


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(11, several=True)


@pytest.fixture(scope="module")
def pieces(phantom):
    return find_pieces(phantom.case, (LESION,), SLICING)


def draws(pieces, count=400, **kwargs):
    rng = np.random.default_rng(0)
    plane = int(pieces.numbers[0].flatten(1).sum(dim=1).argmax())
    options = {"mirrored": False, "hold_out": False, **kwargs}
    asked = [
        draw_turned([0], 1, pieces, plane, ("t1", "t1ce"), ("side", "size", "signal"), rng, **options)
        for _ in range(count)
    ]
    return [one for one in asked if one is not None]


def test_the_pieces_in_slices_are_those_of_the_case(phantom, pieces):
    assert set(pieces.numbers.unique().tolist()) == {0, *(piece.number for piece in pieces.instances[0].each)}
    for piece in pieces.instances[0].each:
        assert int((pieces.numbers[0] == piece.number).sum()) == piece.voxels


def test_an_attribute_query_has_the_mask_of_the_pieces_that_fit(pieces):
    instances = pieces.instances[0]
    for query in (one for one in draws(pieces) if one.kind == "attributes"):
        assert set(query.pieces) == set(instances.matching(query.wanted) or ())
        plane = int(pieces.numbers[0].flatten(1).sum(dim=1).argmax())
        mask = query.mask(torch.ones_like(pieces.numbers[0, plane]), pieces, plane)
        assert torch.equal(mask.bool(), torch.isin(pieces.numbers[0, plane], torch.tensor(query.pieces)))


def test_some_attribute_queries_fit_nothing_and_some_do(pieces):
    asked = [one for one in draws(pieces) if one.kind == "attributes"]
    assert any(one.pieces for one in asked)
    assert any(not one.pieces for one in asked)


def test_held_out_combinations_are_not_asked_for_mirrored_or_not(pieces):
    assert any(is_held_out(one.wanted) for one in draws(pieces))
    for mirrored in (False, True):
        assert not any(is_held_out(one.wanted) for one in draws(pieces, hold_out=True, mirrored=mirrored))


def test_in_a_mirrored_slice_the_words_say_the_other_side(pieces):
    instances = pieces.instances[0]
    sided = [one for one in draws(pieces, mirrored=True) if one.wanted.side and one.pieces]
    for query in sided:
        real = {"left": "right", "right": "left"}[query.wanted.side]
        assert {piece.side for piece in instances.each if piece.number in query.pieces} == {real}
    assert sided


def test_a_negated_target_has_no_mask_and_a_contrast_the_whole_one(pieces):
    whole = torch.ones(4, 4, dtype=torch.uint8)
    assert not Turned("negated", 0).mask(whole, pieces, 0).any()
    assert torch.equal(Turned("contrast", 0, 1).mask(whole, pieces, 0), whole)
    assert not Turned("instead", 0).mask(whole, pieces, 0).any()


def test_the_words_say_what_is_asked():
    known = known_targets((LESION, VENTRICLES))
    rng = np.random.default_rng(1)
    negated = Turned("negated", 1).text(known, "spleen", "", rng).casefold()
    contrast = Turned("contrast", 0, 1).text(known, "spleen", "", rng).casefold()
    names = [[name.casefold() for name in one.names] for one in known]
    assert any(name in negated for name in names[1])
    assert all(any(name in contrast for name in both) for both in names)
    against_absent = [Turned(kind, 0).text(known, "spleen", "", rng).casefold() for kind in ("contrast", "instead")]
    assert all("spleen" in text and any(name in text for name in names[0]) for text in against_absent)
    sided = Turned("attributes", 0, wanted=Attributes(side="left")).text(known, "spleen", "", rng).casefold()
    assert "left" in sided


def test_a_single_target_is_set_against_what_is_not_there_either_way_round(pieces):
    kinds = {(one.kind, one.other) for one in draws(pieces) if one.kind != "attributes"}
    assert kinds == {("negated", -1), ("contrast", -1), ("instead", -1)}


def test_masks_of_pieces_are_compared_apart_from_those_of_the_whole():
    assert Turned("attributes", 1).group(3) == 4
    assert Turned("contrast", 1).group(3) == Turned("negated", 1).group(3) == 1


def test_nothing_is_asked_where_nothing_can_be(pieces):
    rng = np.random.default_rng(0)
    assert draw_turned([], 1, None, 0, ("t1",), ("side",), rng, mirrored=False, hold_out=False) is None
