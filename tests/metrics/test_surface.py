"""HD95 and NSD against numbers worked out by hand, and against MONAI, medpy and surface-distance where they agree."""

import math

import numpy as np
import pytest

from zeusseg.metrics import (
    Definitions,
    average_symmetric_surface_distance,
    compute_scores,
    hausdorff_95,
    normalized_surface_dice,
    surface_distances,
)

HALF = Definitions(tolerances=(0.5,))


def voxels(shape, *points):
    mask = np.zeros(shape, bool)
    for point in points:
        mask[point] = True
    return mask


def blobs(seed, shape=(24, 22, 12)):
    """Two rough balls that overlap and, by the second seed on, reach the edge of the image."""
    random = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*(np.arange(size) for size in shape), indexing="ij"), -1)
    masks = []
    for _ in range(2):
        centre = np.array(shape) / 2 + random.uniform(-3, 3, 3) - seed
        distance = np.linalg.norm((grid - centre) / [1, 1, 0.6], axis=-1)
        masks.append((distance < random.uniform(5, 8)) & (random.random(shape) < 0.97))
    return masks


def test_two_voxels_are_as_far_apart_as_the_spacing_says():
    first, second = voxels((8, 8, 8), (1, 1, 1)), voxels((8, 8, 8), (4, 1, 5))
    # 3 voxels of 2 mm and 4 voxels of 2 mm: 10 mm; with 1 and 5 mm edges: sqrt(3² + 20²).
    assert hausdorff_95(surface_distances(first, second, (2, 2, 2))) == pytest.approx(10.0)
    assert hausdorff_95(surface_distances(first, second, (1, 1, 5))) == pytest.approx(math.sqrt(9 + 400))


def test_spacing_belongs_to_its_axis():
    reference = voxels((5, 5, 5), (2, 2, 2))
    shifted = {axis: np.roll(reference, 1, axis) for axis in range(3)}
    found = [hausdorff_95(surface_distances(shifted[axis], reference, (0.5, 2.0, 7.0))) for axis in range(3)]
    assert found == pytest.approx([0.5, 2.0, 7.0])


def test_hd95_is_the_larger_of_the_two_directed_percentiles():
    reference = voxels((1, 40), *[(0, column) for column in range(21)])
    prediction = voxels((1, 40), (0, 0))
    distances = surface_distances(prediction, reference, (1, 1))
    # One plane is dropped, so the line's border is its two ends, 0 and 20; the 95th percentile of (0, 20) is 19.
    assert distances.from_prediction.tolist() == [0]
    assert distances.from_reference.tolist() == [0, 20]
    assert hausdorff_95(distances) == pytest.approx(19.0)


def test_the_inside_of_a_mask_is_not_its_border():
    cube = np.zeros((7, 7, 7), bool)
    cube[2:5, 2:5, 2:5] = True
    assert surface_distances(cube, cube, (1, 1, 1)).from_reference.size == 26  # 27 voxels less the centre


def test_a_mask_that_fills_the_image_has_a_border_at_the_edge():
    assert surface_distances(np.ones((3, 3), bool), np.ones((3, 3), bool), (1, 1)).from_reference.size == 8


def test_a_picture_of_one_plane_has_the_border_of_a_flat_shape():
    square = np.zeros((9, 9, 1), bool)
    square[2:7, 2:7] = True
    assert surface_distances(square, square, (1, 1, 1)).from_reference.size == 16  # 5x5 less the 3x3 inside
    flat = compute_scores(np.roll(square, 1, 0), square, (1, 1, 1), HALF)
    assert flat == pytest.approx(compute_scores(np.roll(square, 1, 0)[..., 0], square[..., 0], (1, 1), HALF))


def test_one_plane_of_a_volume_is_border_all_over():
    square = np.zeros((9, 9, 5), bool)
    square[2:7, 2:7, 3] = True
    assert surface_distances(square, square, (1, 1, 1)).from_reference.size == 25


