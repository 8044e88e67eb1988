"""Made-up patients: reproducible, anatomically right, and known exactly."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, label

from zeusseg.case import Target, find_target
from zeusseg.datasets.phantom import MODALITIES, Phantom, make_phantom
from zeusseg.datasets.phantom_lesions import lesion_count
from zeusseg.errors import UsageError

# The four neighbours in the axial plane.
IN_PLANE = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])[:, :, None]


@pytest.fixture(scope="module")
def brains() -> list[Phantom]:
    return [make_phantom(seed, lesions=1, modalities=MODALITIES["brain"]) for seed in range(4)]


@pytest.fixture(scope="module")
def abdomens() -> list[Phantom]:
    return [make_phantom(seed, "abdomen", lesions=2) for seed in range(3)]


def target(phantom: Phantom, name: str) -> Target:
    found = find_target(phantom.targets, name)
    assert found is not None
    return found


def mask(phantom: Phantom, name: str) -> np.ndarray:
    return phantom.case.mask(target(phantom, name))


def centre_x_mm(phantom: Phantom, name: str) -> float:
    """Of a mask, in millimetres to the patient's right of the middle of the grid."""
    where = np.argwhere(mask(phantom, name)).mean(axis=0)
    return float((phantom.case.reference.affine @ [*where, 1])[0])


def test_the_same_seed_gives_the_same_patient_and_another_seed_another() -> None:
    first, again, other = (make_phantom(seed, shape=(48, 48, 8), spacing_mm=(4, 4, 10)) for seed in (3, 3, 4))
    for name, volume in first.case.images.items():
        np.testing.assert_array_equal(volume.array, again.case.images[name].array)
    assert first.truth == again.truth
    assert np.mean(first.case.reference.array != other.case.reference.array) > 0.3


def test_leaving_a_modality_out_changes_no_other_and_no_label() -> None:
    all_of_them, two = make_phantom(5), make_phantom(5, modalities=["flair", "t1"])
    assert list(two.case.images) == ["flair", "t1"]
    np.testing.assert_array_equal(two.case.images["flair"].array, all_of_them.case.images["flair"].array)
    np.testing.assert_array_equal(two.case.labels.array, all_of_them.case.labels.array)
    assert two.truth["t1"] == all_of_them.truth["t1"]


def test_a_case_has_the_default_grid_and_whole_numbers(brains: list[Phantom], abdomens: list[Phantom]) -> None:
    assert brains[0].case.shape == (96, 96, 16)
    assert brains[0].case.spacing_mm == (2, 2, 5)
    assert abdomens[0].case.spacing_mm == (3.6, 3.6, 6)
    assert {volume.array.dtype for volume in brains[0].case.images.values()} == {np.dtype(np.int16)}
    assert brains[0].case.labels.array.dtype == np.uint8


def test_as_many_lesions_as_asked_for() -> None:
    for count in (0, 3):
        phantom = make_phantom(11, lesions=count, modalities=["t2"])
        assert phantom.truth["t2"].count == count
        assert phantom.truth["t2"].no_lesion == (count == 0)
        assert mask(phantom, "lesion").any() == (count > 0)


def test_about_three_in_ten_patients_have_no_lesion() -> None:
    counts = [lesion_count(np.random.default_rng(seed)) for seed in range(2000)]
    assert np.mean(np.array(counts) == 0) == pytest.approx(0.3, abs=0.03)


def test_a_brain_lesion_is_between_15_and_50_mm_across(brains: list[Phantom]) -> None:
    # 45 mm at most by design, to which raggedness may add
    for phantom in brains:
        assert 15 <= phantom.truth["t2"].lesions[0].lesion_diameter_mm <= 50


def test_a_rim_is_closed_around_its_necrosis_and_two_voxels_thick() -> None:
    rings = [make_phantom(seed, lesions=1, modalities=["t1ce"]) for seed in range(20, 24)]
    rings = [phantom for phantom in rings if phantom.truth["t1ce"].lesions[0].enhancement == "ring"]
    assert rings
    for phantom in rings:
        necrosis = mask(phantom, "necrosis")
        around = binary_dilation(necrosis, IN_PLANE, iterations=2) & ~necrosis
        assert np.mean(mask(phantom, "enhancing tumor")[around]) > 0.95


def test_the_brain_lesion_unites_oedema_rim_and_necrosis(brains: list[Phantom]) -> None:
    for phantom in brains:
        parts = mask(phantom, "enhancing tumor") | mask(phantom, "necrosis") | (phantom.case.labels.array == 1)
        np.testing.assert_array_equal(mask(phantom, "lesion"), parts)


def test_enhancement_is_only_said_where_contrast_agent_shows(brains: list[Phantom], abdomens: list[Phantom]) -> None:
    for phantom in brains:
        stated = {name: truth.lesions[0].enhancement for name, truth in phantom.truth.items()}
        assert stated.pop("t1ce") in {"ring", "solid", "none"}
        assert set(stated.values()) == {None}
    assert abdomens[0].truth["ct"].lesions[0].enhancement == "none"


