"""The pieces of a target and what tells them apart, on boxes whose answers are known and against phantoms' truth."""

from collections import Counter

import numpy as np
import pytest

from zeusseg.case import Case, Target, Volume
from zeusseg.datasets.instances import Instance, Instances, find_instances
from zeusseg.datasets.phantom import Phantom, make_phantom
from zeusseg.errors import BadInputError
from zeusseg.instruct.attributes import Attributes

LESION = Target("lesion", (1, 2))
SHAPE = (60, 70, 5)
Box = tuple[slice, slice, slice]
# x from 8 to 52: its middle is at 29.5; 8 % of its width are 3.5 voxels.
BODY = (slice(8, 52), slice(8, 62), slice(None))
LEFT, RIGHT, MIDDLE = (
    (slice(15, 23), slice(30, 38), slice(1, 4)),
    (slice(40, 44), slice(30, 34), slice(1, 3)),
    (slice(28, 32), slice(44, 48), slice(1, 3)),
)


def case_of(*boxes: Box, body: Box = BODY, inside: dict[str, float] | None = None, kind: str = "nifti") -> Case:
    """A body of 100 (noise 3) on air, boxes in it of the given brightness in each modality."""
    rng = np.random.default_rng(0)
    images = {}
    labels = np.zeros(SHAPE, np.uint8)
    for name, level in (inside or {"flair": 180.0}).items():
        image = np.zeros(SHAPE)
        image[body] = 100
        for box in boxes:
            image[box] = level
            labels[box] = 1
        image[body] += rng.normal(0, 3, image[body].shape)
        images[name] = Volume.from_file(image.astype(np.float32), np.diag([2.0, 2.0, 5.0, 1.0]), kind)
    return Case("a", "a", images, Volume.from_file(labels, np.diag([2.0, 2.0, 5.0, 1.0]), kind))


@pytest.fixture(scope="module")
def phantoms() -> list[Phantom]:
    return [make_phantom(seed, several=True, modalities=("t1", "t1ce")) for seed in range(300, 308)]


def test_pieces_are_numbered_from_the_largest_and_each_voxel_knows_its_own() -> None:
    found = find_instances(case_of(RIGHT, LEFT), LESION)
    assert [(piece.number, piece.voxels) for piece in found.each] == [(1, 192), (2, 32)]
    assert (found.numbers[LEFT] == 1).all()
    assert (found.numbers[RIGHT] == 2).all()
    assert np.count_nonzero(found.numbers) == 224
    assert found.numbers.dtype == np.uint8


def test_voxels_that_share_a_corner_are_one_piece_and_all_values_of_a_target_count() -> None:
    case = case_of((slice(20, 23), slice(20, 23), slice(0, 2)), (slice(23, 26), slice(23, 26), slice(2, 4)))
    case.labels.array[23:26, 23:26, 2:4] = 2
    assert [piece.voxels for piece in find_instances(case, LESION).each] == [36]


def test_specks_are_no_pieces_and_no_more_than_eight_are_kept() -> None:
    speck = (slice(45, 50), slice(50, 51), slice(1, 2))
    assert len(find_instances(case_of(LEFT, speck), LESION).each) == 1
    # 14 voxels are enough beside a small lesion, but less than 2 % of a large one of 720.
    grain = (slice(45, 52), slice(50, 52), slice(1, 2))
    assert len(find_instances(case_of(RIGHT, grain), LESION).each) == 2
    assert len(find_instances(case_of((slice(10, 22), slice(30, 42), slice(None)), grain), LESION).each) == 1
    many = [(slice(x, x + 3), slice(y, y + 3), slice(1, 3)) for x in (12, 20, 36, 44) for y in (15, 25, 35)]
    assert len(find_instances(case_of(*many), LESION).each) == 8


def test_sides_are_the_patients_and_left_open_near_the_midline() -> None:
    found = find_instances(case_of(LEFT, RIGHT, MIDDLE), LESION)
    assert [found.each[found.numbers[box].max() - 1].side for box in (LEFT, RIGHT, MIDDLE)] == ["left", "right", None]


def test_the_side_is_that_of_the_body_where_it_does_not_lie_in_the_middle_of_the_image() -> None:
    body = (slice(2, 40), slice(8, 62), slice(None))  # its middle is at 20.5
    found = find_instances(case_of((slice(26, 30), slice(30, 34), slice(1, 3)), body=body), LESION)
    assert [piece.side for piece in found.each] == ["right"]


def test_crops_pictures_and_targets_that_fill_the_view_have_no_sides() -> None:
    crop = case_of(LEFT, RIGHT, body=(slice(None),) * 3)
    picture = case_of(LEFT, RIGHT, kind="picture")
    filling = case_of((slice(8, 28), slice(8, 62), slice(None)))
    for case in (crop, picture, filling):
        assert {piece.side for piece in find_instances(case, LESION).each} == {None}


def test_small_and_large_are_told_by_diameter_and_not_between_them() -> None:
    # 192 and 32 voxels: diameters as 1.8 to 1; 80 lies at 1.02 of their geometric mean.
    between = (slice(40, 44), slice(50, 55), slice(0, 4))
    found = find_instances(case_of(LEFT, RIGHT, between), LESION)
    assert [piece.size for piece in found.each] == ["large", None, "small"]