def test_nsd_counts_border_voxels_of_both_within_the_tolerance():
    reference = voxels((1, 20), (0, 3))
    prediction = voxels((1, 20), (0, 3), (0, 5), (0, 9))
    distances = surface_distances(prediction, reference, (1, 1))  # predicted: 0, 2 and 6 away; reference: 0
    assert normalized_surface_dice(distances, 0) == pytest.approx(2 / 4)
    assert normalized_surface_dice(distances, 2) == pytest.approx(3 / 4)
    assert normalized_surface_dice(distances, 6) == pytest.approx(1.0)


def test_a_distance_equal_to_the_tolerance_is_within_it_whatever_floating_point_says():
    reference, prediction = voxels((9, 1), (1, 0)), voxels((9, 1), (7, 0))
    assert surface_distances(prediction, reference, (0.1, 1)).from_reference[0] > 0.6  # 0.6000000000000001
    assert normalized_surface_dice(surface_distances(prediction, reference, (0.1, 1)), 0.6) == 1.0


@pytest.mark.parametrize(
    ("predicted", "true", "hd95", "nsd"),
    [
        (False, False, math.nan, math.nan),  # rightly empty
        (True, False, math.nan, math.nan),  # a false mask
        (False, True, 13.0, 0.0),  # a miss: the diagonal of 3 x 4 x 6 voxels of 1, 1 and 2 mm: sqrt(9 + 16 + 144)
        (True, True, 0.0, 1.0),
    ],
)
def test_every_combination_of_empty_masks(predicted, true, hd95, nsd):
    shape, point = (3, 4, 6), (1, 1, 1)
    prediction, reference = (voxels(shape, point) if there else voxels(shape) for there in (predicted, true))
    distances = surface_distances(prediction, reference, (1, 1, 2))
    assert hausdorff_95(distances) == pytest.approx(hd95, nan_ok=True)
    assert normalized_surface_dice(distances, 1.0) == pytest.approx(nsd, nan_ok=True)


def test_a_miss_scores_no_surface_even_where_the_tolerance_exceeds_the_image():
    distances = surface_distances(voxels((3, 3)), voxels((3, 3), (1, 1)), (1, 1))
    assert normalized_surface_dice(distances, 100) == 0


def test_the_diagonal_of_a_picture_ignores_its_single_plane():
    assert surface_distances(voxels((3, 4, 1)), voxels((3, 4, 1)), (1, 1, 9)).diagonal == pytest.approx(5.0)


def test_a_single_voxel_image_is_scored():
    found = surface_distances(np.ones((1, 1, 1), bool), np.ones((1, 1, 1), bool), (1, 1, 1))
    assert (hausdorff_95(found), normalized_surface_dice(found, 1)) == (0, 1)


@pytest.mark.parametrize("spacing", [(1, 1), (1, 1, 0), (1, 1, -2)])
def test_a_spacing_that_does_not_fit_is_refused(spacing):
    with pytest.raises(ValueError, match=r"spacing .* does not fit"):
        surface_distances(voxels((2, 2, 2)), voxels((2, 2, 2)), spacing)


def test_different_shapes_and_negative_tolerances_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        surface_distances(voxels((2, 2)), voxels((2, 3)), (1, 1))
    with pytest.raises(ValueError, match=r"tolerance -1 is negative"):
        normalized_surface_dice(surface_distances(voxels((2, 2)), voxels((2, 2)), (1, 1)), -1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.3, 4.0)])
