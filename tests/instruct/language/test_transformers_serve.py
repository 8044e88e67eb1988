"""A real server of a real library on loopback: `transformers serve`, with tiny models built here."""

import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from helpers import tiny
from zeusseg.instruct.language.answer import Request
from zeusseg.instruct.language.server import ServerModel
from zeusseg.instruct.write import write_instructions
from zeusseg.instruct.writers import make_writer, store_of

SERVER = "import sys; sys.modules['torchvision'] = None; from transformers.cli.transformers import main; main()"
START_S = 120


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    tiny.taught_llava(folder / "taught")
    tiny.llava(folder / "untaught")
    return folder


@pytest.fixture(scope="module")
def url(models, tmp_path_factory):
    """The address of a server that loads whichever model a question names."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path_factory.mktemp("home")
    (home / "hub").mkdir()  # /v1/models lists what is in it
    log = (home / "log").open("w")
    server = subprocess.Popen(
        # The server decodes pictures by torchvision where it is installed, and one for CUDA cannot, beside a torch for
        # CPUs: it is hidden from it, as if the extra `peers` were not installed.
        [sys.executable, "-c", SERVER, "serve",
         "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
        env=os.environ | {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}, stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        for _ in range(START_S):
            time.sleep(1)
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2)
                break
            except OSError:
                assert server.poll() is None, (home / "log").read_text()
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(30)
        log.close()


def write(url, model, folder, tmp_path, prompts=None):
    out = tmp_path / "i.jsonl"
    writer = make_writer(
        f"server:{url}#{model}", source=folder, store=store_of(out), prompts=prompts, concurrency=2
    )
    return write_instructions(folder, writer, out, progress=False)


def test_every_call_is_answered(url, models, folder, tmp_path):
    prompts = tiny.prompts(tmp_path / "prompts")
    result = write(url, models / "taught", folder, tmp_path, prompts)
    assert result.failures == {}
    assert len(result.instructions) == len(folder.case_ids) * len(folder.targets)
    assert result.instructions[0].findings["flair"] in ("A bright area.", "A dark area.")
    assert result.instructions[0].text == "Outline the lesion. It is bright."
    assert result.usage.startswith("5 calls, 4 answers from the store")
    assert " 0 tokens in" not in result.usage


def test_a_random_model_writes_no_json_and_every_case_is_listed(url, models, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("zeusseg.instruct.language.server.MOST_TOKENS", 64)  # it would talk without an end
    result = write(url, models / "untaught", folder, tmp_path)
    assert set(result.failures) == set(folder.case_ids) - {line.case for line in result.instructions}
    assert set(result.failures) == set(folder.case_ids)


def test_the_server_says_what_the_same_model_says_here(url, models):
    from zeusseg.instruct.language.local import LocalModel

    question = Request(tiny.UNION, "instruction")
    here = LocalModel(str(models / "taught")).answer(question)
    there = ServerModel(url, str(models / "taught")).answer(question)
    assert (there.text, there.tokens_in) == (here.text, here.tokens_in)
