"""What a modality truly shows, on images small enough to work out by hand."""

import numpy as np
import pytest

from zeusseg.datasets.phantom_lesions import LABELS
from zeusseg.datasets.phantom_truth import PhantomTruth, Site, axial_diameter_mm, describe_truth, side_of, tissue_around

SPACING = (2.0, 2.0, 5.0)


def ring_lesion() -> tuple[Site, np.ndarray]:
    """A 7 x 7 x 1 lesion: one voxel of necrosis, the 3 x 3 rim around it, oedema outside."""
    labels = np.zeros((15, 15, 3), dtype=np.uint8)
    labels[4:11, 4:11, 1] = LABELS["oedema"]
    labels[6:9, 6:9, 1] = LABELS["enhancing tumour"]
    labels[7, 7, 1] = LABELS["necrosis"]
    mask = labels > 0
    healthy = np.ones_like(mask)
    return Site(1, mask, tissue_around(mask, healthy), "left", "anterior", "superior", "frontal lobe", False), labels


def shown(labels: np.ndarray, oedema: float, rim: float, necrosis: float) -> np.ndarray:
    values = np.zeros(10, dtype=np.float32)
    values[:4] = (1.0, oedema, rim, necrosis)
    return values[labels]


def describe(modality: str, oedema: float, rim: float, necrosis: float, noise: float = 0.01) -> PhantomTruth:
    site, labels = ring_lesion()
    clean = shown(labels, oedema, rim, necrosis)
    return describe_truth(modality, clean, noise, labels, [site], SPACING, enhances=modality == "t1ce")


def test_on_flair_the_whole_lesion_is_bright() -> None:
    (lesion,) = describe("flair", 1.8, 1.5, 1.4).lesions
    assert lesion.polarity == "bright"
    assert lesion.volume_ml == pytest.approx(49 * 20 / 1000)
    assert lesion.volume_ml == lesion.lesion_volume_ml
    assert lesion.enhancement is None
    assert lesion.homogeneity == "heterogeneous"
    assert lesion.centre_voxel == (7, 7, 1)


def test_after_contrast_the_rim_is_the_bright_part_and_its_hole_is_filled() -> None:
    (lesion,) = describe("t1ce", 0.85, 2.0, 0.6).lesions
    assert (lesion.polarity, lesion.enhancement) == ("bright", "ring")
    assert lesion.volume_ml == pytest.approx(9 * 20 / 1000)
    assert lesion.lesion_volume_ml == pytest.approx(49 * 20 / 1000)
    assert [(part.part, part.polarity) for part in lesion.parts] == [
        ("oedema", "dark"),
        ("enhancing tumour", "bright"),
        ("necrosis", "dark"),
    ]
    # 6 mm x 6 mm square: centres of its corners are 4 mm apart each way, and a voxel edge is added
    assert lesion.diameter_mm == pytest.approx(np.hypot(4, 4) + 2)


def test_what_does_not_differ_from_its_surroundings_is_not_seen() -> None:
    (lesion,) = describe("t1", 0.95, 0.97, 0.96).lesions
    assert (lesion.polarity, lesion.volume_ml, lesion.diameter_mm) == ("iso", 0, 0)
    assert describe("t1", 0.95, 0.97, 0.96).visible == ()


def test_what_drowns_in_noise_is_not_seen() -> None:
    assert describe("t1", 0.8, 0.8, 0.8, noise=0.05).lesions[0].polarity == "dark"
    assert describe("t1", 0.8, 0.8, 0.8, noise=0.15).lesions[0].polarity == "iso"


def test_without_lesions_the_truth_says_so() -> None:
    truth = PhantomTruth("t1", ())
    assert truth.no_lesion
    assert truth.count == 0
    assert truth.to_json() == {"modality": "t1", "count": 0, "lesions": []}


def test_a_ball_of_4_19_ml_measures_20_mm() -> None:
    (lesion,) = describe("flair", 1.8, 1.5, 1.4).lesions
    ball = type(lesion)(**{**vars(lesion), "volume_ml": 4 / 3 * np.pi})
    assert ball.equivalent_diameter_mm == pytest.approx(20)


@pytest.mark.parametrize(("x_mm", "side"), [(30, "right"), (-30, "left"), (5, "midline"), (-5, "midline")])
def test_right_is_the_patients_right(x_mm: float, side: str) -> None:
    assert side_of(x_mm) == side


def test_the_diameter_is_the_longest_in_any_slice() -> None:
    mask = np.zeros((9, 9, 2), dtype=bool)
    mask[1:3, 1, 0] = True
    mask[2:8, 4, 1] = True  # six voxels of 2 mm
    assert axial_diameter_mm(mask, SPACING) == pytest.approx(12)
    assert axial_diameter_mm(np.zeros_like(mask), SPACING) == 0
