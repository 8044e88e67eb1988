"""A model that ignores its words, made from a run: whatever it is asked, it marks the run's first target.

It shows what `zeusseg probe-language` says of such a model, and how any program is put to the test: write a function
like `answer` below around it.

    ZEUSSEG_RUN=RUN zeusseg probe-language RUN examples/ignores_its_words.py:answer DATA --split val --out LANGUAGE
"""

import os
from functools import lru_cache
from pathlib import Path

import numpy as np

from zeusseg.case import Case, Grid, Volume
from zeusseg.errors import UsageError
from zeusseg.inference.load import LoadedModel, load_model
from zeusseg.inference.segment import segment


def answer(images: dict[str, np.ndarray], affine: np.ndarray, texts: list[str]) -> list[np.ndarray]:
    """One mask (x, y, z) per text.

    `images` maps a modality to its array (x, y, z), or (x, y, z, 3) in colour: x to the right, y to the front, z to
    the head. `affine` (4, 4) maps voxels to millimetres.
    """
    loaded = opened()
    volumes = {name: Volume(array, affine, Grid(array.shape[:3], affine)) for name, array in images.items()}
    name = loaded.targets[0].name
    found = segment(loaded, Case("case", "patient", volumes), {name: name})
    return [found[name].mask for _ in texts]


@lru_cache
def opened() -> LoadedModel:
    run = os.environ.get("ZEUSSEG_RUN")
    if not run:
        raise UsageError("set the environment variable ZEUSSEG_RUN to the run folder whose words are to be ignored")
    return load_model(Path(run))
