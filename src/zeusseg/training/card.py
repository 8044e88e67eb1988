"""The card of a trained model: what it is, what it saw, and what it is not for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zeusseg.datasets import Dataset
from zeusseg.training.config import TrainConfig


def write_card(config: TrainConfig, dataset: Dataset, facts: Mapping[str, Any]) -> str:
    """Markdown for people. Scores are not in it: they belong to an evaluation, with its data and its n."""
    targets = "\n".join(f"- **{t.name}**: {t.definition or 'no definition'}" for t in dataset.targets)
    return f"""# A zeusseg model for {dataset.name}

Research software: not a medical device, and not for clinical use.

| | |
| --- | --- |
| modalities | {", ".join(dataset.modalities)}; any subset of them |
| fusion | {config.model.fusion} |
| vision and text encoder | {config.model.vision}, {config.model.text} |
| instructions written by | `{config.writer}` |
| trained on | {facts["cases"]} cases of {facts["patients"]} patients, data digest `{facts["data_digest"][:12]}` |
| steps, batch, seed | {config.fit.steps}, {config.fit.batch_size}, {config.fit.seed} |
| parameters | {facts["parameters"]:,}, of which {facts["parameters_trained"]:,} were trained |
| seconds | {facts["seconds"]} |

## Targets
{targets}

## What it does not know
It was shown the names, synonyms and definitions of these targets, and names of other things as examples of what is
not there. Asked for anything else, it should leave the mask empty; what it does in fact is to be measured.
"""
