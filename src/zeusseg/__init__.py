"""zeusseg segments medical images from instructions that are written from the images themselves.

The verbs of the command line are functions here; what they need is imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_VERBS = {
    "load_dataset": "zeusseg.datasets",
    "describe": "zeusseg.datasets",
    "make_phantom": "zeusseg.datasets.phantom",
    "make_writer": "zeusseg.instruct.writers",
    "write_instructions": "zeusseg.instruct.write",
    "read_config": "zeusseg.training.config",
    "train": "zeusseg.training.run",
    "pretrain": "zeusseg.pretraining.run",
    "run_study": "zeusseg.studies.run",
    "predict": "zeusseg.inference.predict",
    "evaluate": "zeusseg.report.evaluate",
    "compare": "zeusseg.report.compare",
    "find_leaks": "zeusseg.datasets",
    "compute_scores": "zeusseg.metrics",
    "Definitions": "zeusseg.metrics",
    "Case": "zeusseg.case",
    "Target": "zeusseg.case",
    "Volume": "zeusseg.case",
}
__all__ = sorted(_VERBS)


def __getattr__(name: str) -> Any:
    if name not in _VERBS:
        raise AttributeError(f"zeusseg has no {name!r}: it has {', '.join(__all__)}")
    return getattr(import_module(_VERBS[name]), name)


def __dir__() -> list[str]:
    return __all__
