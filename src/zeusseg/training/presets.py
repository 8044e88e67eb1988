"""Sets of model parts by name, and what the card of a model must say of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

# Zeus as published (arXiv 2504.07336), as far as its text tells. Weights that its authors used cannot be had under one
# name, so the nearest published ones stand here; any of the lines can be changed.
PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType({
    "compact": {},
    "paper": {
        "fusion": "late",
        "vision": "pretrained:google/medsiglip-448",
        "text": "pretrained:microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract",
        "decoder": "sam:facebook/sam-vit-base",
        "width": 256,
    },
})  # fmt: skip

NOT_ESTABLISHED = """
## What is not established about the paper
This model follows Zeus (arXiv 2504.07336) as far as its text tells: a frozen image encoder reads every modality, a
frozen text encoder reads the instruction, one linear layer maps the words to the input of SAM's mask decoder, and only
that decoder (with what joins the parts) is trained; modalities meet by the fusion named above. The paper does not say,
and this model had to choose: how each fusion is defined, which size of SAM its decoder is of and whether it starts from
SAM's weights, the loss, the image size, the optimiser and its schedule, the splits, and how its baselines were trained.
Its image encoder is MedCLIP and its text encoder that of a radiology-tuned Vicuna; those used here are named above.
In the paper a trained two-layer MLP stands before the language model that writes the findings; how gradients reach it
through written text is not said. Here instructions are written beforehand, by the writer named above, and nothing of
the writer is trained.
"""
