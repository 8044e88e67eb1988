"""Several lesions that side, size and enhancement tell apart: planned independently, apart from each other, together
on one level."""

import json
from collections import Counter
from itertools import product
from pathlib import Path

import cc3d
import numpy as np
import pytest

from zeusseg.datasets import load_dataset
from zeusseg.datasets.phantom import Phantom, make_phantom, write_phantoms
from zeusseg.datasets.phantom_lesions import Lesion
from zeusseg.datasets.phantom_several import Level, plan_several
from zeusseg.errors import UsageError

SMALL = {"shape": (40, 40, 6), "spacing_mm": (4.5, 4.5, 14.0)}


def disc_level(radius_mm: float = 70.0) -> Level:
    """A round brain with a fluid channel of 8 mm radius at its middle, on a grid of 2 mm."""
    x, y = np.meshgrid(np.arange(-80, 81, 2.0), np.arange(-80, 81, 2.0), indexing="ij")
    from_middle = np.hypot(x, y)
    return Level(x, y, np.full_like(x, 20.0), radius_mm - from_middle, from_middle - 8)


def plans(count: int = 3, number: int = 400) -> list[tuple[Lesion, ...]]:
    level = disc_level()
    return [plan_several(np.random.default_rng(seed), count, level) for seed in range(number)]


def kind(lesion: Lesion) -> tuple[bool, bool, bool]:
    """On the right, large, enhancing."""
    return lesion.centre[0] > 0, lesion.radius_mm > 10, lesion.core_mm > 0


@pytest.fixture(scope="module")
def phantoms() -> list[Phantom]:
    return [make_phantom(seed, modalities=["t1ce"], several=True) for seed in range(12)]


def test_sizes_are_of_two_classes_and_kinds_fit_them() -> None:
    for lesion in (lesion for plan in plans(number=100) for lesion in plan):
        assert 6 <= lesion.radius_mm <= 7.5 or 13 <= lesion.radius_mm <= 17
        assert (lesion.kind == "infiltrating") == (lesion.core_mm == 0)
        assert lesion.radius_mm > lesion.core_mm
        if lesion.kind == "ring":
            assert lesion.core_mm - lesion.necrosis_mm > 4
            assert lesion.necrosis_mm > 2
    kinds = Counter(lesion.kind for plan in plans(number=100) for lesion in plan)
    assert set(kinds) == {"ring", "solid", "infiltrating"}


def test_side_size_and_enhancement_are_independent_of_each_other() -> None:
    drawn = np.array([kind(lesion) for plan in plans() for lesion in plan])
    counts = Counter(map(tuple, drawn.tolist()))
    assert set(counts) == set(product((False, True), repeat=3))
    # 1200 lesions: correlations of independent pairs stray by 0.03
    assert np.abs(np.corrcoef(drawn.T) - np.eye(3)).max() < 0.1
    assert drawn[:, [0, 2]].mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.05)
    # Crowds of large lesions find no room, so there are fewer of them.
    assert 0.35 < drawn[:, 1].mean() < 0.55


def test_lesions_of_a_plan_are_not_all_alike() -> None:
    for count in (2, 4):
        assert all(len({kind(lesion) for lesion in plan}) > 1 for plan in plans(count, 100))


def test_lesions_lie_in_the_brain_off_the_midline_and_apart() -> None:
    for plan in plans(4, 100):
        assert len(plan) == 4
        assert np.ptp([lesion.centre[2] for lesion in plan]) <= 3
        for place, lesion in enumerate(plan):
            x, y, _ = lesion.centre
            assert abs(x) >= 16
            assert np.hypot(x, y) + lesion.radius_mm <= 70
            assert np.hypot(x, y) - 8 >= 0.75 * lesion.radius_mm
            for other in plan[:place]:
                between = np.hypot(x - other.centre[0], y - other.centre[1])
                assert between > lesion.radius_mm + other.radius_mm + 5


def test_a_level_without_room_is_refused() -> None:
    with pytest.raises(UsageError, match="no room for 3 lesions"):
        plan_several(np.random.default_rng(0), 3, disc_level(20.0))


def test_phantoms_have_as_many_pieces_as_lesions_and_these_are_seen_together(phantoms: list[Phantom]) -> None:
    counts = set()
    for phantom in phantoms:
        labels, found = cc3d.connected_components(np.isin(phantom.case.labels.array, (1, 2, 3)), return_N=True)
        truth = phantom.truth["t1ce"].lesions
        assert found == len(truth)
        counts.add(found)
        planes = [set(np.unique(labels[:, :, k])) - {0} for k in range(labels.shape[2])]
        assert max(map(len, planes)) == found
    assert counts == {2, 3, 4}


def test_the_truth_tells_the_lesions_apart(phantoms: list[Phantom]) -> None:
    seen = set()
    for phantom in phantoms:
        lesions = {
            (lesion.side, lesion.lesion_volume_ml > 4.2, lesion.enhancement != "none")
            for lesion in phantom.truth["t1ce"].lesions
        }
        assert len(lesions) > 1
        seen |= lesions
    assert {side for side, _, _ in seen} == {"left", "right"}
    assert len(seen) >= 7


def test_the_head_is_that_of_the_plain_phantom_and_looks_change_no_lesion() -> None:
    several = make_phantom(5, modalities=["t1", "t2"], several=True, **SMALL)
    plain, other = (make_phantom(seed, modalities=["t1"], **SMALL) for seed in (5, 6))
    outlines = [phantom.case.images["t1"].array > 60 for phantom in (several, plain, other)]
    assert np.mean(outlines[0] == outlines[1]) > 0.99
    assert np.mean(outlines[0] == outlines[2]) < 0.98
    random = make_phantom(5, modalities=["t2"], randomise=True, several=True, **SMALL)
    np.testing.assert_array_equal(random.case.labels.array, several.case.labels.array)


def test_their_number_may_be_given() -> None:
    for count in (2, 4):
        assert make_phantom(8, lesions=count, modalities=["t1"], several=True, **SMALL).truth["t1"].count == count


def test_other_regions_and_numbers_are_refused() -> None:
    with pytest.raises(UsageError, match=r"region='abdomen'.*expected a brain"):
        make_phantom(0, "abdomen", several=True)
    with pytest.raises(UsageError, match=r"lesions=1: expected a brain, and lesions from 2 to 4"):
        make_phantom(0, lesions=1, several=True)


def test_a_written_set_holds_them(tmp_path: Path) -> None:
    write_phantoms(tmp_path, 3, seed=1, modalities=["t1", "t1ce"], several=True, **SMALL)
    for text in (tmp_path / "truth.jsonl").read_text().splitlines():
        line = json.loads(text)
        count = line["truth"]["t1ce"]["count"]
        assert count in (0, 2, 3, 4)
        lesions = None if count else 0
        made = make_phantom(line["seed"], lesions=lesions, modalities=["t1", "t1ce"], several=count > 0, **SMALL)
        read = load_dataset(tmp_path).read(line["case"])
        np.testing.assert_array_equal(read.labels.array, made.case.labels.array)


def test_a_data_set_of_several_lesions_has_patients_with_none(tmp_path):
    write_phantoms(tmp_path / "set", 20, 1, modalities=["t1"], several=True, **SMALL)
    dataset = load_dataset(tmp_path / "set")
    lesion = next(target for target in dataset.targets if target.name == "lesion")
    free = [case_id for case_id in dataset.case_ids if not dataset.read(case_id).mask(lesion).any()]
    assert 1 <= len(free) <= 10