def test_pieces_of_much_the_same_size_and_a_single_one_are_neither_small_nor_large() -> None:
    alike = (slice(40, 44), slice(50, 55), slice(0, 4))  # 80 to 32 voxels: diameters as 1.36 to 1
    for boxes in ((RIGHT, alike), (LEFT,)):
        assert {piece.size for piece in find_instances(case_of(*boxes), LESION).each} == {None}


@pytest.mark.parametrize(
    ("modality", "level", "expected"),
    [
        ("flair", 160, "bright"),
        ("flair", 60, "dark"),
        ("flair", 100, None),
        ("t1ce", 160, "bright"),
        # What does not enhance counts as dark, be it darker than the tissue around or not.
        ("t1ce", 60, "dark"),
        ("t1ce", 98, "dark"),
    ],
)
def test_signal_is_judged_against_the_tissue_around(modality: str, level: float, expected: str | None) -> None:
    found = find_instances(case_of(LEFT, inside={modality: level}), LESION)
    assert found.each[0].signal.get(modality) == expected


def test_a_bright_rim_enhances_and_is_neither_bright_nor_dark_elsewhere() -> None:
    case = case_of(LEFT, inside={"t1ce": 160, "t2": 160})
    for volume in case.images.values():
        volume.array[17:21, 32:36, 1:4] = 40
    assert dict(find_instances(case, LESION).each[0].signal) == {"t1ce": "bright"}


def test_air_does_not_count_as_tissue_around() -> None:
    # Half of what surrounds a dark piece in the corner of the body is darker air.
    corner = (slice(8, 14), slice(8, 14), slice(1, 4))
    found = find_instances(case_of(corner, inside={"t2": 70}), LESION)
    assert [dict(piece.signal) for piece in found.each] == [{"t2": "dark"}]


def test_other_pieces_do_not_count_as_tissue_around() -> None:
    # A dark piece between two darker ones, which fill most of what surrounds it.
    between = (slice(20, 26), slice(30, 38), slice(1, 4))
    case = case_of(between, inside={"t2": 70})
    for darker in ((slice(12, 18), slice(24, 44), slice(1, 4)), (slice(28, 34), slice(24, 44), slice(1, 4))):
        case.images["t2"].array[darker] = 20
        case.labels.array[darker] = 1
    found = find_instances(case, LESION)
    assert [dict(piece.signal) for piece in found.each] == [{"t2": "dark"}] * 3


def test_a_target_that_is_not_there_has_no_pieces_and_labels_are_needed() -> None:
    found = find_instances(case_of(LEFT), Target("other", (7,)))
    assert found.each == ()
    assert not found.numbers.any()
    assert found.matching(Attributes(side="left")) == ()
    with pytest.raises(BadInputError, match="no labels"):
        find_instances(case_of(LEFT).without_labels(), LESION)


def test_matching_needs_every_attribute_and_is_open_where_a_piece_cannot_be_judged() -> None:
    pieces = Instances(
        np.zeros((1, 1, 1), np.uint8),
        (
            Instance(1, 90, "left", "large", {"t1ce": "bright"}),
            Instance(2, 30, "left", "small", {}),
            Instance(3, 30, "right", "small", {"t1ce": "dark"}),
        ),
    )
    assert pieces.matching(Attributes(side="left")) == (1, 2)
    assert pieces.matching(Attributes(side="left", size="small")) == (2,)
    assert pieces.matching(Attributes(side="right", size="large")) == ()
    assert pieces.matching(Attributes(signal=("t1ce", "bright"))) is None
    # The piece that cannot be judged by its signal is ruled out by its size.
    assert pieces.matching(Attributes(size="large", signal=("t1ce", "bright"))) == (1,)
    assert pieces.matching(Attributes()) == (1, 2, 3)


def test_phantoms_with_several_lesions_are_read_as_they_were_made(phantoms: list[Phantom]) -> None:
    agreed: Counter[tuple[str, bool]] = Counter()
    for phantom in phantoms:
        found = find_instances(phantom.case, phantom.targets[0])
        truth = phantom.truth["t1ce"].lesions
        assert len(found.each) == len(truth)
        # 4.2 ml are a ball of 10 mm radius, between the two classes.
        classes = {lesion.number: lesion.lesion_volume_ml > 4.2 for lesion in truth}
        for lesion in truth:
            piece = found.each[int(found.numbers[tuple(np.round(lesion.centre_voxel).astype(int))]) - 1]
            enhances = "dark" if lesion.enhancement == "none" else "bright"
            agreed["side", piece.side == lesion.side] += 1
            agreed["enhancement", piece.signal.get("t1ce") == enhances] += 1
            if len(set(classes.values())) == 2:
                agreed["size", piece.size == ("large" if classes[lesion.number] else "small")] += 1
    for attribute in ("side", "enhancement", "size"):
        right, wrong = agreed[attribute, True], agreed[attribute, False]
        assert right >= 10
        assert right / (right + wrong) >= 0.97, attribute
