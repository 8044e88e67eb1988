"""A real HTTP endpoint on loopback that answers by a script."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from zeusseg.instruct.instruction import Instruction, read_instructions
from zeusseg.instruct.language.server import ServerModel


def say(content: str | None, **more: Any) -> dict[str, Any]:
    """A chat completion that says `content`."""
    message = {"role": "assistant", "content": content, **more.pop("message", {})}
    choice = {"index": 0, "message": message, "finish_reason": more.pop("finish_reason", "stop")}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    return {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}


def good_answer(asked: dict[str, Any]) -> dict[str, Any]:
    """By the schema: a reading says which picture it saw, a union says the target and what it was told."""
    text, *pictures = asked["messages"][0]["content"]
    if pictures:
        png = base64.b64decode(pictures[0]["image_url"]["url"].split(",", 1)[1])
        return say(json.dumps({"finding": f"A bright area, seen in picture {hashlib.sha256(png).hexdigest()[:6]}."}))
    target = re.search(r"instruction for outlining: (.*?)\. ", text["text"]).group(1)
    return say(json.dumps({"instruction": f"Outline the {target}. It is bright on FLAIR."}))


@dataclass
class Endpoint:
    """`url` answers chat completions; `script(number, asked)` decides how. `asked` holds every question so far.

    A script returns the content of the answer, or a `Misbehaviour`.
    """

    url: str
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    script: Callable[[int, dict[str, Any]], Any] = lambda number, asked: good_answer(asked)
    most_at_once: int = 0
    now: int = 0

    def model(self, **options: Any) -> ServerModel:
        return ServerModel(self.url, "scripted", **{"timeout": 5.0, "attempts": 3, **options})


@dataclass(frozen=True)
class Misbehaviour:
    """`status` with `body` and `headers`; `half`: only half of the body comes; `reset`: the connection is dropped."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    half: bool = False
    reset: bool = False


@contextmanager
def serve() -> Iterator[Endpoint]:
    """An endpoint that runs until the block ends."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                served.asked.append(asked)
                served.headers.append({name.title(): value for name, value in self.headers.items()})
                number = len(served.asked)
                served.now += 1
                served.most_at_once = max(served.most_at_once, served.now)
            try:
                content = served.script(number, asked)
                if not isinstance(content, Misbehaviour):
                    content = Misbehaviour(body=json.dumps(content).encode())
                time.sleep(content.seconds)
            finally:
                # Before the answer is sent: who has it may ask again before this thread goes on.
                with lock:
                    served.now -= 1
            self.answer(content)

        def answer(self, content: Misbehaviour) -> None:
            if content.reset:
                # Linger 0: closing sends a reset instead of an orderly end.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
                return
            try:
                self.send_response(content.status)
                headers = {"Content-Type": "application/json", "Content-Length": str(len(content.body))}
                for name, value in (headers | content.headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content.body[: len(content.body) // 2] if content.half else content.body)
                self.close_connection = content.half
            except OSError:
                self.close_connection = True  # the client gave up waiting, as it was meant to

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Endpoint(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()


def lines(path: Path) -> list[Instruction]:
    """The instructions of a file, whenever they were made."""
    return [replace(line, created="") for line in read_instructions(path)]


def pictures(endpoint: Endpoint) -> list[dict[str, Any]]:
    """What was asked with a picture."""
    return [asked for asked in endpoint.asked if len(asked["messages"][0]["content"]) > 1]
