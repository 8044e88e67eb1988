"""The card of pretrained weights: what they are, what they saw, and what they are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zeusseg.pretraining.config import PretrainConfig


def write_pretrain_card(config: PretrainConfig, facts: Mapping[str, Any]) -> str:
    """Markdown for people."""
    if facts["data"]:
        cases, patients = len(facts["training_cases"]), len(facts["training_patients"])
        source = f"{cases} cases of {patients} training patients of {facts['data']}"
        source += f", data digest `{facts['data_digest'][:12]}`; no label was opened"
        caution = (
            "The training patients are listed in `pretrain.json`: none of them may be used to score a model that these "
            "weights are part of."
        )
    else:
        source = "the phantoms again, without their labels"
        caution = "No image of a real patient was seen."
    regions, batches = ", ".join(config.phantoms.regions), f"{config.phantoms.batch_size} + {config.images.batch_size}"
    return f"""# A {config.encoder} encoder, pretrained by zeusseg

Research software: not a medical device, and not for clinical use.

| | |
| --- | --- |
| parameters | {facts["parameters"]:,} |
| learned with labels from | {config.phantoms.count} phantoms with randomised appearance ({regions}): \
segmentation, modality, and presence, polarity, side and enhancement of lesions |
| learned without labels from | {source} |
| steps, images a step, seed | {config.steps}, {batches}, {config.seed} |
| image size | {config.image_size} |
| seconds | {facts["loop_seconds"]} |

Input: three channels (a slice with its neighbours, a slice thrice, or three modalities of a slice), each modality with
mean 0 and deviation 1 over its foreground, clipped to 2.5 deviations, mapped to [0, 1]; then mean and deviation 0.5.

## What it is not
It is not a model of natural images or of published weights: it saw made-up bodies and few patients for few steps. It
segments nothing by itself: the heads that taught it were thrown away. {caution}
"""
