"""All measures in one call: their names, what empty masks give, and what must not change them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zeusseg.metrics import Definitions, compute_scores

SHAPE = (3, 4, 6)
SPACING = (1.0, 1.0, 2.0)  # the diagonal: sqrt(3² + 4² + 12²) = 13
OVERLAPS = ("dice", "iou", "precision", "recall", "nsd_2", "lesion_f1", "lesion_dice")
DISTANCES = ("hd95", "assd")
MASKS = arrays(bool, (5, 6, 4))
SPACINGS = st.tuples(*[st.sampled_from([0.5, 1.0, 2.5])] * 3)


def mask(*points):
    made = np.zeros(SHAPE, bool)
    for point in points:
        made[point] = True
    return made


def test_all_measures_have_a_name_and_a_place():
    found = compute_scores(mask((1, 1, 1)), mask((1, 1, 1)), SPACING, Definitions(tolerances=(0.5, 2)))
    assert list(found) == [
        "dice", "iou", "precision", "recall", "hd95", "assd", "nsd_0.5", "nsd_2", "volume_difference", "lesion_f1",
        "lesion_dice",
    ]  # fmt: skip


def test_numbers_worked_out_by_hand():
    # Two of three predicted voxels are right, two of four reference voxels are found; one voxel is 2 mm³.
    prediction, reference = mask((0, 0, 0), (0, 1, 0), (2, 3, 5)), mask((0, 0, 0), (0, 1, 0), (0, 2, 0), (0, 3, 0))
    found = compute_scores(prediction, reference, SPACING)
    assert found["dice"] == pytest.approx(2 * 2 / 7)
    assert found["iou"] == pytest.approx(2 / 5)
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(2 / 4)
    assert found["volume_difference"] == pytest.approx(-2.0)
    assert found["lesion_f1"] == pytest.approx(2 / 3)  # one found, one false
    assert found["lesion_dice"] == pytest.approx((2 * 2 / (4 + 2) + 0) / 2)


@pytest.mark.parametrize("surface", ["border", "elements"])
@pytest.mark.parametrize(
    ("predicted", "true", "empty", "overlap", "distance", "volume"),
    [
        (False, False, "nan", math.nan, math.nan, math.nan),
        (True, False, "nan", math.nan, math.nan, math.nan),
        (False, True, "nan", 0.0, 13.0, -2.0),
        (True, True, "nan", 1.0, 0.0, 0.0),
        (False, False, "one", 1.0, 0.0, 0.0),
        (True, False, "one", 0.0, 13.0, 2.0),
        (False, True, "one", 0.0, 13.0, -2.0),
        (True, True, "one", 1.0, 0.0, 0.0),
    ],
)
def test_every_combination_of_empty_masks(surface, predicted, true, empty, overlap, distance, volume):
    prediction, reference = (mask((1, 1, 1)) if there else mask() for there in (predicted, true))
    found = compute_scores(prediction, reference, SPACING, Definitions(surface=surface, empty=empty))
    assert {name: found[name] for name in OVERLAPS} == pytest.approx(dict.fromkeys(OVERLAPS, overlap), nan_ok=True)
    assert {name: found[name] for name in DISTANCES} == pytest.approx(dict.fromkeys(DISTANCES, distance), nan_ok=True)
    assert found["volume_difference"] == pytest.approx(volume, nan_ok=True)


def test_only_what_is_asked_for_is_measured():
    assert compute_scores(mask((1, 1, 1)), mask((1, 1, 1)), SPACING, measures=("nsd_2", "dice")) == {
        "nsd_2": 1.0,
        "dice": 1.0,
    }


def test_an_unknown_measure_is_refused():
    with pytest.raises(ValueError, match="unknown measure 'nsd_1': expected some of dice"):
        compute_scores(mask(), mask(), SPACING, measures=("nsd_1",))


@settings(deadline=None, max_examples=60)
@given(first=MASKS, second=MASKS, spacing=SPACINGS)
def test_exchanging_the_masks_changes_only_what_has_a_direction(first, second, spacing):
    # Single voxels are set so that neither mask is empty, which has its own rules.
    first[0, 0, 0] = second[4, 5, 3] = True
    one, other = compute_scores(first, second, spacing), compute_scores(second, first, spacing)
    symmetric = ("dice", "iou", "hd95", "assd", "nsd_2")
    assert {name: one[name] for name in symmetric} == pytest.approx({name: other[name] for name in symmetric})
    assert (one["precision"], one["recall"]) == (other["recall"], other["precision"])
    assert one["volume_difference"] == -other["volume_difference"]


@settings(deadline=None, max_examples=60)
@given(first=MASKS, second=MASKS, spacing=SPACINGS, kind=st.sampled_from(["border", "elements"]), factor=st.just(3.0))
def test_distances_scale_with_the_spacing_and_overlaps_do_not(first, second, spacing, kind, factor):
    small = compute_scores(first, second, spacing, Definitions(kind, (1.0,)))
    large = compute_scores(first, second, [factor * edge for edge in spacing], Definitions(kind, (factor,)))
    for name, value in small.items():
        power = {"hd95": 1, "assd": 1, "volume_difference": 3}.get(name, 0)
        assert large[name.replace("nsd_1", "nsd_3")] == pytest.approx(value * factor**power, nan_ok=True), name


@settings(deadline=None, max_examples=60)
@given(first=MASKS, second=MASKS, spacing=SPACINGS, shift=st.tuples(*[st.integers(0, 3)] * 3))
def test_where_in_the_image_masks_lie_does_not_matter(first, second, spacing, shift):
    first[0, 0, 0] = second[4, 5, 3] = True
    moved = []
    for made in (first, second):
        image = np.zeros((12, 12, 12), bool)
        image[tuple(slice(s, s + size) for s, size in zip(shift, made.shape, strict=True))] = made
        moved.append(image)
    assert compute_scores(*moved, spacing) == pytest.approx(compute_scores(first, second, spacing))


@settings(deadline=None, max_examples=40)
@given(masks=st.tuples(MASKS, MASKS), spacing=SPACINGS)
def test_the_nearest_points_are_those_of_a_search_over_all_pairs(masks, spacing):
    from scipy.ndimage import binary_erosion
    from scipy.spatial.distance import cdist

    from zeusseg.metrics import surface_distances

    masks[0][0, 0, 0] = masks[1][4, 5, 3] = True
    points = [np.argwhere(made & ~binary_erosion(made)) * np.array(spacing) for made in masks]
    pairs = cdist(*points)
    found = surface_distances(*masks, spacing)
    assert np.sort(found.from_prediction) == pytest.approx(np.sort(pairs.min(axis=1)))
    assert np.sort(found.from_reference) == pytest.approx(np.sort(pairs.min(axis=0)))
