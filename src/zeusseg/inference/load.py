"""A run folder opened for prediction: its model, its targets and its slicing. Nothing is unpickled."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from zeusseg.case import Target
from zeusseg.errors import UsageError
from zeusseg.files import write_atomically
from zeusseg.inference.slices import Slicing
from zeusseg.metrics.calibration import Calibration
from zeusseg.models.build import SegmentationModel, build_model
from zeusseg.models.neck import IN_TRAINING
from zeusseg.models.zeus import ZeusModel

FORMAT = 3
# Copies of frozen encoders that a run brings along, each under the last part of its name.
ENCODERS = "encoders"


@dataclass
class LoadedModel:
    """A trained model and what one must know to use it. `parts` are what `build_model` made it of.

    `mirror`: it was trained on mirrored patients as well, so that a case can be read both ways round. `clicks`: it was
    trained with points and boxes beside the words, so that it can be given some. `calibration`: how its presence
    becomes a probability that means what it says; None where there was nothing to learn that from. `threshold`: from
    which probability on a voxel is inside.
    """

    model: SegmentationModel
    parts: dict[str, Any]
    modalities: tuple[str, ...]
    targets: tuple[Target, ...]
    slicing: Slicing
    writer: str
    mirror: bool
    clicks: bool
    calibration: Calibration | None = None
    threshold: float = 0.5

    @property
    def wordless(self) -> bool:
        """Whether it was trained on empty texts, and so is asked with them: by the writer `none`, or the prompt P0."""
        return self.writer == "none" or self.writer.endswith(":P0")


def save_model(path: Path, loaded: LoadedModel) -> None:
    """Write a checkpoint (safetensors) that says in its header how to build the model that the weights belong to.

    It holds what was trained. A frozen encoder is named there by place and fingerprint, and stays where it is.
    """
    header = {
        "format": FORMAT,
        "parts": loaded.parts,
        "modalities": loaded.modalities,
        "targets": [vars(target) for target in loaded.targets],
        "slicing": vars(loaded.slicing),
        "writer": loaded.writer,
        "mirror": loaded.mirror,
        "clicks": loaded.clicks,
        "calibration": loaded.calibration and vars(loaded.calibration),
        "threshold": loaded.threshold,
        "frozen": dict(loaded.model.frozen),
    }
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in trained_state(loaded.model).items()}
    with write_atomically(path) as temporary:
        save_file(weights, temporary, metadata={"zeusseg": json.dumps(header)})


def trained_state(model: SegmentationModel) -> dict[str, Tensor]:
    """The weights that training changed: all but those of a frozen encoder. Of a peer, whose files need not be there
    when it is opened again, all."""
    if not isinstance(model, ZeusModel):
        return model.state_dict()
    frozen = f"{IN_TRAINING}.encoder."
    learnt = model.backbone.trained_state() if model.backbone is not None and model.backbone.trains else {}
    state = model.state_dict()
    return {name: value for name, value in state.items() if frozen not in name or name.partition(frozen)[2] in learnt}


def load_model(run: Path) -> LoadedModel:
    """Open `run/model.safetensors`.

    Raises `UsageError` where there is none, or none of ours, and where a frozen encoder is not there or is not the one
    that the model was trained on.
    """
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
    try:
        model = build_model(header["parts"], run / ENCODERS)
    except UsageError as error:
        if "peer" in header["parts"]:
            raise
        raise UsageError(f"{error}; the run {run} was trained on it: copy its folder into {run / ENCODERS}") from error
    for part, trained_on in header["frozen"].items():
        found = model.frozen[part]
        if found != trained_on:
            raise UsageError(
                f"the run {run} was trained on a {part} encoder with the fingerprint {trained_on}, but "
                f"{header['parts'][part]} has {found}: copy the folder of the right one into {run / ENCODERS}"
            )
    missing, unexpected = model.load_state_dict(weights, strict=False)
    if unexpected or set(missing) != set(model.state_dict()) - set(trained_state(model)):
        raise UsageError(f"{path} does not hold the weights that its header describes: train it again")
    targets = tuple(
        Target(t["name"], tuple(t["values"]), tuple(t["synonyms"]), t["definition"]) for t in header["targets"]
    )
    calibration = header["calibration"] and Calibration(**header["calibration"])
    return LoadedModel(
        model.eval(), header["parts"], tuple(header["modalities"]), targets, Slicing(**header["slicing"]),
        header["writer"], header["mirror"], header["clicks"], calibration, header.get("threshold", 0.5),
    )
