"""Published weights: where their files are, what tells them from others, and how they get into a network."""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from zeusseg.errors import UsageError

# So much is read at the start, in the middle and at the end of every tensor to tell one training from another.
SAMPLE_BYTES = 4096
SEED = 0
# Parameters that published files may lack, because what we compute does not depend on them or they are never trained:
# the norms that transformers puts behind the stages of a backbone start, and stay, at one and zero.
_MAY_BE_MISSING = ("mask_token", "num_batches_tracked", "hidden_states_norms")


def fingerprint(folder: Path) -> str:
    """A digest of a model's folder (16 hexadecimal digits): small files whole, of the weights a part of every tensor.

    Reading all of the weights would take minutes; a training, or a merged adapter, changes whole tensors. Where there
    are no safetensors, PyTorch's own files (`.bin`) are read whole: they do not say up front where their tensors lie.
    """
    digest = hashlib.sha256()
    paths = sorted(folder.glob("*"))
    pickled = not any(path.suffix == ".safetensors" for path in paths)
    for path in paths:
        if path.suffix in (".json", ".jinja", ".model", ".txt"):
            digest.update(path.name.encode() + path.read_bytes())
        elif path.suffix == ".bin" and pickled:
            with path.open("rb") as file:
                digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
        elif path.suffix == ".safetensors":
            with path.open("rb") as file:
                header = file.read(int.from_bytes(file.read(8), "little"))
                digest.update(path.name.encode() + header)
                start = 8 + len(header)
                for tensor in json.loads(header).values():
                    first, last = tensor.get("data_offsets", (0, 0))
                    for place in (first, (first + last - SAMPLE_BYTES) // 2, last - SAMPLE_BYTES):
                        file.seek(start + max(place, first))
                        digest.update(file.read(min(SAMPLE_BYTES, last - first)))
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Publication:
    """A model's files: a folder, or one commit of a repository on the hub."""

    model: str
    config: Path  # the file that says what kind of model it is
    revision: str | None  # the commit; None for a folder

    @property
    def fingerprint(self) -> str:
        return self.revision or fingerprint(Path(self.model))

    def find(self, name: str) -> Path | None:
        """One of its files, fetched where that is needed; None where there is no such file."""
        from huggingface_hub.errors import EntryNotFoundError

        try:
            return _fetch(self.model, name, self.revision)
        except (EntryNotFoundError, FileNotFoundError):
            return None

    def settings(self, name: str) -> dict[str, Any]:
        """What one of its JSON files says; empty where there is no such file. Raises `UsageError` for a broken one."""
        path = self.find(name)
        try:
            return json.loads(path.read_text()) if path else {}
        except ValueError as error:
            raise UsageError(f"{path} is no JSON: {brief(error)}") from error


def look_up(model: str, *names: str) -> Publication:
    """The files of a folder or hub id that has one of `names`, the first of which counts.

    Raises `UsageError` where there is neither such a folder nor a repository that can be reached.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError

    folder = Path(model).expanduser()
    model = str(folder) if folder.is_dir() else model
    reasons: list[Exception] = []
    for name in names:
        try:
            # Who was not reached for the first name is not tried again: it takes half a minute to give up.
            unreachable = any(isinstance(reason, LocalEntryNotFoundError) for reason in reasons)
            path = _fetch(model, name, None, cached_only=unreachable)
        except (OSError, ValueError) as error:
            reasons.append(error)
        else:
            # The hub's cache has one folder per commit, and names it so.
            return Publication(model, path, None if folder.is_dir() else path.parent.name)
    raise UsageError(
        f"{model} is no folder with a model's {' or '.join(names)}, nor a hub id that can be reached "
        f"({brief(reasons[0])})"
    ) from reasons[0]


def weights_file(weights: str, suffixes: Sequence[str]) -> Path:
    """The file `weights` itself, or the only one of the folder. Raises `UsageError` where there is none, or several."""
    place = Path(weights).expanduser()
    expected = f"expected a file that ends in {', '.join(suffixes)}, or a folder with exactly one"
    if place.is_dir():
        found = sorted(path for path in place.iterdir() if path.suffix in suffixes)
        if len(found) != 1:
            raise UsageError(f"{place} holds {len(found)} files of weights: {expected}, not {len(found)}; name it")
        return found[0]
    if not place.is_file() or place.suffix not in suffixes:
        raise UsageError(f"{weights} is no file of weights: {expected}")
    return place


def read_tensors(path: Path) -> Any:
    """What a file of weights holds, read without running what may be in it.

    Raises `UsageError` where it is damaged, or holds more than tensors and plain values.
    """
    try:
        return load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, UnpicklingError, SafetensorError) as error:
        raise UsageError(
            f"{path} cannot be read safely: it is damaged, or holds more than tensors; fetch it again ({brief(error)})"
        ) from error


def load_pretrained(network: Any, model: str | None, what: str, **options: Any) -> nn.Module:
    """`network.from_pretrained` (a class of transformers) in float32, with every parameter really read from the files.

    `what` names the model in errors. Raises `UsageError` where weights are missing or do not fit.
    """
    try:
        with quiet():
            loaded, report = network.from_pretrained(
                model, dtype=torch.float32, output_loading_info=True, weights_only=True, **options
            )
    except Exception as error:
        raise UsageError(f"{what} cannot be loaded: {type(error).__name__}: {brief(error)}") from error
    missing = sorted(key for key in report["missing_keys"] if not any(part in key for part in _MAY_BE_MISSING))
    if missing:
        # transformers would go on with random numbers in their place.
        raise UsageError(
            f"{what} cannot be loaded as {network.__name__}: its files lack {len(missing)} tensors ({missing[0]}, ...)"
        )
    return loaded


def draw_random(network: Any, *arguments: Any, **options: Any) -> nn.Module:
    """The same network with random weights, the same ones at every call; whatever else draws numbers is undisturbed."""
    with torch.random.fork_rng(devices=[]), quiet():
        torch.default_generator.manual_seed(SEED)
        return network(*arguments, **options).float()


def digest(tensors: dict[str, Tensor], *settings: object) -> str:
    """What tells a network in memory from others (16 hexadecimal digits): settings, and a part of every tensor."""
    found = hashlib.sha256(repr(settings).encode())
    for name, tensor in sorted(tensors.items()):
        part = tensor.flatten()[: SAMPLE_BYTES // tensor.element_size()].contiguous()
        found.update(f"{name}{tuple(tensor.shape)}".encode() + part.view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:16]


def brief(said: object) -> str:
    """What a library said, on one line and cut."""
    return textwrap.shorten(str(said), 160, placeholder=" ...")


@contextmanager
def quiet() -> Iterator[None]:
    """Without the bars and tables of transformers: what matters in them is checked, the rest are unused parts."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _fetch(model: str, name: str, revision: str | None, *, cached_only: bool = False) -> Path:
    folder = Path(model)
    if folder.is_dir():
        if not (folder / name).is_file():
            raise FileNotFoundError(f"no {name} in it")
        return folder / name
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(model, name, revision=revision, local_files_only=cached_only))