def test_lesions_are_bright_on_flair_and_enhancing_ones_on_t1_after_contrast_only(brains: list[Phantom]) -> None:
    for phantom in brains:
        flair, t1, t1ce = (phantom.truth[name].lesions[0] for name in ("flair", "t1", "t1ce"))
        assert (flair.polarity, t1.polarity) == ("bright", "dark")
        assert t1ce.polarity == ("dark" if t1ce.enhancement == "none" else "bright")


def test_the_stored_images_show_what_the_truth_says(brains: list[Phantom]) -> None:
    for phantom in brains:
        lesion = mask(phantom, "lesion")
        inside = binary_dilation(lesion, np.ones((3, 3, 1)), iterations=4) & ~lesion
        flair = phantom.case.images["flair"].array
        assert np.median(flair[lesion]) > 1.25 * np.median(flair[inside])


def test_the_stated_side_is_the_side_of_the_mask(brains: list[Phantom]) -> None:
    for phantom in brains:
        side = phantom.truth["t1"].lesions[0].side
        if side != "midline":
            assert (centre_x_mm(phantom, "lesion") > 0) == (side == "right")


def test_ventricles_are_fluid_between_the_hemispheres(brains: list[Phantom]) -> None:
    for phantom in brains:
        ventricles = mask(phantom, "ventricles")
        t2, flair = phantom.case.images["t2"].array, phantom.case.images["flair"].array
        assert abs(centre_x_mm(phantom, "ventricles")) < 12
        assert np.median(t2[ventricles]) > 2 * np.median(t2[t2 > 100])
        assert np.median(flair[ventricles]) < 0.5 * np.median(flair[flair > 100])
        assert 5 < ventricles.sum() * 0.02 < 90  # ml


def test_organs_lie_on_their_side_and_have_the_volumes_of_organs(abdomens: list[Phantom]) -> None:
    for phantom in abdomens:
        voxel_ml = np.prod(phantom.case.spacing_mm) / 1000
        for name, side, low, high in (
            ("liver", 1, 500, 1700),
            ("spleen", -1, 60, 450),
            ("right kidney", 1, 60, 300),
            ("left kidney", -1, 60, 300),
        ):
            organ = mask(phantom, name)
            assert side * centre_x_mm(phantom, name) > 20, name
            assert low < organ.sum() * voxel_ml < high, name
            pieces, count = label(organ)
            assert np.bincount(pieces.ravel())[1:].max() > 0.9 * organ.sum(), (name, count)


def test_liver_lesions_belong_to_the_liver(abdomens: list[Phantom]) -> None:
    for phantom in abdomens:
        lesion = mask(phantom, "lesion")
        assert lesion.any()
        assert mask(phantom, "liver")[lesion].all()


def test_ct_is_in_hounsfield_units(abdomens: list[Phantom]) -> None:
    ct = abdomens[0].case.images["ct"].array
    assert np.median(ct[:4]) == pytest.approx(-1000, abs=15)
    healthy = mask(abdomens[0], "liver") & ~mask(abdomens[0], "lesion")
    assert np.median(ct[healthy]) == pytest.approx(108, abs=12)


def test_randomised_files_lie_in_many_orientations_and_the_case_in_one() -> None:
    phantom = make_phantom(9, randomise=True, shape=(40, 44, 6), spacing_mm=(4, 4, 12))
    volumes = [*phantom.case.images.values(), phantom.case.labels]
    assert {volume.shape for volume in volumes} == {(40, 44, 6)}
    assert len({volume.file_grid.affine.tobytes() for volume in volumes}) > 1
    for volume in volumes:
        # the file's first voxel is where its affine says: looked up in the canonical array by position
        first = volume.file_grid.affine[:, 3]
        i, j, k = np.round(np.linalg.inv(volume.affine) @ first).astype(int)[:3]
        assert volume.to_file(volume.array)[0, 0, 0] == volume.array[i, j, k]


def test_randomised_and_usual_phantoms_share_their_anatomy() -> None:
    usual, random = make_phantom(9), make_phantom(9, randomise=True)
    np.testing.assert_array_equal(usual.case.labels.array, random.case.labels.array)


def test_an_unknown_region_or_modality_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(UsageError, match=r"'knee'.*brain, abdomen"):
        make_phantom(0, "knee")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"'flair'.*t1, t1ce, t2, ct"):
        make_phantom(0, "abdomen", modalities=["flair"])
    with pytest.raises(UsageError, match="none was named"):
        make_phantom(0, modalities=[])


@pytest.mark.parametrize(
    ("region", "options", "labels", "mean"),
    [
        ("brain", {"lesions": 2, "modalities": ["t1"], "spacing_mm": (4.5, 4.5, 14)}, [9449, 43, 14, 0, 94], 172.910),
        (
            "abdomen",
            {"modalities": ["ct"], "spacing_mm": (8, 8, 16)},
            [8214, 0, 0, 0, 0, 892, 91, 175, 215, 13],
            -502.917,
        ),
    ],
)
def test_a_seed_gives_the_patient_that_it_always_gave(region: str, options: dict, labels: list, mean: float) -> None:
    # Data sets, documents and trained models rest on it. The tolerance is for other machines' rounding.
    case = make_phantom(3, region, shape=(40, 40, 6), **options).case
    np.testing.assert_allclose(np.bincount(case.labels.array.ravel()), labels, atol=2)
    assert case.reference.array.mean(dtype=float) == pytest.approx(mean, rel=1e-3)
