"""Tiny models in the files of the real ones, built and saved within seconds: nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}:{% if message['content'] is string %} {{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>\n"
    "{% else %} {{ part['text'] }}{% endif %}{% endfor %}{% endif %}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
FIRST_IMAGE_ONLY = "{% if part['type'] == 'image' and not loop.first %}{% elif part['type'] == 'image' %}"
SIDE = 28
READING, UNION = "What is seen?", "What is to be outlined?"


def prompts(folder: Path) -> Path:
    """A folder with the questions that the taught models have learnt to answer."""
    folder.mkdir()
    (folder / "reading.txt").write_text(f"version: 1\n---\n{READING}\n")
    (folder / "union.txt").write_text(f"version: 1\n---\n{UNION}\n")
    return folder


def tokenizer(texts: list[str]) -> Any:
    """A byte-level BPE tokenizer trained on `texts`."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<s>", "</s>", "<image>"]
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(texts, vocab_size=400, special_tokens=special, show_progress=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>",
        extra_special_tokens={"image_token": "<image>"}, chat_template=TEMPLATE,
    )  # fmt: skip


def llava(folder: Path, taught: list[tuple[str, Any, str]] | None = None, steps: int = 150) -> Path:
    """A LLaVA with random weights, its processor and chat template, saved in `folder`.

    `taught` are questions (text, PIL image or None) with the answers that it learns by heart in so many steps.
    """
    import torch
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    words = tokenizer([text for question, _, answer in taught or () for text in (question, answer)] or ["{}"])
    torch.manual_seed(0)
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=SIDE, patch_size=14
    )
    text = LlamaConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=4096, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_id=words.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1, vision_feature_select_strategy="default",
    )  # fmt: skip
    model = LlavaForConditionalGeneration(config)
    pictures = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    processor = LlavaProcessor(
        pictures, words, patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )  # fmt: skip
    if taught:
        teach(model, processor, taught, steps)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def taught_llava(folder: Path) -> Path:
    """A LLaVA that says of a white picture that it is bright and of a black one that it is dark, and unites."""
    from PIL import Image

    white, black = (Image.new("RGB", (60, 60), (value,) * 3) for value in (255, 0))
    return llava(
        folder,
        [
            (READING, white, '{"finding": "A bright area."}'),
            (READING, black, '{"finding": "A dark area."}'),
            (UNION, None, '{"instruction": "Outline the lesion. It is bright."}'),
        ],
    )


def taught_llama(folder: Path) -> Path:
    """A language model without eyes that has learnt to unite."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    answer = '{"instruction": "Outline the lesion, says the other."}'
    words = tokenizer([UNION, answer])
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        bos_token_id=1, eos_token_id=2, pad_token_id=0,
    ))  # fmt: skip
    teach(model, words, [(UNION, None, answer)], 100)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def teach(model: Any, processor: Any, taught: list[tuple[str, Any, str]], steps: int) -> None:
    """Train on the answers alone, each question by itself in every step."""
    import torch

    examples = []
    for question, image, answer in taught:
        content: Any = question
        if hasattr(processor, "tokenizer"):
            content = [*([{"type": "image", "image": image}] if image else []), {"type": "text", "text": question}]
        asked = processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=True, return_dict=True,
            return_tensors="pt",
        )  # fmt: skip
        words = getattr(processor, "tokenizer", processor)
        said = torch.tensor([words(answer, add_special_tokens=False)["input_ids"] + [2]])
        start = asked["input_ids"].shape[1]
        asked["input_ids"] = torch.cat([asked["input_ids"], said], dim=1)
        asked["attention_mask"] = torch.ones_like(asked["input_ids"])
        labels = asked["input_ids"].clone()
        labels[:, :start] = -100
        examples.append({**asked, "labels": labels})
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(steps):
        for example in examples:
            model(**example).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
