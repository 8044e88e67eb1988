"""The BERT inside an open_clip model (BiomedCLIP), rebuilt in transformers from the shapes of its tensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from zeusseg.errors import UsageError

CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
TOWER = "text.transformer."
# How open_clip names what it takes as the vector of a text (open_clip, hf_model.py).
POOLING = {"cls_last_hidden_state_pooler": "cls", "mean_pooler": "mean"}
# In every published BERT a head is this wide; the number of heads does not show in the tensors' shapes.
HEAD_WIDTH = 64
# What open_clip assumes where the configuration does not say how many tokens a text may have.
CONTEXT = 77


def load_openclip_text(folder: Path) -> tuple[Any, str, int]:
    """The text tower of an open_clip folder: a `BertModel`, how its tokens are pooled ("cls" or "mean"), its context.

    Raises `UsageError` where the tower is no BERT or a file is missing.
    """
    from transformers import BertModel

    told = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["model_cfg"]["text_cfg"]
    name, pooler = told.get("hf_model_name"), told.get("hf_pooler_type")
    if name is None or "roberta" in name.lower() or pooler not in POOLING:
        raise UsageError(
            f"the text tower of {folder} is {name or 'one of open_clip itself'} with the pooler {pooler}: expected a "
            f"BERT with one of {', '.join(POOLING)}; name another text encoder in model.text"
        )
    weights = _text_weights(folder)
    try:
        model = BertModel(bert_config(weights), add_pooling_layer=False)
        model.load_state_dict(weights)
    except (KeyError, RuntimeError) as error:
        raise UsageError(
            f"the text tower of {folder} ({name}) is no BERT: its tensors do not fit; name another text encoder in "
            "model.text"
        ) from error
    return model, POOLING[pooler], told.get("context_length", CONTEXT)


def bert_config(weights: Mapping[str, Tensor]) -> Any:
    """The configuration of the BERT that tensors of these names and shapes belong to: open_clip does not write it."""
    from transformers import BertConfig

    words, places, kinds = (
        weights[f"embeddings.{table}_embeddings.weight"] for table in ("word", "position", "token_type")
    )
    return BertConfig(
        vocab_size=len(words), hidden_size=words.shape[1], max_position_embeddings=len(places),
        type_vocab_size=len(kinds), num_attention_heads=max(1, words.shape[1] // HEAD_WIDTH),
        num_hidden_layers=len({key.split(".")[2] for key in weights if key.startswith("encoder.layer.")}),
        intermediate_size=len(weights["encoder.layer.0.intermediate.dense.weight"]),
    )  # fmt: skip


def _text_weights(folder: Path) -> dict[str, Tensor]:
    """The text tower's tensors under the names that a `BertModel` without pooler gives them."""
    path = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if path is None:
        raise UsageError(f"{folder} holds no weights: expected {' or '.join(WEIGHTS)} beside {CONFIG}")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                found = {key: file.get_tensor(key) for key in file.keys() if key.startswith(TOWER)}  # noqa: SIM118
        else:
            every = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            found = {key: tensor.clone() for key, tensor in every.items() if key.startswith(TOWER)}
    except (OSError, RuntimeError, SafetensorError, UnpicklingError) as error:
        raise UsageError(f"{path} cannot be read: it is damaged, or holds more than tensors; fetch it again") from error
    named = {key.removeprefix(TOWER): tensor.float() for key, tensor in found.items()}
    # Older versions of transformers kept the numbers of the positions, and a pooler that open_clip does not use.
    return {key: tensor for key, tensor in named.items() if not key.startswith(("pooler.", "embeddings.position_ids"))}
