"""From tissue to signal: relaxation times and Hounsfield units, the MR signal equations, coils, and noise.

Relaxation times are rounded from published tables at 1.5 T (Stanisz 2005, de Bazelaire 2004, BrainWeb); proton
densities are relative to water. Attenuation is for 120 kV; the second value is in the portal venous phase.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zeusseg.datasets.phantom_shapes import Field, smooth_noise

# Relaxivity of a gadolinium chelate at 1.5 T in 1 / (mM s).
RELAXIVITY = 4.5


class Tissue(NamedTuple):
    """Longitudinal and transverse relaxation (ms), proton density, contrast agent taken up (mM), attenuation (HU)."""

    t1_ms: float
    t2_ms: float
    density: float
    uptake_mm: float
    hounsfield: float
    hounsfield_enhanced: float


TISSUES: dict[str, Tissue] = {
    "air": Tissue(1000, 1, 0.0, 0.0, -1000, -1000),
    "skin": Tissue(700, 45, 0.65, 0.10, 40, 50),
    "fat": Tissue(270, 85, 0.85, 0.00, -100, -100),
    "muscle": Tissue(900, 45, 0.75, 0.08, 55, 65),
    "cortical bone": Tissue(400, 3, 0.10, 0.00, 900, 900),
    "marrow": Tissue(450, 60, 0.60, 0.02, 230, 240),
    "csf": Tissue(4000, 1800, 1.00, 0.00, 6, 6),
    # Flowing blood leaves a spin-echo slice before its echo: a low effective density stands for the flow void.
    "blood": Tissue(1400, 60, 0.55, 1.20, 42, 155),
    # brain
    "white matter": Tissue(590, 76, 0.71, 0.01, 28, 30),
    "grey matter": Tissue(940, 89, 0.83, 0.02, 38, 41),
    "deep grey matter": Tissue(820, 82, 0.80, 0.02, 38, 41),
    "vitreous": Tissue(3800, 1200, 1.00, 0.00, 8, 8),
    "oedema": Tissue(1350, 190, 0.90, 0.02, 18, 18),
    "enhancing tumour": Tissue(1250, 140, 0.88, 0.80, 40, 65),
    "necrosis": Tissue(2500, 420, 0.96, 0.03, 11, 12),
    # abdomen
    "liver": Tissue(570, 48, 0.76, 0.25, 58, 108),
    "spleen": Tissue(1060, 82, 0.85, 0.30, 48, 122),
    "renal cortex": Tissue(960, 92, 0.86, 0.55, 34, 185),
    "renal medulla": Tissue(1400, 115, 0.90, 0.40, 32, 150),
    "pancreas": Tissue(600, 60, 0.78, 0.25, 40, 98),
    "bowel wall": Tissue(900, 65, 0.80, 0.20, 40, 90),
    "bowel content": Tissue(1100, 130, 0.75, 0.00, 22, 22),
    "fluid": Tissue(2600, 700, 0.97, 0.00, 8, 8),
    "gas": Tissue(1000, 1, 0.0, 0.0, -980, -980),
    "disc": Tissue(1000, 75, 0.75, 0.02, 80, 80),
    "liver lesion": Tissue(1150, 115, 0.88, 0.06, 30, 52),
}
TISSUE_CODES: dict[str, int] = {name: code for code, name in enumerate(TISSUES)}


@dataclass(frozen=True)
class PulseSequence:
    """Repetition, echo and (for inversion recovery) inversion time in milliseconds; with contrast agent or without."""

    repetition_ms: float
    echo_ms: float
    inversion_ms: float | None = None
    contrast_agent: bool = False


SEQUENCES: dict[str, PulseSequence] = {
    "t1": PulseSequence(480, 11),
    "t1ce": PulseSequence(480, 11, contrast_agent=True),
    "t2": PulseSequence(4800, 95),
    "flair": PulseSequence(9000, 118, inversion_ms=2450),
}


@dataclass(frozen=True)
class Look:
    """How much an acquisition varies: relative spread of times, of tissue values, bias field, noise, and blur."""

    times: float
    tissues: float
    bias: float
    noise: tuple[float, float]
    blur_voxels: tuple[float, float]


USUAL = Look(times=0.06, tissues=0.03, bias=0.12, noise=(0.015, 0.03), blur_voxels=(0.0, 0.35))
RANDOMISED = Look(times=0.25, tissues=0.08, bias=0.25, noise=(0.015, 0.06), blur_voxels=(0.0, 0.9))


def mr_signal(tissue: Tissue, sequence: PulseSequence) -> float:
    """The spin-echo (or, with an inversion time, inversion-recovery) signal of a tissue, between 0 and its density.

    S = PD (1 - e^(-TR/T1)) e^(-TE/T2);  inverted: S = PD |1 - 2 e^(-TI/T1) + e^(-TR/T1)| e^(-TE/T2).
    A contrast agent adds its rate: 1/T1' = 1/T1 + relaxivity x concentration.

    >>> round(mr_signal(Tissue(1000, 100, 1.0, 0.0, 0, 0), PulseSequence(1000, 0)), 4)
    0.6321
    """
    t1_ms = tissue.t1_ms
    if sequence.contrast_agent:
        t1_ms = 1 / (1 / t1_ms + RELAXIVITY * tissue.uptake_mm / 1000)
    recovery = 1 - np.exp(-sequence.repetition_ms / t1_ms)
    if sequence.inversion_ms is not None:
        recovery = abs(1 - 2 * np.exp(-sequence.inversion_ms / t1_ms) + np.exp(-sequence.repetition_ms / t1_ms))
    return float(tissue.density * recovery * np.exp(-sequence.echo_ms / tissue.t2_ms))


def tissue_values(modality: str, enhanced_ct: bool, look: Look, rng: np.random.Generator) -> NDArray[np.float32]:
    """What each tissue of `TISSUES` shows in a modality (its order): HU for `ct`, signal (0 to 1) for MR.

    Pulse times and tissues vary from patient to patient as `look` says; the equation stays.
    """
    values = []
    if modality == "ct":
        for tissue in TISSUES.values():
            hounsfield = tissue.hounsfield_enhanced if enhanced_ct else tissue.hounsfield
            values.append(hounsfield + rng.normal() * look.tissues * min(abs(hounsfield), 100))
        return np.array(values, dtype=np.float32)
    sequence = SEQUENCES[modality]
    repetition, echo = rng.uniform(1 - look.times, 1 + look.times, 2)
    # A scanner's inversion time follows its repetition time so that water stays dark: only a little is left to chance.
    inversion = None if sequence.inversion_ms is None else sequence.inversion_ms * rng.uniform(0.97, 1.03)
    sequence = replace(
        sequence,
        repetition_ms=sequence.repetition_ms * (repetition if inversion is None else 1.0),
        echo_ms=sequence.echo_ms * echo,
        inversion_ms=inversion,
    )
    for tissue in TISSUES.values():
        t1, t2, density = 1 + look.tissues * rng.standard_normal(3).clip(-2, 2)
        varied = tissue._replace(t1_ms=tissue.t1_ms * t1, t2_ms=tissue.t2_ms * t2, density=tissue.density * density)
        values.append(mr_signal(varied, sequence))
    return np.array(values, dtype=np.float32)


def clean_image(tissue_map: NDArray[np.uint8], values: NDArray[np.float32]) -> Field:
    """The noise-free image (x, y, z): sub-voxels (2x, 2y, z) looked up and averaged, so borders hold mixtures."""
    fine = values[tissue_map]
    return 0.25 * (fine[0::2, 0::2] + fine[1::2, 0::2] + fine[0::2, 1::2] + fine[1::2, 1::2])


def acquire(
    clean: Field, modality: str, spacing_mm: Sequence[float], look: Look, rng: np.random.Generator
) -> tuple[NDArray[np.int16], float]:
    """What the scanner stores of a clean image, and the standard deviation of its noise in units of `clean`.

    MR: receiver gain, a smooth coil bias, Rician noise. CT: Hounsfield units with correlated Gaussian noise.
    """
    from scipy.ndimage import gaussian_filter

    blur = rng.uniform(*look.blur_voxels)
    image = gaussian_filter(clean, (blur, blur, 0)) if blur > 0.2 else clean
    noise = rng.uniform(*look.noise)
    axes = [(np.arange(n) * edge).astype(np.float32) for n, edge in zip(clean.shape, spacing_mm, strict=True)]
    if modality == "ct":
        deviation = 280 * noise
        # A reconstruction kernel correlates neighbours; 0.6 voxels of blur leave half of the deviation.
        grain = gaussian_filter(rng.standard_normal(clean.shape, dtype=np.float32), (0.6, 0.6, 0)) / 0.498
        return np.round(np.clip(image + deviation * grain, -1024, 3071)).astype(np.int16), float(deviation)
    texture = 1 + 0.012 * smooth_noise(rng, axes, 9.0)
    bias = np.exp(look.bias * smooth_noise(rng, axes, 130.0).clip(-2, 2))
    tissue = image[image > 0.05]
    level = float(np.median(tissue)) if tissue.size else 1.0
    deviation = noise * level
    real = image * texture * bias + deviation * rng.standard_normal(clean.shape, dtype=np.float32)
    imaginary = deviation * rng.standard_normal(clean.shape, dtype=np.float32)
    gain = rng.uniform(300, 900) / level
    return np.round(gain * np.hypot(real, imaginary)).clip(0, 32767).astype(np.int16), float(deviation)
