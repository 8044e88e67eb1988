"""What is measured of a lesion known by construction: side, place, polarity, size, shape, border, texture."""

import numpy as np
import pytest

from zeusseg.case import Volume
from zeusseg.instruct.measure import measure

SPACING_MM = (2.5, 2.5, 5.0)


@pytest.mark.parametrize(
    ("centre", "contrast", "side", "polarity", "front"),
    [
        ((45, 56, 6), 0.8, "right", "bright", "anterior"),
        ((18, 56, 6), 0.8, "left", "bright", "anterior"),
        ((18, 22, 6), -0.55, "left", "dark", "posterior"),
        ((45, 40, 6), -0.55, "right", "dark", "middle"),
    ],
)
def test_side_place_and_polarity_of_a_ball_are_stated(make_head, centre, contrast, side, polarity, front):
    (outlier,) = measure(make_head(centre, contrast=contrast), modality="flair").outliers
    assert (outlier.side, outlier.polarity, outlier.anterior_posterior) == (side, polarity, front)
    assert outlier.superior_inferior == "middle"
    assert np.abs(np.subtract(outlier.centre, centre)).max() < 1.0
    assert abs(abs(outlier.contrast) - abs(contrast)) < 0.1


@pytest.mark.parametrize("radius_mm", [11.0, 15.0, 22.0])
def test_the_diameter_is_within_a_quarter_of_the_balls(make_head, radius_mm):
    (outlier,) = measure(make_head((44, 45, 6), radius_mm=radius_mm), modality="flair").outliers
    assert outlier.diameter == pytest.approx(2 * radius_mm, rel=0.25)
    assert outlier.volume_ml == pytest.approx(np.pi / 6 * outlier.diameter**3 / 1000)
    assert outlier.voxels * np.prod(SPACING_MM) / 1000 == pytest.approx(outlier.volume_ml)
    assert outlier.roundness > 0.9
    assert (outlier.border, outlier.texture) == ("sharp", "homogeneous")


def test_a_ring_is_measured_with_its_middle_and_called_a_ring(make_head):
    array = make_head((44, 45, 6), radius_mm=18).array.copy()
    core = np.asarray(make_head((44, 45, 6), radius_mm=10, contrast=5.0).array) > 300
    array[core] = 95.0
    (outlier,) = measure(Volume.from_file(array, np.diag([*SPACING_MM, 1.0])), modality="t1ce").outliers
    assert (outlier.polarity, outlier.texture) == ("bright", "ring")
    assert outlier.diameter == pytest.approx(36, rel=0.25)


def test_two_lesions_that_lie_opposite_each_other_are_both_stated(make_head):
    array = make_head((45, 45, 6)).array + make_head((18, 45, 6)).array - make_head(None).array
    outliers = measure(Volume.from_file(array, np.diag([*SPACING_MM, 1.0])), modality="flair").outliers
    assert sorted(outlier.side for outlier in outliers) == ["left", "right"]


def test_nothing_is_stated_of_a_symmetric_head(make_head):
    attributes = measure(make_head(None), modality="flair")
    assert attributes.outliers == ()
    assert attributes.frame == "body"


def test_the_same_voxels_give_the_same_attributes_however_the_file_lies(make_head):
    volume = make_head()
    flipped = Volume.from_file(volume.array[::-1, ::-1], np.diag([-2.5, -2.5, 5.0, 1.0]))
    assert measure(volume, modality="flair") == measure(volume, modality="flair") == measure(flipped, modality="flair")


def test_a_shift_and_scale_of_the_grey_values_changes_no_statement(make_head):
    volume = make_head()
    shifted = Volume.from_file(volume.array * 3 - 362, volume.affine)
    first, second = measure(volume, modality="flair").outliers, measure(shifted, modality="flair").outliers
    assert [(o.side, o.polarity, o.voxels) for o in first] == [(o.side, o.polarity, o.voxels) for o in second]


def test_without_a_known_spacing_lengths_are_in_voxels_and_there_are_no_millilitres(make_head):
    (outlier,) = measure(make_head(), modality="flair", spacing_known=False).outliers
    assert outlier.volume_ml is None
    # A ball of 30 mm is 12 voxels across in plane.
    assert outlier.in_plane == pytest.approx(12, rel=0.15)


def test_in_ct_bone_is_no_finding_and_a_denser_area_is():
    x, y, _ = np.indices((64, 80, 12))
    radius = np.hypot((x - 31.5) * 2.5 / 62, (y - 39.5) * 2.5 / 80)
    image = np.where(radius <= 1, np.where(radius > 0.9, 900.0, 35.0), -1000.0)
    image[np.hypot((x - 45) * 2.5, (y - 45) * 2.5) < 14] += np.where(radius < 0.9, 30, 0)[
        np.hypot((x - 45) * 2.5, (y - 45) * 2.5) < 14
    ]
    image += np.random.default_rng(1).normal(0, 3, image.shape)
    (outlier,) = measure(Volume.from_file(image, np.diag([*SPACING_MM, 1.0])), modality="ct").outliers
    assert (outlier.side, outlier.polarity) == ("right", "bright")


def test_a_dark_mass_in_an_ultrasound_picture_is_placed_in_the_picture():
    column, row = np.indices((200, 160))
    file = np.full((200, 160), 130.0)
    file[(column - 150) ** 2 + (row - 50) ** 2 < 25**2] = 40.0  # upper right of the picture as it is looked at
    file += np.random.default_rng(4).normal(0, 12, file.shape)
    picture = Volume.from_file(file[:, :, None], np.diag([-1.0, -1.0, 1.0, 1.0]), "picture")
    attributes = measure(picture, modality="us", spacing_known=False)
    (outlier,) = attributes.outliers
    assert attributes.frame == "picture"
    # A picture counts as a radiological view: its right is the patient's left, its top the front.
    assert (outlier.polarity, outlier.side, outlier.anterior_posterior) == ("dark", "left", "anterior")
    assert outlier.diameter == pytest.approx(50, rel=0.25)


def test_a_tiny_crop_and_a_single_value_are_measured_without_complaint():
    rng = np.random.default_rng(3)
    crop = Volume.from_file(rng.normal(300, 50, (36, 50, 35)).astype(np.float32), np.eye(4))
    assert measure(crop, modality="t1").frame == "crop"
    constant = Volume.from_file(np.full((20, 20, 5), 7.0), np.eye(4))
    assert measure(constant, modality="t1").outliers == ()
    speck = Volume.from_file(rng.normal(0, 1, (3, 2, 1)), np.eye(4))
    assert measure(speck, modality="t1").outliers == ()
