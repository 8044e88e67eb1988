from collections.abc import Iterator

import pytest

from helpers.endpoint import Endpoint, serve


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
