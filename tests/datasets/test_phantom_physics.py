"""Signals follow from the equations, and images from the signals."""

import math

import numpy as np
import pytest

from zeusseg.datasets.phantom_physics import (
    TISSUE_CODES,
    TISSUES,
    USUAL,
    Look,
    PulseSequence,
    Tissue,
    acquire,
    clean_image,
    mr_signal,
    tissue_values,
)

STILL = Look(times=0, tissues=0, bias=0, noise=(0.02, 0.02), blur_voxels=(0, 0))


def test_spin_echo_follows_its_equation() -> None:
    # 0.5 (1 - e^-1) e^-2, worked out by hand
    tissue = Tissue(600, 50, 0.5, 0.0, 0, 0)
    assert mr_signal(tissue, PulseSequence(600, 100)) == pytest.approx(0.5 * 0.632121 * 0.135335, rel=1e-4)


def test_inversion_recovery_is_dark_at_the_null_time() -> None:
    # With TR >> T1 the signal vanishes at TI = T1 ln 2.
    tissue = Tissue(1000, 100, 1.0, 0.0, 0, 0)
    assert mr_signal(tissue, PulseSequence(1e6, 0, inversion_ms=1000 * math.log(2))) == pytest.approx(0, abs=1e-9)
    assert mr_signal(tissue, PulseSequence(1e6, 0, inversion_ms=1000 * math.log(4))) == pytest.approx(0.5)


def test_contrast_agent_shortens_t1_only_where_it_is_taken_up_and_given() -> None:
    # 1/T1' = 1/1000 + 4.5 * 2 / 1000 = 1/100
    tissue = Tissue(1000, 100, 1.0, 2.0, 0, 0)
    assert mr_signal(tissue, PulseSequence(100, 0, contrast_agent=True)) == pytest.approx(1 - math.exp(-1))
    assert mr_signal(tissue, PulseSequence(100, 0)) == pytest.approx(1 - math.exp(-0.1))


@pytest.mark.parametrize(
    ("modality", "brightest_first"),
    [
        ("t1", ["fat", "white matter", "grey matter", "oedema", "necrosis", "csf", "air"]),
        ("t1ce", ["enhancing tumour", "white matter", "grey matter", "oedema", "necrosis", "csf"]),
        ("t2", ["csf", "necrosis", "oedema", "enhancing tumour", "grey matter", "white matter", "muscle"]),
        ("flair", ["oedema", "enhancing tumour", "grey matter", "white matter", "csf"]),
        ("t1", ["fat", "liver", "spleen", "fluid"]),
        ("t2", ["fluid", "spleen", "liver"]),
        ("ct", ["cortical bone", "renal cortex", "spleen", "liver", "liver lesion", "fluid", "fat", "gas"]),
    ],
)
def test_tissues_stand_in_the_order_that_radiologists_know(modality: str, brightest_first: list[str]) -> None:
    values = tissue_values(modality, True, STILL, np.random.default_rng(0))
    shown = [float(values[TISSUE_CODES[name]]) for name in brightest_first]
    assert shown == sorted(shown, reverse=True)
    assert len(set(shown)) == len(shown)


def test_a_native_ct_shows_no_enhancement() -> None:
    values = tissue_values("ct", False, STILL, np.random.default_rng(0))
    assert values[TISSUE_CODES["liver"]] == pytest.approx(TISSUES["liver"].hounsfield)


def test_tissues_vary_between_patients_but_not_between_calls_of_one_seed() -> None:
    first, again, other = (tissue_values("t2", False, USUAL, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_a_border_voxel_holds_the_mixture_of_its_four_parts() -> None:
    fine = np.array([[0, 1], [1, 1]], dtype=np.uint8)[:, :, None]
    assert clean_image(fine, np.array([0, 8], dtype=np.float32)).tolist() == [[[6.0]]]


def test_mr_noise_is_rician_and_of_the_stated_size() -> None:
    clean = np.zeros((40, 40, 12), dtype=np.float32)
    clean[20:] = 1.0
    stored, noise = acquire(clean, "t1", (2, 2, 5), STILL, np.random.default_rng(0))
    assert stored.dtype == np.int16
    assert noise == pytest.approx(0.02)
    gain = stored[22:].mean()
    # Where there is no signal, Rician noise has the mean sigma sqrt(pi / 2).
    assert stored[:18].mean() / gain == pytest.approx(0.02 * math.sqrt(math.pi / 2), rel=0.06)


def test_ct_noise_leaves_hounsfield_units_where_they_are() -> None:
    clean = np.full((48, 48, 8), 60, dtype=np.float32)
    stored, noise = acquire(clean, "ct", (2, 2, 5), STILL, np.random.default_rng(0))
    assert stored.mean() == pytest.approx(60, abs=0.3)
    assert stored.std() == pytest.approx(noise, rel=0.05)
