"""Models that are asked: a run of ours, or any other program behind one Python function."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from zeusseg.case import Case, Mask
from zeusseg.errors import BadInputError, UsageError, ZeusError
from zeusseg.inference.load import LoadedModel, load_model
from zeusseg.inference.segment import SegmentedTarget, segment
from zeusseg.inference.singled_out import single_out

EXPECTED = "expected a run folder that `zeusseg train` wrote, or FILE.py:FUNCTION"


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model made of one text: the mask (x, y, z) on the case's grid; `presence` (0 to 1) and what it found to
    contradict the image in the text (`conflicts`), where it tells."""

    mask: Mask
    presence: float | None = None
    conflicts: tuple[str, ...] = ()


class LanguageModel(Protocol):
    """What the test asks. `digest` identifies the model: another one means that its answers are asked for anew."""

    name: str
    digest: str

    def answer(self, case: Case, texts: Sequence[str], *, check: Collection[str] = ()) -> list[Answer]:
        """One answer per text, for a case without labels; what contradicts the image is told for texts in `check`.

        Raises `BadInputError` where the model cannot read this case.
        """
        ...


class RunModel:
    """A run folder, on a GPU where there is one. Its weights are read when it is first asked."""

    def __init__(self, run: Path):
        import torch

        if not (run / "model.safetensors").is_file():
            raise UsageError(f"{run} holds no trained model: {EXPECTED}; has it finished?")
        self.run = run
        self.name = run.resolve().name
        self.digest = _file_digest(run / "model.safetensors")
        self.device = "cuda" if torch.cuda.is_available() else "cpu"

    @cached_property
    def loaded(self) -> LoadedModel:
        return load_model(self.run)

    def answer(self, case: Case, texts: Sequence[str], *, check: Collection[str] = ()) -> list[Answer]:
        keys = {f"text {number}": text for number, text in enumerate(texts)}
        segmented = segment(self.loaded, case, keys, device=self.device)
        found, _, by_name = single_out(self.loaded, case, keys, segmented, device=self.device)
        checked = {key: text for key, text in keys.items() if text in check}
        conflicts = self._conflicts(case, checked, by_name) if checked else {}
        return [Answer(found[key].mask, found[key].presence, conflicts.get(key, ())) for key in keys]

    def _conflicts(
        self, case: Case, texts: dict[str, str], by_name: dict[str, SegmentedTarget]
    ) -> dict[str, tuple[str, ...]]:
        from zeusseg.inference.conflicts import find_conflicts

        found = find_conflicts(self.loaded, case, texts, device=self.device, by_name=by_name)
        return {key: tuple(conflict.text for conflict in conflicts) for key, conflicts in found.items()}


class FunctionModel:
    """`function(images, affine, texts)` of any program, in a Python file.

    `images` maps a modality to its array (x, y, z), or (x, y, z, 3) for a colour picture, in canonical orientation (x
    to the right, y to the front, z to the head); `affine` (4, 4) maps voxels to millimetres (RAS+); `texts` is a list.
    It returns one mask (x, y, z) of 0 and 1 per text. The digest is that of the file: what the function reads from
    elsewhere, its weights say, is not part of it.
    """

    def __init__(self, path: Path, name: str, function: Callable[..., Any]):
        self.name = f"{path.stem}.{name}"
        self.digest = f"{_file_digest(path)}:{name}"
        self.function = function

    def answer(self, case: Case, texts: Sequence[str], *, check: Collection[str] = ()) -> list[Answer]:
        # Copies, so that a function that works in place does not change what the next one sees.
        images = {name: volume.array.copy() for name, volume in case.images.items()}
        try:
            masks = list(self.function(images, case.reference.affine.copy(), list(texts)))
        except ZeusError:
            raise
        except Exception as error:
            raise BadInputError(f"{self.name} failed on case {case.id!r}: {type(error).__name__}: {error}") from error
        if len(masks) != len(texts):
            raise UsageError(f"{self.name} returned {len(masks)} masks for {len(texts)} texts: expected one per text")
        return [Answer(self._checked(np.asarray(mask), case)) for mask in masks]

    def _checked(self, mask: Any, case: Case) -> Mask:
        if mask.shape != case.shape:
            raise UsageError(
                f"{self.name} returned a mask of shape {mask.shape} for case {case.id!r}: expected (x, y, z) "
                f"{case.shape}, the grid of its images"
            )
        if mask.dtype != np.bool_ and not ((mask == 0) | (mask == 1)).all():
            raise UsageError(f"{self.name} returned values other than 0 and 1: apply a threshold first")
        return mask.astype(bool)


def open_model(text: str) -> LanguageModel:
    """Open a run folder, or `FILE.py:FUNCTION`. Raises `UsageError` where it is neither, or cannot be opened."""
    file, colon, function = text.rpartition(":")
    if colon and file.endswith(".py"):
        return _open_function(Path(file), function)
    if text.endswith(".py"):
        raise UsageError(f"{text} names no function: {EXPECTED}")
    if not Path(text).is_dir():
        raise UsageError(f"there is no folder {text}: {EXPECTED}")
    return RunModel(Path(text))


def _open_function(path: Path, name: str) -> FunctionModel:
    if not path.is_file():
        raise UsageError(f"there is no file {path}: {EXPECTED}")
    # A name of its own, under which dataclasses of the file look themselves up, and which hides no other module.
    module = ModuleType(f"asked_{_file_digest(path)[:16]}")
    module.__file__ = str(path)
    loader = SourceFileLoader(module.__name__, str(path))
    sys.modules[module.__name__] = module
    # What lies beside the file is found, as when Python runs it; last, so that it hides nothing either.
    sys.path.append(str(path.resolve().parent))
    try:
        loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise UsageError(f"{path} has no function {name!r}: expected {name}(images, affine, texts) -> masks")
    return FunctionModel(path, name, function)


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
