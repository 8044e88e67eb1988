"""The card of a trained model: what it is, what it saw, and what it is not for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zeusseg.datasets import Dataset
from zeusseg.models.zeus import RANDOM
from zeusseg.training.config import TrainConfig
from zeusseg.training.presets import NOT_ESTABLISHED


def write_card(config: TrainConfig, dataset: Dataset, facts: Mapping[str, Any]) -> str:
    """Markdown for people. Scores are not in it: they belong to an evaluation, with its data and its n."""
    targets = "\n".join(f"- **{t.name}**: {t.definition or 'no definition'}" for t in dataset.targets)
    return f"""# A zeusseg model for {dataset.name}

Research software: not a medical device, and not for clinical use.

| | |
| --- | --- |
| modalities | {", ".join(dataset.modalities)}; any subset of them |
| fusion | {config.model.fusion} |
| vision encoder | {_encoder(config.model.vision, facts["frozen"].get("vision"))} |
| text encoder | {_encoder(config.model.text, facts["frozen"].get("text"))} |
| mask decoder | {config.model.decoder} |
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
{NOT_ESTABLISHED if config.model.preset == "paper" else ""}"""


def _encoder(name: str, fingerprint: str | None) -> str:
    """An encoder's name, and what a reader must know of its weights."""
    kind = "random weights, a control" if name.startswith(RANDOM) else "frozen, but for what config.yaml trains of it"
    return name if fingerprint is None else f"{name} ({kind}; fingerprint `{fingerprint[:16]}`)"
