"""A model behind any OpenAI-compatible endpoint: vLLM, llama.cpp, Ollama, `transformers serve`, a cloud."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from zeusseg.errors import BadInputError, UsageError
from zeusseg.instruct.language.answer import (
    MOST_TOKENS,
    Answer,
    Request,
    TooManyPicturesError,
    UnusableAnswerError,
    brief,
)

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletion

KEYS = ("ZEUSSEG_API_KEY", "OPENAI_API_KEY")
# How endpoints refuse a question that holds too much: too many pictures, or too many tokens for what they take.
TOO_MUCH = (400, 413, 422)


class ServerModel:
    """Asks an endpoint, with at most `concurrency` calls at a time; any number of threads may call `answer`.

    Timeouts, dropped connections, 408, 409, 429 and 5xx are tried again up to `attempts` times, later each time and
    with jitter, or when the endpoint says so (Retry-After). The key comes from the environment (`KEYS`) alone. `beside`
    is another model at the same endpoint: together they make no more calls at a time than one of them.
    """

    def __init__(
        self, url: str, model: str, *, concurrency: int = 8, timeout: float = 120.0, attempts: int = 5,
        beside: ServerModel | None = None,
    ):
        try:
            from openai import DefaultHttpxClient, OpenAI
        except ImportError as error:
            raise UsageError("the writer 'server' needs the extra: pip install 'zeusseg[server]'") from error

        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not _has_port(url) or parts.query:
            shown = url.split("?")[0].rpartition("@")[2]
            raise UsageError(f"server:{shown} is no address: expected server:http://HOST:PORT/v1#MODEL")
        if parts.username or parts.password:
            raise UsageError(f"put the key into {KEYS[0]}, not into the address: it would be written into every line")
        self.url, self.name, self.concurrency = url, model, concurrency
        key = next((os.environ[name] for name in KEYS if os.environ.get(name)), "none")
        # What is meant for this machine must not be taken to another one by a proxy of the environment.
        client = DefaultHttpxClient(trust_env=not is_loopback(parts.hostname))
        self._client = OpenAI(
            base_url=url, api_key=key, timeout=timeout, max_retries=attempts - 1, http_client=client
        )
        self._slots = threading.BoundedSemaphore(concurrency)
        if beside is not None and beside.url == url:
            self._slots = beside._slots
        self._structured = self._classic = self._several = True
        self._has_answered = self._has_answered_several = False

    @property
    def settings(self) -> dict[str, Any]:
        """What else an answer follows from."""
        return {"temperature": 0, "max_tokens": MOST_TOKENS}

    @property
    def notice(self) -> str | None:
        """A warning where images leave the machine."""
        host = urlsplit(self.url).hostname or ""
        return None if is_loopback(host) else f"images are sent to {host}, which is not this machine"

    def answer(self, request: Request) -> Answer:
        """Ask once. Raises `UnusableAnswerError` for an answer that is no answer, `TooManyPicturesError` where several
        pictures are refused, `BadInputError` where no answer came, and `UsageError` where the endpoint refuses every
        question (a wrong key or model name)."""
        import openai

        if len(request.pictures) > 1 and not self._several:
            raise TooManyPicturesError(f"{self.name} takes one picture at a time")
        started = time.monotonic()
        try:
            with self._slots:
                completion = self._ask(request)
        except openai.APIStatusError as error:
            # Once it has answered, key and model are right, and a 403 or 404 is about this question alone.
            if error.status_code in (401, 403, 404) and not self._has_answered:
                raise UsageError(f"{self.url} refuses the model {self.name!r} or the key: {brief(error)}") from error
            if len(request.pictures) > 1 and error.status_code in TOO_MUCH:
                # Where several were answered before, it is this question alone that is too much.
                self._several = self._has_answered_several
                raise TooManyPicturesError(f"{self.name} takes one picture at a time: {brief(error)}") from error
            raise BadInputError(f"{self.url} answered {error.status_code}: {brief(error)}") from error
        except openai.APIConnectionError as error:
            raise BadInputError(f"{self.url} did not answer: {brief(error.__cause__ or error)}") from error
        except (openai.OpenAIError, ValueError) as error:
            raise UnusableAnswerError(f"{self.url} answered no chat completion: {brief(error)}") from error
        self._has_answered = True
        self._has_answered_several |= len(request.pictures) > 1
        return _read(completion, self.url, time.monotonic() - started)

    def _ask(self, request: Request) -> ChatCompletion:
        import openai

        structured, classic = self._structured, self._classic
        while True:
            try:
                completion = self._client.chat.completions.create(**self._options(request, structured, classic))
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                # What an endpoint does not know, it is asked without; where that works, it is not given it again.
                if classic and re.search("max_tokens|temperature", str(error)):
                    classic = False
                elif structured:
                    structured = False
                else:
                    raise
            else:
                self._structured &= structured
                self._classic &= classic
                return completion

    def _options(self, request: Request, structured: bool, classic: bool) -> dict[str, Any]:
        """What a call is made with; endpoints of models that think take another limit and no temperature."""
        content: list[Any] = [{"type": "text", "text": request.text}]
        for picture in request.pictures:
            data = base64.b64encode(picture).decode()
            content.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}})
        options: dict[str, Any] = {"model": self.name, "messages": [{"role": "user", "content": content}]}
        options |= self.settings if classic else {"max_completion_tokens": MOST_TOKENS}
        return options | ({"response_format": _schema(request.field)} if structured else {})


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("10.0.0.7")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _has_port(url: str) -> bool:
    """Whether the port is a number, where there is one."""
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _schema(field: str) -> Any:
    properties = {field: {"type": "string"}}
    schema = {"type": "object", "properties": properties, "required": [field], "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": field, "schema": schema, "strict": True}}


def _read(completion: Any, url: str, seconds: float) -> Answer:
    try:
        choice = completion.choices[0]
        text, reason = choice.message.content, choice.finish_reason
        if isinstance(text, list):
            text = "".join(part["text"] for part in text)
        if not isinstance(text, str | None):
            raise TypeError(text)
        refusal = getattr(choice.message, "refusal", None)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise UnusableAnswerError(f"{url} answered no chat completion: {brief(completion)}") from error
    usage = getattr(completion, "usage", None)
    answer = Answer(
        text or "",
        tokens_in=getattr(usage, "prompt_tokens", 0) or 0,
        tokens_out=getattr(usage, "completion_tokens", 0) or 0,
        seconds=round(seconds, 3),
    )
    if refusal or reason == "content_filter":
        raise UnusableAnswerError(f"the model refused: {brief(refusal or reason)}", answer)
    if reason == "length":
        raise UnusableAnswerError(f"the answer was cut off after {MOST_TOKENS} tokens", answer)
    return answer
