"""How busy the writer `server` keeps an endpoint, what it costs beside the bare client, and whether memory stays flat.

`python benchmarks/instruct.py [--cases 600] [--delay 0.25] [--limit 4] [--concurrency 8] [--queued 10000]`

The endpoint runs in a process of its own, works on at most `limit` calls at a time, and on each for a fixed delay; busy
is the share of `limit` x time that it worked. The writer has up to `concurrency` calls under way. Each case is one
phantom-sized volume with one modality and one target; findings are united by rule, so a case is one call.
"""

from __future__ import annotations

import argparse
import base64
import json
import multiprocessing
import resource
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from zeusseg.case import Case, Target, Volume
from zeusseg.instruct.write import write_instructions
from zeusseg.instruct.writers import make_writer, store_of

ANSWER = json.dumps({
    "id": "x", "object": "chat.completion", "created": 0, "model": "fixed",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {
        "role": "assistant", "content": json.dumps({"finding": "A bright area on the right."})}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}).encode()  # fmt: skip


def serve(delay: float, limit: int, address: Any) -> None:
    slots = threading.BoundedSemaphore(limit)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with slots:
                time.sleep(delay)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address.send(f"http://127.0.0.1:{server.server_port}/v1")
    server.serve_forever()


@dataclass(frozen=True)
class Made:
    """A source of volumes that differ, made when they are read."""

    count: int
    shape: tuple[int, int, int]
    targets: tuple[Target, ...] = (Target("lesion", (1,)),)

    @property
    def case_ids(self) -> tuple[str, ...]:
        return tuple(f"case_{number:05d}" for number in range(self.count))

    def read(self, case_id: str, *, labels: bool = True) -> Case:
        rng = np.random.default_rng(int(case_id[5:]))
        array = np.zeros(self.shape, np.float32)
        array[2:-2, 2:-2] = rng.normal(100, 10, (self.shape[0] - 4, self.shape[1] - 4, self.shape[2]))
        return Case(case_id, case_id, {"flair": Volume.from_file(array, np.diag([2.0, 2.0, 6.0, 1.0]))})


def endpoint(delay: float, limit: int) -> tuple[str, Any]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(delay, limit, theirs), daemon=True)
    process.start()
    return ours.recv(), process


def written(source: Made, url: str, concurrency: int, folder: Path) -> float:
    out = folder / "instructions.jsonl"
    writer = make_writer(
        f"server:{url}#fixed", source=source, store=store_of(out), union="rule", concurrency=concurrency
    )
    writer.is_checked = False  # words are checked against the images afterwards, when no call is under way any more
    started = time.perf_counter()
    result = write_instructions(source, writer, out, progress=False)
    seconds = time.perf_counter() - started
    if len(result.instructions) != source.count:
        raise SystemExit(f"{len(result.instructions)} of {source.count} were written: {result.failures}")
    return seconds


def bare(calls: int, url: str, concurrency: int) -> float:
    """The client alone, from as many threads, with one picture of the size of ours."""
    from openai import OpenAI

    from zeusseg.instruct.language.sheet import contact_sheet

    client = OpenAI(base_url=url, api_key="none")
    png = contact_sheet(Made(1, (96, 96, 16)).read("case_00000"), "flair").pictures[0]
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(png).decode()}"}}
    messages: Any = [{"role": "user", "content": [{"type": "text", "text": "What do you see?"}, picture]}]

    def call(_: int) -> None:
        client.chat.completions.create(model="fixed", messages=messages, temperature=0, max_tokens=512)

    started = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as pool:
        list(pool.map(call, range(calls)))
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=600)
    parser.add_argument("--delay", type=float, default=0.25)
    parser.add_argument("--limit", type=int, default=4)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--queued", type=int, default=10_000)
    given = parser.parse_args()
    url, process = endpoint(given.delay, given.limit)
    ideal = given.cases * given.delay / given.limit
    print(f"{given.cases} calls of {given.delay} s, {given.limit} at a time: {ideal:.1f} s at best")
    for round_ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            ours = written(Made(given.cases, (96, 96, 16)), url, given.concurrency, Path(folder))
        alone = bare(given.cases, url, given.concurrency)
        print(
            f"round {round_ + 1}: busy {100 * ideal / ours:.1f} % (bare client {100 * ideal / alone:.1f} %), "
            f"{1000 * (ours - alone) / given.cases:+.1f} ms a call beside the bare client"
        )
    process.terminate()
    url, process = endpoint(0.0, given.limit)
    with tempfile.TemporaryDirectory() as folder:
        for count in (given.queued // 10, given.queued):
            written(Made(count, (32, 32, 6)), url, given.concurrency, Path(folder) / str(count))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"peak memory after {count} queued cases: {peak:.0f} MiB")
    process.terminate()


if __name__ == "__main__":
    main()
