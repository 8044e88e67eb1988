"""What a writer saw in one modality: words, and the attributes behind them where it can give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zeusseg.case import Case

Polarity = Literal["bright", "dark"]
Side = Literal["left", "right", "midline"]


@dataclass(frozen=True)
class Outlier:
    """One area of an image that is brighter or darker than the tissue around it.

    Places are in the body's own orientation: `side` is the patient's, judged against the mid-sagittal plane (against
    the middle of the image where the body's outline is not in view). `diameter` is that of the sphere of the same
    volume, or, `in_plane`, of the circle of the same area on the largest slice; both are in millimetres, or in voxels
    where the spacing is unknown. `share` is the part of the foreground that it fills. `roundness` is 1 for a ball and
    nears 0 for what is long or ragged; `contrast` is the difference to the surroundings as a share of the tissue's
    brightness (in CT of 60 HU).
    """

    polarity: Polarity
    side: Side
    anterior_posterior: Literal["anterior", "middle", "posterior"]
    superior_inferior: Literal["superior", "middle", "inferior"]
    voxels: int
    volume_ml: float | None
    diameter: float
    in_plane: float
    share: float
    roundness: float
    border: Literal["sharp", "ill-defined"]
    texture: Literal["homogeneous", "heterogeneous", "ring"]
    contrast: float
    centre: tuple[float, float, float]
    """Voxel index (x, y, z) on the volume's canonical grid."""


@dataclass(frozen=True)
class FindingAttributes:
    """What was measured in one image.

    `outliers` are ordered from the most to the least conspicuous. `asymmetry` is 0 where left and right mirror each
    other and 1 where they have nothing in common; None where no mid-sagittal plane is in view. `frame` says what
    places refer to: the body, or merely the image (a picture, or a crop without the body's outline).
    """

    outliers: tuple[Outlier, ...]
    asymmetry: float | None
    foreground_share: float
    frame: Literal["body", "crop", "picture"]
    spacing_known: bool


@dataclass(frozen=True)
class Finding:
    """What a writer says about one modality of a case."""

    modality: str
    text: str
    attributes: FindingAttributes | None = None


class LocalWriter:
    """What writers have in common that work things out on this machine: nothing is sent, and processes share the work.

    `threads` is how many cases may be written about at a time in this process; 0: in processes instead.
    """

    threads = 0
    notice: str | None = None
    is_checked = False

    def usage_text(self) -> str:
        """What was asked of models so far: nothing."""
        return ""

    def cost_of(self, case_id: str) -> None:
        """What a case has cost: nothing that is counted."""

    def estimate(self, readings: int, unions: int) -> str:
        """What writing would cost: nothing but the time of this machine."""
        return "no model is asked"


def refuse_labels(case: Case) -> None:
    """Writers look at images only. Raises `ValueError` where a case still carries its labels."""
    if case.labels is not None:
        raise ValueError(
            f"case {case.id!r} was given to a writer with its labels; read it with labels=False "
            "or pass case.without_labels()"
        )
