from collections.abc import Iterator

import pytest

from helpers.endpoint import Endpoint, serve
from zeusseg.instruct.write import write_instructions
from zeusseg.instruct.writers import make_writer, store_of


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """A real HTTP endpoint on loopback that answers by a script."""
    with serve() as served:
        yield served


@pytest.fixture
def at_once(monkeypatch) -> None:
    """The client waits half a second and more between attempts; tests need not."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.02)


@pytest.fixture
def write(endpoint, folder, tmp_path):
    def run(out=tmp_path / "i.jsonl", **order):
        writer = make_writer(f"server:{endpoint.url}#scripted", source=folder, store=store_of(out), **order)
        return write_instructions(folder, writer, out, progress=False)

    return run
