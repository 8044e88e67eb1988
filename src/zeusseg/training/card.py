"""The card of a trained model: what it is, what it saw, and what it is not for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zeusseg.datasets import Dataset
from zeusseg.models.zeus import RANDOM
from zeusseg.training.config import TrainConfig
from zeusseg.training.presets import NOT_ESTABLISHED

SHOWN = """It was shown the names, synonyms and definitions of these targets, and names of other things as examples of
what is not there. Asked for anything else, it should leave the mask empty; what it does in fact is to be measured."""
SHOWN_NOTHING_ABSENT = """It was never asked for anything that is not there. Asked for something else, it may mark these
targets all the same; what it does in fact is to be measured."""


def write_card(config: TrainConfig, dataset: Dataset, facts: Mapping[str, Any]) -> str:
    """Markdown for people. Scores are not in it: they belong to an evaluation, with its data and its n."""
    peer = config.model.peer
    targets = "\n".join(f"- **{t.name}**: {t.definition or 'no definition'}" for t in dataset.targets)
    return f"""# A zeusseg model for {dataset.name}

Research software: not a medical device, and not for clinical use.

| | |
| --- | --- |
{_own_parts(config, dataset, facts) if peer is None else _peer_parts(config, dataset)}
| instructions written by | `{config.writer}` |
| a voxel is inside from | {facts["threshold"]:g} |
| trained on | {facts["cases"]} cases of {facts["patients"]} patients, data digest `{facts["data_digest"][:12]}` |
| steps, batch, seed | {config.fit.steps}, {config.fit.batch_size}, {config.fit.seed} |
| parameters | {facts["parameters"]:,}, of which {facts["parameters_trained"]:,} were trained |
| seconds | {facts["seconds"]} |

## Targets
{targets}

## What it does not know
{SHOWN if peer is None or config.fit.absent_targets else SHOWN_NOTHING_ABSENT}
{NOT_ESTABLISHED if config.model.preset == "paper" else ""}"""


def _own_parts(config: TrainConfig, dataset: Dataset, facts: Mapping[str, Any]) -> str:
    return f"""| modalities | {", ".join(dataset.modalities)}; any subset of them |
| fusion | {config.model.fusion} |
| vision encoder | {_encoder(config.model.vision, facts["frozen"].get("vision"))} |
| text encoder | {_encoder(config.model.text, facts["frozen"].get("text"))} |
| mask decoder | {config.model.decoder} |"""


def _peer_parts(config: TrainConfig, dataset: Dataset) -> str:
    peer = config.model.peer
    assert peer is not None
    changes = ", ".join(f"{key}: {value}" for key, value in peer.changes.items()) or "none"
    return f"""| modalities | one picture: {" or ".join(dataset.modalities)} |
| model | {peer.name}, a published model that others made |
| weights | {peer.weights or "drawn anew"} |
| changes to the published configuration | {changes} |
| trained by the protocol | {config.fit.protocol if config.fit.steps else "none: as it was loaded"} |"""


def _encoder(name: str, fingerprint: str | None) -> str:
    """An encoder's name, and what a reader must know of its weights."""
    kind = "random weights, a control" if name.startswith(RANDOM) else "frozen, but for what config.yaml trains of it"
    return name if fingerprint is None else f"{name} ({kind}; fingerprint `{fingerprint[:16]}`)"
