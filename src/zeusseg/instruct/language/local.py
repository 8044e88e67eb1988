"""A model that runs in this process: any image-text-to-text or text model that transformers loads."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from zeusseg.errors import BadInputError, UsageError
from zeusseg.instruct.language.answer import (
    MOST_TOKENS,
    Answer,
    Request,
    TooManyPicturesError,
    UnusableAnswerError,
    brief,
)

# Enough of each weights file to tell one training from another without reading gigabytes: so much of so many places.
SAMPLE_BYTES, SAMPLES = 1 << 20, 5


class LocalModel:
    """A frozen model from a folder or hub id, in bfloat16, on a GPU where there is one; greedy, so answers repeat.

    Any number of threads may call `answer`: what waits is answered together, up to `concurrency` questions at a time.
    The weights are loaded at the first question, from safetensors only, and no code of the model's folder is run.
    """

    def __init__(self, model: str, *, concurrency: int = 8):
        try:
            import transformers
        except ImportError as error:
            raise UsageError("the writer 'local' needs the extra: pip install 'zeusseg[local]'") from error

        self.concurrency = concurrency
        self._place = model
        try:
            self._config = transformers.AutoConfig.from_pretrained(model)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"local:{model} is no folder with a model's config.json, nor a hub id that can be reached "
                f"({brief(error)})"
            ) from error
        seen = type(self._config) in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
        self._loader = transformers.AutoModelForImageTextToText if seen else transformers.AutoModelForCausalLM
        self._reader = transformers.AutoProcessor if seen else transformers.AutoTokenizer
        self._takes_pictures, self._takes_several = seen, True
        folder = Path(model).resolve()
        self._weights = fingerprint(folder) if folder.is_dir() else str(self._config._commit_hash or "unknown")
        self.name = f"{folder.name if folder.is_dir() else model}@{self._weights[:8]}"
        self._loaded: tuple[Any, Any] | None = None
        self._lock, self._turn = threading.Lock(), threading.Lock()
        self._waiting: list[tuple[Request, Future[Answer]]] = []

    @property
    def settings(self) -> dict[str, Any]:
        """What else an answer follows from."""
        return {"do_sample": False, "max_new_tokens": MOST_TOKENS, "weights": self._weights}

    @property
    def notice(self) -> str | None:
        """A warning where no GPU is there."""
        import torch

        if torch.cuda.is_available():
            return None
        return f"{self.name} runs on the CPU: a model of billions of parameters takes minutes for each answer"

    def answer(self, request: Request) -> Answer:
        """Ask once. Raises `UnusableAnswerError` for an answer that is cut off, `TooManyPicturesError` where the model
        cannot take so many pictures, `BadInputError` where the question does not fit, and `UsageError` where the model
        cannot be loaded or takes no pictures at all."""
        if request.pictures and not self._takes_pictures:
            raise UsageError(f"{self.name} takes no pictures: it can unite findings (--union-writer), not read images")
        if len(request.pictures) > 1 and not self._takes_several:
            raise TooManyPicturesError(f"{self.name} takes one picture at a time")
        place: Future[Answer] = Future()
        with self._lock:
            self._waiting.append((request, place))
        # Whoever's turn it is answers for all that wait; the others find their answers when they get the turn.
        while not place.done():
            with self._turn:
                if not place.done():
                    self._answer_together(self._next())
        return place.result()

    def _next(self) -> list[tuple[Request, Future[Answer]]]:
        """The questions that have waited longest and have as many pictures as the first: processors batch no others."""
        with self._lock:
            count = len(self._waiting[0][0].pictures)
            batch = [entry for entry in self._waiting if len(entry[0].pictures) == count][: self.concurrency]
            self._waiting = [entry for entry in self._waiting if entry not in batch]
        return batch

    def _answer_together(self, batch: Sequence[tuple[Request, Future[Answer]]]) -> None:
        import torch

        try:
            answers = self._generate([request for request, _ in batch])
        except torch.OutOfMemoryError as error:
            if len(batch) > 1:
                torch.cuda.empty_cache()
                self._answer_together(batch[: len(batch) // 2])
                self._answer_together(batch[len(batch) // 2 :])
            else:
                batch[0][1].set_exception(BadInputError(f"{self.name}: the question needs too much memory ({error})"))
        except Exception as error:  # carried to the threads that wait, each of which raises it
            for _, place in batch:
                place.set_exception(error)
        else:
            for (_, place), answer in zip(batch, answers, strict=True):
                if isinstance(answer, Answer):
                    place.set_result(answer)
                else:
                    place.set_exception(answer)

    def _generate(self, requests: Sequence[Request]) -> list[Answer | UnusableAnswerError]:
        import torch

        processor, model = self._load()
        started = time.monotonic()
        try:
            asked = processor.apply_chat_template(
                [self._conversation(request) for request in requests], add_generation_prompt=True, tokenize=True,
                return_dict=True, return_tensors="pt",
                **({"processor_kwargs": {"padding": True}} if self._takes_pictures else {"padding": True}),
            )  # fmt: skip
            asked = {
                name: part.to(model.device, model.dtype if part.is_floating_point() else part.dtype)
                for name, part in asked.items()
            }
            with torch.inference_mode():
                said = model.generate(**asked, max_new_tokens=MOST_TOKENS, do_sample=False)
        except torch.OutOfMemoryError:
            raise
        except (ValueError, IndexError, TypeError, RuntimeError) as error:
            if len(requests[0].pictures) > 1:
                self._takes_several = False
                raise TooManyPicturesError(f"{self.name} takes one picture at a time: {brief(error)}") from error
            raise BadInputError(f"{self.name} cannot be asked this: {brief(error)}") from error
        return list(self._read(processor, model, asked, said, time.monotonic() - started))

    def _conversation(self, request: Request) -> list[dict[str, Any]]:
        from PIL import Image

        if not self._takes_pictures:  # templates of language models know no parts
            return [{"role": "user", "content": request.text}]
        pictures = [Image.open(io.BytesIO(png)).convert("RGB") for png in request.pictures]
        parts = [*({"type": "image", "image": picture} for picture in pictures), {"type": "text", "text": request.text}]
        return [{"role": "user", "content": parts}]

    def _read(
        self, processor: Any, model: Any, asked: Any, said: Any, seconds: float
    ) -> Iterator[Answer | UnusableAnswerError]:
        ends = model.generation_config.eos_token_id
        ends = set(ends if isinstance(ends, list) else [ends])
        padding = model.generation_config.pad_token_id
        new = said[:, asked["input_ids"].shape[1] :].tolist()
        for question, tokens in zip(asked["attention_mask"], new, strict=True):
            end = next((place for place, token in enumerate(tokens) if token in ends), None)
            if end is None and len(tokens) >= MOST_TOKENS:
                yield UnusableAnswerError(f"the answer was cut off after {MOST_TOKENS} tokens")
                continue
            kept = tokens[:end] if end is not None else [token for token in tokens if token != padding]
            text = processor.decode(kept, skip_special_tokens=True)
            yield Answer(text, tokens_in=int(question.sum()), tokens_out=len(kept), seconds=round(seconds, 3))

    def _load(self) -> tuple[Any, Any]:
        """Processor and model; only the thread whose turn it is comes here."""
        if self._loaded is None:
            try:
                processor = self._reader.from_pretrained(self._place)
                model = self._loader.from_pretrained(
                    self._place, dtype="bfloat16", device_map="auto", use_safetensors=True
                )
            except ImportError as error:
                raise UsageError(
                    f"{self.name} needs a package that is not there ({brief(error)}); for torchvision, install the "
                    "build that goes with your torch"
                ) from error
            except (OSError, ValueError, RuntimeError) as error:
                raise UsageError(f"{self.name} cannot be loaded: {brief(error)}") from error
            words = getattr(processor, "tokenizer", processor)
            if getattr(processor, "chat_template", None) is None:
                raise UsageError(f"{self.name} has no chat template: put a chat_template.jinja into its folder")
            # Answers are written to the right of the question: what is shorter is filled up on its left.
            words.padding_side = "left"
            if words.pad_token is None:
                words.pad_token = words.eos_token
            model.generation_config.pad_token_id = words.pad_token_id
            self._loaded = processor, model.eval()
        return self._loaded


def fingerprint(folder: Path) -> str:
    """A digest of a model's folder: its small files whole, its weights by size and samples (16 hexadecimal digits)."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*")):
        if path.suffix not in (".json", ".jinja", ".safetensors", ".model", ".txt"):
            continue
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}".encode())
        with path.open("rb") as file:
            for sample in range(SAMPLES):
                file.seek(sample * max(size - SAMPLE_BYTES, 0) // (SAMPLES - 1))
                digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()[:16]