def test_hd95_and_nsd_equal_monai(seed, spacing):
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice

    prediction, reference = blobs(seed)
    found = compute_scores(prediction, reference, spacing)
    masks = [torch.from_numpy(mask)[None, None] for mask in (prediction, reference)]
    options = {"include_background": True, "spacing": spacing}
    expected_hd95 = compute_hausdorff_distance(*masks, percentile=95, **options).item()
    expected_nsd = compute_surface_dice(*masks, class_thresholds=[2.0], **options).item()
    expected_assd = compute_average_surface_distance(*masks, symmetric=True, **options).item()
    assert found["hd95"] == pytest.approx(expected_hd95, rel=1e-6)
    assert found["assd"] == pytest.approx(expected_assd, rel=1e-6)
    assert found["nsd_2"] == pytest.approx(expected_nsd, rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_directed_distances_equal_medpy(seed):
    from medpy.metric import binary

    prediction, reference = blobs(seed)
    found = surface_distances(prediction, reference, (0.7, 1.3, 4.0))
    # medpy's HD95 pools both directions, so its mean and largest distances are what can be compared.
    assert found.from_prediction.mean() == pytest.approx(binary.asd(prediction, reference, (0.7, 1.3, 4.0)))
    assert found.from_reference.mean() == pytest.approx(binary.asd(reference, prediction, (0.7, 1.3, 4.0)))
    largest = max(found.from_prediction.max(), found.from_reference.max())
    assert largest == pytest.approx(binary.hd(prediction, reference, (0.7, 1.3, 4.0)))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.3, 4.0)])
def test_surface_elements_equal_surface_distance(seed, spacing):
    import surface_distance

    prediction, reference = blobs(seed)
    found = surface_distances(prediction, reference, spacing, "elements")
    theirs = surface_distance.compute_surface_distances(reference, prediction, spacing)
    assert hausdorff_95(found) == pytest.approx(surface_distance.compute_robust_hausdorff(theirs, 95), rel=1e-6)
    for tolerance in (0.5, 1.0, 3.0):
        expected = surface_distance.compute_surface_dice_at_tolerance(theirs, tolerance)
        assert normalized_surface_dice(found, tolerance) == pytest.approx(expected, rel=1e-6)
    to_prediction, to_reference = surface_distance.compute_average_surface_distance(theirs)
    areas = [theirs["surfel_areas_gt"].sum(), theirs["surfel_areas_pred"].sum()]
    pooled = np.average([to_prediction, to_reference], weights=areas)
    assert average_symmetric_surface_distance(found) == pytest.approx(pooled, rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_outline_elements_of_a_picture_equal_surface_distance(seed):
    import surface_distance

    prediction, reference = (mask[:, :, 5] for mask in blobs(seed))
    found = surface_distances(prediction, reference, (0.7, 1.3), "elements")
    theirs = surface_distance.compute_surface_distances(reference, prediction, (0.7, 1.3))
    assert hausdorff_95(found) == pytest.approx(surface_distance.compute_robust_hausdorff(theirs, 95), rel=1e-6)
    expected = surface_distance.compute_surface_dice_at_tolerance(theirs, 1.0)
    assert normalized_surface_dice(found, 1.0) == pytest.approx(expected, rel=1e-6)


def test_the_surface_of_one_voxel_is_eight_corner_pieces():
    found = surface_distances(voxels((3, 3, 3), (1, 1, 1)), voxels((3, 3, 3), (1, 1, 1)), (1, 1, 1), "elements")
    assert len(found.from_reference) == 8
    # Each corner is cut off by the triangle between the middles of its three edges: sides of sqrt(1/2).
    assert found.reference_areas.sum() == pytest.approx(8 * math.sqrt(3) / 4 * 0.5)


def test_an_unknown_surface_is_refused():
    with pytest.raises(ValueError, match="'border' or 'elements'"):
        surface_distances(voxels((3, 3)), voxels((3, 3)), (1, 1), "voxels")


def test_assd_is_the_mean_over_all_points_of_both_surfaces():
    reference = voxels((1, 20), (0, 3))
    prediction = voxels((1, 20), (0, 3), (0, 5), (0, 9))  # 0, 2 and 6 away; the reference's own point: 0
    assert average_symmetric_surface_distance(surface_distances(prediction, reference, (1, 1))) == pytest.approx(8 / 4)


@pytest.mark.parametrize(("kind"), ["border", "elements"])
def test_empty_masks_have_no_assd_and_a_miss_the_diagonal(kind):
    empty, full = voxels((3, 4, 6)), voxels((3, 4, 6), (1, 1, 1))
    spacing = (1, 1, 2)
    assert average_symmetric_surface_distance(surface_distances(empty, full, spacing, kind)) == pytest.approx(13)
    assert math.isnan(average_symmetric_surface_distance(surface_distances(full, empty, spacing, kind)))
