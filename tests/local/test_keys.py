"""A llama.cpp server that wants a key."""

from __future__ import annotations

import pytest

from tests.local.conftest import KEY
from tests.local.routes import HI, counted, in_front_of, routes
from tests.local.server import LocalServer
from tests.support.fleet import fleet

PATHS = {
    "/v1/chat/completions": {"messages": HI},
    "/v1/messages": {"messages": HI},
    "/v1/responses": {"input": "hi"},
    "/v1/completions": {"prompt": "<|assistant|>"},
}


@pytest.mark.parametrize("path", PATHS)
async def test_the_proxys_key_is_given_and_the_clients_is_not(guarded: LocalServer, path: str) -> None:
    keyed = routes(guarded.url).replace("kind: llamacpp", f"kind: llamacpp, api_key: {KEY}")
    async with fleet(keyed) as running:
        body = {"model": "chat", "max_tokens": 3, "max_output_tokens": 3, **PATHS[path]}
        seen = await running.request("POST", path, json=body, headers={"Authorization": "Bearer another"})

        assert (200, [("local", "ok")]) == (seen.status, seen.trail)
        assert counted(3).encode() in seen.body


async def test_a_key_that_is_refused_rests_and_the_next_step_answers(guarded: LocalServer) -> None:
    async with in_front_of(guarded.url) as running:
        assert [("local", "http_401"), ("backup", "ok")] == (await running.chat()).trail
        assert [("backup", "ok")] == (await running.chat()).trail
