"""A model that runs in this process: any image-text-to-text or text model that transformers loads."""

from __future__ import annotations

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
from zeusseg.models.weights import fingerprint


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
            self._config = transformers.AutoConfig.from_pretrained(model, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"local:{model} is no folder with a model's config.json, nor a hub id that can be reached "
                f"({brief(error)})"
            ) from error
        seen = type(self._config) in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
        self._loader = transformers.AutoModelForImageTextToText if seen else transformers.AutoModelForCausalLM
        self._reader = transformers.AutoProcessor if seen else transformers.AutoTokenizer
        self._takes_pictures, self._takes_several, self._has_answered_several = seen, True, False
        folder = Path(model).resolve()
        # Of a hub's model, which commit of it: the same is loaded later, whatever was pushed in between.
        self._revision: str | None = getattr(self._config, "_commit_hash", None)
        self._weights = fingerprint(folder) if folder.is_dir() else str(self._revision or "unknown")
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
                    batch = self._next()
                    try:
                        self._answer_together(batch)
                    finally:
                        # Whatever happened, nobody may wait for ever.
                        for _, other in batch:
                            if not other.done():
                                other.set_exception(BadInputError(f"{self.name} was interrupted"))
        return place.result()

    def _next(self) -> list[tuple[Request, Future[Answer]]]:
        """The questions that have waited longest and have as many pictures as the first: processors batch no others."""
        with self._lock:
            count = len(self._waiting[0][0].pictures)
            batch = [entry for entry in self._waiting if len(entry[0].pictures) == count][: self.concurrency]
            self._waiting = [entry for entry in self._waiting if entry not in batch]
        return batch

    def _answer_together(self, batch: Sequence[tuple[Request, Future[Answer]]]) -> None:
        """Answer a batch. Where it fails as a whole, its halves are tried: one bad question costs itself alone, and
        what needs too much memory together may fit apart."""
        import torch

        failure: Exception | None = None
        try:
            for (_, place), answer in zip(batch, self._generate([request for request, _ in batch]), strict=True):
                if isinstance(answer, Answer):
                    place.set_result(answer)
                else:
                    place.set_exception(answer)
        except Exception as error:
            # Without its traceback, which holds on to all that the batch has put into memory.
            failure = error.with_traceback(None)
            failure.__cause__ = failure.__context__ = None
        if failure is None:
            return
        if isinstance(failure, torch.OutOfMemoryError):
            torch.cuda.empty_cache()
        if len(batch) > 1 and not isinstance(failure, UsageError):
            self._answer_together(batch[: len(batch) // 2])
            self._answer_together(batch[len(batch) // 2 :])
            return
        for request, place in batch:
            if not place.done():
                place.set_exception(self._reason(failure, request))

    def _reason(self, failure: Exception, request: Request) -> Exception:
        """Why one question has no answer, as its thread is to hear it."""
        if isinstance(failure, UsageError):
            return failure
        if len(request.pictures) > 1:
            # Where several were answered before, it is this question alone that is too much.
            self._takes_several = self._has_answered_several
            return TooManyPicturesError(f"{self.name} takes one picture at a time: {brief(failure)}")
        return BadInputError(f"{self.name} cannot be asked this: {type(failure).__name__}: {brief(failure)}")

    def _generate(self, requests: Sequence[Request]) -> list[Answer | UnusableAnswerError]:
        import torch

        processor, model = self._load()
        started = time.monotonic()
        asked = processor.apply_chat_template(
            [self._conversation(request) for request in requests], add_generation_prompt=True, tokenize=True,
            return_dict=True, return_tensors="pt",
            **({"processor_kwargs": {"padding": True}} if self._takes_pictures else {"padding": True}),
        )  # fmt: skip
        asked = {
            name: part.to(model.device, model.dtype if part.is_floating_point() else part.dtype)
            if isinstance(part, torch.Tensor) else part
            for name, part in asked.items()
        }  # fmt: skip
        with torch.inference_mode():
            said = model.generate(**asked, max_new_tokens=MOST_TOKENS, do_sample=False)
        self._has_answered_several |= len(requests[0].pictures) > 1
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
            kept = tokens[:end] if end is not None else [token for token in tokens if token != padding]
            text = processor.decode(kept, skip_special_tokens=True)
            answer = Answer(text, tokens_in=int(question.sum()), tokens_out=len(kept), seconds=round(seconds, 3))
            if end is None and len(tokens) >= MOST_TOKENS:
                yield UnusableAnswerError(f"the answer was cut off after {MOST_TOKENS} tokens", answer)
            else:
                yield answer

    def _load(self) -> tuple[Any, Any]:
        """Processor and model; only the thread whose turn it is comes here."""
        if self._loaded is None:
            options = {"revision": self._revision, "trust_remote_code": False}
            try:
                processor = self._reader.from_pretrained(self._place, **options)
                model = self._loader.from_pretrained(
                    self._place, dtype="bfloat16", device_map="auto", use_safetensors=True, **options
                )
            except ImportError as error:
                raise UsageError(
                    f"{self.name} needs a package that is not there ({brief(error)}); for torchvision, install the "
                    "build that goes with your torch"
                ) from error
            except Exception as error:
                raise UsageError(f"{self.name} cannot be loaded: {type(error).__name__}: {brief(error)}") from error
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
