"""What bright and dark mean in each modality: its name, radiology's words, and what healthy tissue looks like."""

from __future__ import annotations

from dataclasses import dataclass

from zeusseg.instruct.finding import Polarity


@dataclass(frozen=True)
class Signal:
    """What is known of a modality before looking.

    Contrasts are shares of the tissue's own brightness (in CT of 60 HU). An area must differ by `least_bright` or
    `least_dark` to be more than the ordinary difference between tissues (grey and white matter, say), and by no more
    than `most_bright` or `most_dark`: beyond that lie fluid, fat, bone and air, which belong to the anatomy.
    `smoothing_blocks` is the width of the Gaussian that takes the grain off; `least_conspicuity` is what an area needs
    to be stated (the unit is that of `Area`).
    """

    name: str
    bright: str = "hyperintense"
    dark: str = "hypointense"
    least_bright: float = 0.25
    most_bright: float = 3.0
    least_dark: float = 0.25
    most_dark: float = 1.2
    smoothing_blocks: float = 0.7
    least_conspicuity: float = 6.0

    def contrasts(self, polarity: Polarity) -> tuple[float, float]:
        """The least and the most contrast of a finding of this polarity."""
        if polarity == "bright":
            return self.least_bright, self.most_bright
        return self.least_dark, self.most_dark


T1 = Signal("T1", least_bright=0.35, most_bright=0.9, least_dark=0.1, most_dark=0.32)
T1_CONTRAST = Signal("T1 after contrast", least_bright=0.45, least_dark=0.1, most_dark=0.32)
T2 = Signal("T2", least_bright=0.4, most_bright=1.2, least_dark=0.6, most_dark=0.7)
FLAIR = Signal("FLAIR", least_bright=0.3, least_dark=0.5, most_dark=0.6)
CT = Signal("CT", "hyperdense", "hypodense", least_bright=0.2, least_dark=0.13)
# Speckle is coarse, and masses are seldom round: more smoothing, and a lower bar.
ULTRASOUND = Signal(
    "ultrasound",
    "hyperechoic",
    "hypoechoic",
    least_bright=0.5,
    least_dark=0.2,
    smoothing_blocks=2.0,
    least_conspicuity=3.0,
)
SIGNALS: dict[str, Signal] = {
    "t1": T1,
    "t1w": T1,
    "t1ce": T1_CONTRAST,
    "t1c": T1_CONTRAST,
    "t1gd": T1_CONTRAST,
    "t1post": T1_CONTRAST,
    "t2": T2,
    "t2w": T2,
    "flair": FLAIR,
    "pd": Signal("proton density"),
    "adc": Signal("ADC"),
    "dwi": Signal("DWI"),
    "cine": Signal("cine MRI"),
    "mri": Signal("MRI"),
    "mr": Signal("MRI"),
    "ct": CT,
    "us": ULTRASOUND,
    "rgb": Signal("colour picture", "bright", "dark"),
}


def signal_of(modality: str) -> Signal:
    """What is known of a modality; of an unknown one only its name.

    >>> signal_of("FLAIR").name, signal_of("xa").name
    ('FLAIR', 'XA')
    """
    known = SIGNALS.get(modality.casefold())
    return known or Signal(modality.upper() if len(modality) <= 4 else modality, "bright", "dark")
