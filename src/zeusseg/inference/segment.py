"""One case and its instructions through the model: masks on the case's grid, and how sure the model is of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zeusseg.case import Case, Mask
from zeusseg.inference.clicks import TargetClicks, refuse_untrained, stack_clicks
from zeusseg.inference.features import StackFeatures
from zeusseg.inference.load import LoadedModel
from zeusseg.inference.mirror import mirror_words
from zeusseg.inference.slices import restore_planes, stack_slices
from zeusseg.inference.store import FeatureStore
from zeusseg.metrics.calibration import logits_of
from zeusseg.models.build import SegmentationModel
from zeusseg.models.clicks import Clicks
from zeusseg.models.neck import Features
from zeusseg.models.text import TextTokens
from zeusseg.models.zeus import ZeusModel, ZeusOutput

# Below this, the target is held not to be in the image at all, and its mask is left empty.
PRESENCE_THRESHOLD = 0.5


@dataclass
class SegmentedTarget:
    """`probability` (x, y, z) float32, `presence` 0 to 1, and `empty_reason`: why the mask is empty, or None.

    `presence` is calibrated where the model has a calibration; `raw_presence` is what the model itself said. The mask
    is where the probability is above `threshold`.
    """

    probability: NDArray[np.float32]
    presence: float
    empty_reason: str | None
    raw_presence: float = math.nan
    threshold: float = 0.5

    @property
    def mask(self) -> Mask:
        if self.empty_reason is not None:
            return np.zeros(self.probability.shape, dtype=bool)
        return self.probability > self.threshold


def segment(
    loaded: LoadedModel, case: Case, texts: Mapping[str, str], *, batch_size: int = 8, device: str = "cpu",
    store: FeatureStore | None = None, clicks: Mapping[str, TargetClicks] | None = None,
) -> dict[str, SegmentedTarget]:
    """Segment what each of `texts` (target name to instruction) asks for.

    `store` keeps what the model's frozen vision encoder makes of the slices, for other runs and other words. `clicks`
    (target name to points and box) go beside the words.

    The case keeps its grid: probabilities come back on it. Raises `BadInputError` where the case has none of the
    model's modalities or a point is outside the image, `UsageError` for clicks that the model was not trained with or
    that are for none of the targets. A text without words asks for nothing and gets an empty mask, unless the model
    was trained with the writer `none`.
    """
    stack = stack_slices(case.with_modalities(loaded.modalities), loaded.modalities, loaded.slicing)
    if clicks:
        refuse_untrained(loaded)
    pointed = stack_clicks(case, stack, list(texts), clicks or {})
    model = loaded.model.to(device)
    features = None
    if store is not None and isinstance(model, ZeusModel):
        features = StackFeatures(store, model, stack, loaded.slicing)
    masks, presences = [], []
    with torch.inference_mode():
        encoded = model.encode_text(list(texts.values()))
        mirrored = model.encode_text([mirror_words(text) for text in texts.values()]) if loaded.mirror else None
        for first in range(0, len(stack), batch_size):
            planes = range(first, min(first + batch_size, len(stack)))
            images = torch.stack([stack.read(plane, loaded.slicing) for plane in planes]).to(device)
            present = stack.present.expand(len(planes), -1).to(device)
            given = pointed.read(planes)
            given = given and given.to(device)
            read = None if features is None else partial(features.read, planes)
            mask, presence = _answer(model, images, present, encoded, given, read and partial(read, mirrored=False))
            if mirrored is not None:
                # Read both ways round and averaged, as nnU-Net does.
                other_mask, other_presence = _answer(
                    model, images.flip(-1), present, mirrored, given and given.flipped(images.shape[-1]),
                    read and partial(read, mirrored=True),
                )
                mask, presence = (mask + other_mask.flip(-1)) / 2, (presence + other_presence) / 2
            masks.append(mask.cpu())
            presences.append(presence.cpu())
    probabilities = restore_planes(torch.cat(masks).transpose(0, 1), stack)
    highest: list[float] = torch.cat(presences).amax(dim=0).tolist()
    calibrated = highest
    if loaded.calibration is not None:
        calibrated = loaded.calibration.probabilities(logits_of(highest)).tolist()
    return {
        name: SegmentedTarget(
            probability, presence, _empty_reason(text, probability, presence, loaded), raw, loaded.threshold
        )
        for (name, text), probability, presence, raw in zip(
            texts.items(), probabilities, calibrated, highest, strict=True
        )
    }


def _answer(
    model: SegmentationModel, images: Tensor, present: Tensor, encoded: TextTokens, clicks: Clicks | None,
    read: Callable[[Tensor], Features] | None,
) -> tuple[Tensor, Tensor]:
    """Mask (b, t, h, w) and presence (b, t) probabilities of every text for every image (b, m, c, h, w).

    `read` gives the features of the images, where they are stored.
    """
    which = torch.arange(len(encoded.mask), device=images.device).expand(len(images), -1)
    output: ZeusOutput = model(images if read is None else read(images), present, encoded, which, clicks)
    return output.masks.sigmoid(), output.presence.sigmoid()


def _empty_reason(text: str, probability: NDArray[np.float32], presence: float, loaded: LoadedModel) -> str | None:
    # A peer's answer is its own: it has no presence, and says itself what it makes of an empty text.
    if loaded.model.has_presence:
        if not text.strip() and not loaded.wordless:
            return "the instruction is empty, so it asks for nothing"
        if presence < PRESENCE_THRESHOLD:
            return (
                f"presence {presence:.2f} is below {PRESENCE_THRESHOLD}: nothing in the image answers the instruction"
            )
    if not (probability > loaded.threshold).any():
        return f"no voxel is inside with a probability above {loaded.threshold:g}"
    return None
