"""Models of known behaviour for the language test: one that heeds every word, one that heeds none."""

from __future__ import annotations

from pathlib import Path

import pytest

PEERS = '''
from functools import lru_cache

import numpy as np

from zeusseg.datasets import load_dataset
from zeusseg.studies.language.ask import prepare_case
from zeusseg.studies.language.judge import right_mask


@lru_cache
def cases():
    dataset = load_dataset({root!r})
    return [prepare_case(dataset.read(case_id), dataset.targets, 0) for case_id in dataset.case_ids]


def perfect(images, affine, texts):
    first = next(iter(images))
    asked = next(a for a in cases() if np.array_equal(a.case.images[first].array, images[first]))
    right = {{q.text: right_mask(asked.case, asked.targets, q, asked.pieces) for q in asked.questions}}
    return [right[text] for text in texts]


def deaf(images, affine, texts):
    return [images[next(iter(images))] > 100 for _ in texts]


def silent(images, affine, texts):
    return [np.zeros(next(iter(images.values())).shape, bool) for _ in texts]
'''


@pytest.fixture
def peers(phantoms, tmp_path) -> Path:
    """A Python file with the functions `perfect` (which knows the labels, and the questions of seed 0), `deaf` (which
    marks everything bright, whatever it is asked) and `silent` (which never marks anything)."""
    path = tmp_path / "peers.py"
    path.write_text(PEERS.format(root=str(phantoms.root)))
    return path
