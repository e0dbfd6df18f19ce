"""What the proxy itself finds wrong is told to each client in its own language, and raised by its SDK as what it is."""

from typing import Any

import anthropic
import openai
import pytest

from proxy.core.wire import Wire
from tests.conformance.matrix.arena import Arena, alone
from tests.conformance.matrix.client import Client
from tests.conformance.matrix.rows import clients
from tests.conformance.matrix.upstreams import UPSTREAMS

ANTHROPIC = {Wire.MESSAGES, Wire.COUNT_TOKENS}
CLIENTS = [pytest.param(client.name, id=client.name) for client in clients("http://nowhere")]


@pytest.mark.parametrize("name", CLIENTS)
def test_a_route_that_nobody_has(arena: Arena, every_client: dict[str, Client], name: str) -> None:
    client = every_client[name]
    with pytest.raises((openai.NotFoundError, anthropic.NotFoundError)) as raised:
        client.ask("nobody")
    assert (client.wire in ANTHROPIC) is isinstance(raised.value, anthropic.NotFoundError)
    _told(raised.value, client, "not_found_error", "model_not_found")


@pytest.mark.parametrize("name", CLIENTS)
def test_a_model_whose_name_cannot_be(arena: Arena, every_client: dict[str, Client], name: str) -> None:
    client = every_client[name]
    with pytest.raises((openai.BadRequestError, anthropic.BadRequestError)) as raised:
        client.ask("x" * 300)
    _told(raised.value, client, "invalid_request_error", None)
    assert "false" == raised.value.response.headers["x-should-retry"]


@pytest.mark.parametrize("name", CLIENTS)
def test_an_upstream_that_cannot_be_reached(arena: Arena, every_client: dict[str, Client], name: str) -> None:
    client = every_client[name]
    arena.inject(UPSTREAMS[0], "refuse")
    if client.wire is Wire.COUNT_TOKENS:
        assert "estimated" == client.ask(alone(UPSTREAMS[0])).headers["x-holdfast-reason"]
        return
    with pytest.raises((openai.InternalServerError, anthropic.InternalServerError)) as raised:
        client.ask(alone(UPSTREAMS[0]))
    assert 502 == raised.value.status_code
    _told(raised.value, client, "api_error", "upstream_error")


def _told(error: Any, client: Client, kind: str, code: str | None) -> None:
    body = error.response.json()
    assert "application/json" == error.response.headers["content-type"]
    if client.wire in ANTHROPIC:
        assert ("error", kind) == (body["type"], body["error"]["type"])
        assert error.response.headers["x-request-id"] == body["request_id"]
        assert code == body["error"].get("details", {}).get("error_code")
    else:
        assert {"message", "type", "param", "code"} == set(body["error"])
        assert code == body["error"]["code"]
    assert body["error"]["message"]
