"""A run folder opened for prediction: its model, its targets and its slicing. Nothing is unpickled."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from zeusseg.case import Target
from zeusseg.errors import UsageError
from zeusseg.files import write_atomically
from zeusseg.inference.slices import Slicing
from zeusseg.models.zeus import ZeusModel

FORMAT = 1


@dataclass
class LoadedModel:
    """A trained model and what one must know to use it. `parts` are the arguments that `ZeusModel` was made with.

    `mirror`: it was trained on mirrored patients as well, so that a case can be read both ways round.
    """

    model: ZeusModel
    parts: dict[str, Any]
    modalities: tuple[str, ...]
    targets: tuple[Target, ...]
    slicing: Slicing
    writer: str
    mirror: bool


def save_model(path: Path, loaded: LoadedModel) -> None:
    """Write a checkpoint (safetensors) that says in its header how to build the model that the weights belong to."""
    header = {
        "format": FORMAT,
        "parts": loaded.parts,
        "modalities": loaded.modalities,
        "targets": [vars(target) for target in loaded.targets],
        "slicing": vars(loaded.slicing),
        "writer": loaded.writer,
        "mirror": loaded.mirror,
    }
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in loaded.model.state_dict().items()}
    with write_atomically(path) as temporary:
        save_file(weights, temporary, metadata={"zeusseg": json.dumps(header)})


def load_model(run: Path) -> LoadedModel:
    """Open `run/model.safetensors`. Raises `UsageError` where there is none, or none of ours."""
    path = run / "model.safetensors"
    if not path.is_file():
        raise UsageError(f"{run} holds no trained model: expected {path}; has `zeusseg train` finished?")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["zeusseg"])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise UsageError(f"{path} is not a model that zeusseg wrote, or is damaged ({error})") from error
    if header["format"] != FORMAT:
        raise UsageError(f"{path} has format {header['format']}, this zeusseg reads {FORMAT}: train it again")
    model = ZeusModel(**header["parts"])
    model.load_state_dict(weights)
    targets = tuple(
        Target(t["name"], tuple(t["values"]), tuple(t["synonyms"]), t["definition"]) for t in header["targets"]
    )
    return LoadedModel(
        model.eval(), header["parts"], tuple(header["modalities"]), targets, Slicing(**header["slicing"]),
        header["writer"], header["mirror"],
    )
