"""The ground floor: orientation, consistency, and the axis that slices are cut across."""

import itertools

import nibabel
import numpy as np
import pytest

from zeusseg.case import Case, Target, Volume, find_target
from zeusseg.errors import BadInputError

FLIPS_AND_PERMUTATIONS = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1.0, -1.0), repeat=3)
]


def affine_of(order, signs, oblique: float = 0.0) -> np.ndarray:
    """File axis i runs along world axis order[i], with spacings 1, 2, 3 mm by world axis, perhaps tilted."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for file_axis, (world_axis, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world_axis, file_axis] = sign * (world_axis + 1.0)
    c, s = np.cos(oblique), np.sin(oblique)
    tilt = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    affine[:3, :3] = tilt @ affine[:3, :3]
    affine[:3, 3] = (11.0, -7.0, 5.0)
    return affine


@pytest.mark.parametrize("oblique", [0.0, 0.2])
@pytest.mark.parametrize(("order", "signs"), FLIPS_AND_PERMUTATIONS)
def test_every_orientation_is_undone_bit_for_bit(order, signs, oblique):
    array = np.random.default_rng(0).integers(-1000, 1000, (3, 4, 5)).astype(np.int16)
    volume = Volume.from_file(array, affine_of(order, signs, oblique))
    back = volume.to_file(volume.array)
    assert back.dtype == array.dtype
    assert np.array_equal(back, array)


@pytest.mark.parametrize(("order", "signs"), FLIPS_AND_PERMUTATIONS)
def test_canonical_is_what_nibabel_calls_canonical(order, signs):
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    affine = affine_of(order, signs, 0.1)
    volume, expected = Volume.from_file(array, affine), nibabel.as_closest_canonical(nibabel.Nifti1Image(array, affine))
    assert np.array_equal(volume.array, np.asarray(expected.dataobj))
    np.testing.assert_allclose(volume.affine, expected.affine)
    np.testing.assert_allclose(volume.spacing_mm, (1.0, 2.0, 3.0))


def test_a_singular_affine_is_refused():
    with pytest.raises(BadInputError, match="invertible"):
        Volume.from_file(np.zeros((2, 2, 2)), np.diag([1.0, 0.0, 1.0, 1.0]))


def volume(shape=(4, 4, 4), spacing=(1.0, 1.0, 1.0)) -> Volume:
    return Volume.from_file(np.zeros(shape, dtype=np.uint8), np.diag([*spacing, 1.0]))


def test_an_array_of_another_shape_is_not_written_on_this_grid():
    with pytest.raises(ValueError, match="not on the grid"):
        volume().to_file(np.zeros((4, 4, 5)))


def test_a_case_names_the_modality_that_is_on_another_grid():
    with pytest.raises(BadInputError, match=r"case 'c': t1 \(4, 4, 5\) is not on the grid of flair \(4, 4, 4\)"):
        Case("c", "p", {"flair": volume(), "t1": volume((4, 4, 5))})


def test_a_case_without_images_is_refused():
    with pytest.raises(BadInputError, match="no image"):
        Case("c", "p", {})


def test_a_mask_unites_all_values_of_its_target():
    labels = volume()
    labels.array[0, 0, :3] = (1, 2, 4)
    case = Case("c", "p", {"t1": volume()}, labels)
    assert case.mask(Target("whole tumor", (1, 2, 4))).sum() == 3
    assert case.mask(Target("core", (1, 4))).sum() == 2
    with pytest.raises(BadInputError, match="no labels"):
        case.without_labels().mask(Target("core", (1,)))


@pytest.mark.parametrize(
    ("shape", "spacing", "known", "axis"),
    [
        ((240, 240, 155), (1.0, 1.0, 1.0), True, 2),  # isotropic: axial
        ((20, 240, 240), (5.0, 1.0, 1.0), True, 0),  # sagittal stack
        ((240, 20, 240), (1.0, 5.0, 1.0), True, 1),
        ((192, 192, 30), (1.0, 1.0, 1.0), False, 2),  # fewest planes
        ((12, 192, 192), (1.0, 1.0, 5.0), False, 0),  # the header's spacing does not count
    ],
)
def test_slices_are_cut_across(shape, spacing, known, axis):
    array = np.broadcast_to(np.uint8(0), shape)
    made = Volume.from_file(array, np.diag([*spacing, 1.0]))
    assert Case("c", "p", {"t1": made}, spacing_known=known).slice_axis == axis


def test_unknown_spacing_is_counted_in_voxels():
    case = Case("c", "p", {"t1": volume(spacing=(2.0, 2.0, 2.0))}, spacing_known=False)
    assert case.spacing_mm == (1.0, 1.0, 1.0)


def test_modalities_are_chosen_by_name_and_none_is_refused():
    case = Case("c", "p", {"flair": volume(), "t1": volume()})
    assert list(case.with_modalities(["t1", "ct"]).images) == ["t1"]
    with pytest.raises(BadInputError, match=r"has \['flair', 't1'\] but none of \['ct'\]"):
        case.with_modalities(["ct"])


def test_targets_are_found_by_name_or_synonym():
    targets = (Target("LVC", (3,), ("left ventricle cavity",)), Target("RV", (1,)))
    assert find_target(targets, "Left Ventricle Cavity ") == targets[0]
    assert find_target(targets, "liver") is None
