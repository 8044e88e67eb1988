"""Tiny text encoders in the files of the real ones, with random weights: nothing is downloaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from helpers import tiny

TEXT_KINDS = ("clip", "clip_text", "siglip", "bert", "sentence", "llama", "openclip")
CORPUS = ["Outline the lesion in the left kidney. It is bright and round.", "The liver shows no mass."]
CONTEXT = 24
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
PICTURES = {**SIZES, "image_size": 28, "patch_size": 14}


def tiny_text(kind: str, folder: Path) -> Path:
    """A text encoder of that kind (`TEXT_KINDS`) and its tokenizer, saved in `folder`; texts of up to 24 tokens."""
    import torch

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    {
        "clip": _clip, "clip_text": _clip, "siglip": _siglip, "bert": _bert, "sentence": _bert, "llama": _llama,
        "openclip": _openclip,
    }[kind](kind, folder)  # fmt: skip
    return folder


def _words(template: str) -> Any:
    """A tokenizer that puts `<s>` and `</s>` where `template` has them."""
    from tokenizers.processors import TemplateProcessing

    words = tiny.tokenizer(CORPUS)
    words.backend_tokenizer.post_processor = TemplateProcessing(
        single=template, special_tokens=[(token, words.convert_tokens_to_ids(token)) for token in ("<s>", "</s>")]
    )
    return words


def _clip(kind: str, folder: Path) -> None:
    """As OpenAI's: the end of the text has the highest number, and is the padding too."""
    from tokenizers.processors import TemplateProcessing
    from transformers import CLIPConfig, CLIPModel, CLIPTextModel

    words = tiny.tokenizer(CORPUS)
    start, end = "<|startoftext|>", "<|endoftext|>"
    words.add_special_tokens({"bos_token": start, "eos_token": end, "pad_token": end})
    first, last = words.convert_tokens_to_ids([start, end])
    words.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(start, first), (end, last)]
    )
    text = {
        **SIZES, "vocab_size": len(words), "max_position_embeddings": CONTEXT, "bos_token_id": first,
        "eos_token_id": last, "pad_token_id": last,
    }  # fmt: skip
    config = CLIPConfig(text_config=text, vision_config=PICTURES, projection_dim=16)
    (CLIPModel(config) if kind == "clip" else CLIPTextModel(config.text_config)).save_pretrained(folder)
    words.save_pretrained(folder)


def _siglip(kind: str, folder: Path) -> None:
    from transformers import SiglipConfig, SiglipModel

    words = _words("$A </s>")
    text = {
        **SIZES, "vocab_size": len(words), "max_position_embeddings": CONTEXT, "projection_size": 48, "bos_token_id": 1,
        "eos_token_id": 2, "pad_token_id": 0,
    }  # fmt: skip
    SiglipModel(SiglipConfig(text_config=text, vision_config=PICTURES)).save_pretrained(folder)
    words.save_pretrained(folder)


def _bert(kind: str, folder: Path) -> None:
    """`sentence`: as sentence-transformers saves it, the mean over tokens."""
    from transformers import BertConfig, BertModel

    words = _words("<s> $A </s>")
    BertModel(BertConfig(**SIZES, vocab_size=len(words), max_position_embeddings=CONTEXT)).save_pretrained(folder)
    words.save_pretrained(folder)
    if kind == "sentence":
        (folder / "modules.json").write_text(json.dumps([
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        ]))  # fmt: skip
        (folder / "1_Pooling").mkdir(exist_ok=True)
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(
            {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
        ))  # fmt: skip


def _llama(kind: str, folder: Path) -> None:
    """Decoder-only; its tokenizer adds no special tokens, so an empty text has none at all."""
    from transformers import LlamaConfig, LlamaForCausalLM

    words = tiny.tokenizer(CORPUS)
    LlamaForCausalLM(LlamaConfig(
        **SIZES, vocab_size=len(words), max_position_embeddings=CONTEXT, bos_token_id=1, eos_token_id=2, pad_token_id=0
    )).save_pretrained(folder)  # fmt: skip
    words.save_pretrained(folder)


def _openclip(kind: str, folder: Path) -> None:
    """The text half of a BiomedCLIP-like folder, and a stand-in for the vision half; heads of 64, as in every BERT."""
    import torch
    from safetensors.torch import save_file
    from transformers import BertConfig, BertModel

    words = _words("<s> $A </s>")
    bert = BertModel(BertConfig(
        hidden_size=128, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, vocab_size=len(words),
        max_position_embeddings=32,
    ))  # fmt: skip
    weights = {f"text.transformer.{name}": tensor for name, tensor in bert.state_dict().items()}
    weights |= {"text.proj.0.weight": torch.zeros(8, 128), "visual.trunk.cls_token": torch.zeros(1, 1, 32)}
    save_file(weights, folder / "open_clip_model.safetensors")
    text = {
        "hf_model_name": "tiny/BiomedBERT", "hf_tokenizer_name": "tiny/BiomedBERT", "hf_proj_type": "mlp",
        "hf_pooler_type": "cls_last_hidden_state_pooler", "context_length": CONTEXT,
    }  # fmt: skip
    config = {"model_cfg": {"embed_dim": 8, "vision_cfg": {}, "text_cfg": text}, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    words.save_pretrained(folder)
