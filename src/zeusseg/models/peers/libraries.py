"""The optional libraries of peer models, with an error that names their extra."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from zeusseg.errors import UsageError


def import_peer_library(name: str) -> ModuleType:
    """Import a library of the extra `peers`, or a module of one, by its name in Python.

    All of them import torchvision where it is installed, for parts that are not used here; `zeusseg.models` saw to it
    that it can be imported. Raises `UsageError` where `name` or torchvision is not installed, or does not fit the torch
    that is.
    """
    try:
        return import_module(name)
    except (ImportError, RuntimeError) as error:
        raise UsageError(f"this model needs {name}: pip install 'zeusseg[peers]' ({error})") from error
