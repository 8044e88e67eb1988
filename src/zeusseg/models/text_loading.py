"""Finds a text encoder in a folder or on the hub, and how its family wants texts tokenized and pooled."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError

from zeusseg.errors import UsageError
from zeusseg.models import openclip_text
from zeusseg.models.weights import brief, look_up, quiet

# Models of pictures and texts: the class of transformers that loads the text half alone.
TEXT_HALVES = {
    "clip": "CLIPTextModel", "clip_text_model": "CLIPTextModel",
    "siglip": "SiglipTextModel", "siglip_text_model": "SiglipTextModel",
    "siglip2": "Siglip2TextModel", "siglip2_text_model": "Siglip2TextModel",
}  # fmt: skip
KINDS = "CLIP, SigLIP, a BERT kind or a decoder-only language model of transformers, or an open_clip folder with a BERT"
# How sentence-transformers names what we pool by: a switch for each in its older files, one name in the newer.
SENTENCE_POOLING = {"cls": "cls", "cls_token": "cls", "mean": "mean", "mean_tokens": "mean", "lasttoken": "last"}
POOLING_SWITCH = "pooling_mode_"
SMALL_FILES = ["*.json", "*.txt", "*.model"]


@dataclass
class LoadedText:
    """A text model and its tokenizer.

    `pooling`: "own" (the model's pooler output), "cls", "mean" or "last"; `hidden`: width of its tokens;
    `pooled_hidden`: width of the pooled vector where it lies in a space of its own, else None; `context`: the most
    tokens of a text; `padded`: texts are filled up to the context and read with their padding; `decoder`: a language
    model; `empty_id`: the token that stands for a text without any.
    """

    name: str
    fingerprint: str
    model: Any
    tokenizer: Any
    pooling: str
    hidden: int
    pooled_hidden: int | None
    context: int
    padded: bool
    padded_left: bool
    decoder: bool
    empty_id: int


def load_text(model: str) -> LoadedText:
    """Load a text encoder from a folder or hub id; weights from safetensors or with `weights_only`, and no code.

    Raises `UsageError` for a missing extra, folder, tokenizer or weight, and for a kind that is not known.
    """
    try:
        import transformers
    except ImportError as error:
        raise UsageError(f"the text encoder {model} needs the extra: pip install 'zeusseg[pretrained]'") from error
    with quiet():
        folder, digest = _find(model)
        if (folder / openclip_text.CONFIG).is_file() and not (folder / "config.json").is_file():
            text, pooling, context = openclip_text.load_openclip_text(folder)
            kind = "bert"
        else:
            config = _config(transformers, folder, model)
            kind = config.model_type
            text, pooling = _model(transformers, folder, model, config)
            context = _context(text)
        tokenizer = _tokenizer(transformers, folder, model)
    siglip = kind.startswith("siglip")
    limit = _read(folder / "sentence_bert_config.json").get("max_seq_length") or context
    ends = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    return LoadedText(
        name=model, fingerprint=digest, model=text, tokenizer=tokenizer, pooling=pooling,
        hidden=text.config.get_text_config().hidden_size, pooled_hidden=text.config.projection_size if siglip else None,
        context=min(context, limit, tokenizer.model_max_length), padded=siglip,
        padded_left=siglip and tokenizer.padding_side == "left", decoder=_decodes(transformers, text.config),
        empty_id=next(number for number in ends if number is not None),
    )  # fmt: skip


def _find(model: str) -> tuple[Path, str]:
    """The folder that holds a model, and what tells its weights from others; a hub's model is fetched to the cache."""
    publication = look_up(model, "config.json", openclip_text.CONFIG)
    if publication.revision is None:
        return Path(model), publication.fingerprint
    from huggingface_hub import snapshot_download

    try:
        # Beside safetensors, many repositories hold the same weights in PyTorch's format: they are not fetched twice.
        for weights in ("*.safetensors", "*.bin"):
            folder = Path(snapshot_download(
                model, revision=publication.revision, allow_patterns=[*SMALL_FILES, weights]
            ))  # fmt: skip
            if any(folder.glob(weights)):
                break
    except (OSError, ValueError) as error:
        raise UsageError(f"{model} cannot be fetched ({brief(error)}); without network, name a folder") from error
    return folder, publication.fingerprint


def _config(transformers: Any, folder: Path, model: str) -> Any:
    try:
        return transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(
            f"{model} holds no config.json of a kind that transformers knows without running its code "
            f"({brief(error)}): expected {KINDS}"
        ) from error


def _model(transformers: Any, folder: Path, model: str, config: Any) -> tuple[Any, str]:
    """The frozen model, and how its tokens are pooled."""
    kind, decodes = config.model_type, _decodes(transformers, config)
    if kind in TEXT_HALVES:
        loader, pooling = getattr(transformers, TEXT_HALVES[kind]), "own"
    elif decodes or _reads_both_ways(transformers, config):
        loader, pooling = transformers.AutoModel, _sentence_pooling(folder, model) or ("last" if decodes else "cls")
    else:
        raise UsageError(f"{model} is of the kind {kind}, which is no text encoder that we know: expected {KINDS}")
    try:
        loaded, report = loader.from_pretrained(
            folder, dtype="auto" if decodes else torch.float32, trust_remote_code=False, weights_only=True,
            output_loading_info=True,
        )  # fmt: skip
    except UnpicklingError as error:
        raise UsageError(f"the weights of {model} hold more than tensors: use a copy in safetensors") from error
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        raise UsageError(f"the weights of {model} cannot be loaded: {type(error).__name__}: {brief(error)}") from error
    # transformers fills what a file lacks with random numbers. BERT's pooler, which we do not use, is often lacking.
    lacking = sorted(name for name in report["missing_keys"] if not name.startswith("pooler."))
    if lacking:
        raise UsageError(
            f"{model} lacks {len(lacking)} tensors of its text encoder ({lacking[0]} …): is it another model's file?"
        )
    loaded.config.use_cache = False
    return loaded, pooling


def _decodes(transformers: Any, config: Any) -> bool:
    """Whether this is a language model that reads from left to right only."""
    return (
        type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING
        and type(config) not in transformers.MODEL_FOR_MASKED_LM_MAPPING
        and not config.is_encoder_decoder
    )


def _reads_both_ways(transformers: Any, config: Any) -> bool:
    return type(config) in transformers.MODEL_FOR_MASKED_LM_MAPPING and not config.is_encoder_decoder


def _sentence_pooling(folder: Path, model: str) -> str | None:
    """The pooling that a folder of sentence-transformers asks for, if it is one."""
    told = _read(folder / "1_Pooling" / "config.json")
    if not told:
        return None
    switched = [name.removeprefix(POOLING_SWITCH) for name, on in told.items() if POOLING_SWITCH in name and on is True]
    asked = " and ".join(switched) or str(told.get("pooling_mode"))
    if asked not in SENTENCE_POOLING:
        known = ", ".join(SENTENCE_POOLING)
        raise UsageError(f"{model} pools by {asked} (1_Pooling/config.json): expected one of {known}")
    return SENTENCE_POOLING[asked]


def _context(model: Any) -> int:
    """The most tokens that the model's positions are made for."""
    places = int(getattr(model.config.get_text_config(), "max_position_embeddings", None) or 10**9)
    # RoBERTa's kind counts positions from behind the padding's number.
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return places if padding is None else places - padding - 1


def _tokenizer(transformers: Any, folder: Path, model: str) -> Any:
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UsageError(
            f"the tokenizer of {model} cannot be loaded ({brief(error)}): expected its files beside the weights; "
            "SigLIP's needs: pip install sentencepiece protobuf"
        ) from error
    # Where the files are missing, transformers makes a tokenizer that knows nothing but special tokens.
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)) + 1:
        raise UsageError(f"{model} holds no tokenizer: expected tokenizer.json or vocab.txt beside the weights")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
