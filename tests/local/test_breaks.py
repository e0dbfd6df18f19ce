"""A server that is killed in the middle of an answer: what it had said is gone on with elsewhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.local.routes import HI, MODEL, WHOLE, counted, in_front_of
from tests.local.server import LocalServer
from tests.support.fleet import Fleet, fleet

ENOUGH = 10_000
"""Bytes of the stream after which the server is killed; it has fifty times as many to send."""
TWO = f"""\
version: 1
server: {{port: 0}}
upstreams:
  local: {{kind: llamacpp, base_url: FIRST}}
  other: {{kind: KIND, base_url: SECOND}}
  unused: {{kind: simulated}}
defaults:
  deadline: 60s
  health: {{probe: never, learn: false}}
routes:
  chat: {{chain: [local/{MODEL}, other/{MODEL}]}}
"""


async def streamed(running: Fleet, doomed: LocalServer, path: str, body: dict[str, Any]) -> tuple[list[Any], str]:
    """The events of a stream during which a server is killed, and the head's trail."""
    pieces: list[bytes] = []
    async with running.session.post(running.url + path, json={**body, "model": "chat", "stream": True}) as response:
        assert 200 == response.status
        async for piece in response.content.iter_any():
            pieces.append(piece)
            if doomed.process.returncode is None and sum(map(len, pieces)) > ENOUGH:
                doomed.kill()
    lines = b"".join(pieces).decode().split("\n")
    datas = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
    return [data if data == "[DONE]" else json.loads(data) for data in datas], response.headers["x-holdfast-trail"]


def said(events: list[Any]) -> str:
    """The text of a chat's events."""
    choices = [choice for event in events if event != "[DONE]" for choice in event.get("choices", ())]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


@pytest.mark.parametrize("kind", ["llamacpp", "openai"])
async def test_another_server_goes_on_where_the_first_was_killed(
    mortal: LocalServer, heir: LocalServer, kind: str
) -> None:
    """The whole count, in which nothing is missing and nothing comes twice."""
    second = f"{heir.url}/v1" if kind == "openai" else heir.url
    text = TWO.replace("FIRST", mortal.url).replace("KIND", kind).replace("SECOND", second)
    async with fleet(text) as running:
        body = {"messages": HI, "stream_options": {"include_usage": True}}
        events, _ = await streamed(running, mortal, "/v1/chat/completions", body)

        assert WHOLE == said(events)
        assert ["stop"] == [
            choice["finish_reason"]
            for event in events[:-1]
            for choice in event["choices"]
            if choice.get("finish_reason")
        ]
        assert "[DONE]" == events[-1]
        modes = {"prefill"} if kind == "llamacpp" else {"instruct", "restart"}
        [resume] = running.records[-1].resumes
        assert ("other", "cut") == (resume.target.upstream, resume.cause)
        assert resume.mode in modes


async def test_an_answer_that_the_client_began_is_gone_on_with(mortal: LocalServer, heir: LocalServer) -> None:
    text = TWO.replace("FIRST", mortal.url).replace("KIND", "llamacpp").replace("SECOND", heir.url)
    async with fleet(text) as running:
        begun = [*HI, {"role": "assistant", "content": counted(3)}]
        events, _ = await streamed(running, mortal, "/v1/chat/completions", {"messages": begun})

        assert WHOLE == counted(3) + said(events)
        assert ["prefill"] == [each.mode for each in running.records[-1].resumes]


async def test_a_simulated_step_goes_on_where_the_server_was_killed(mortal: LocalServer) -> None:
    async with in_front_of(mortal.url, backup=counted(5000)) as running:
        events, _ = await streamed(running, mortal, "/v1/chat/completions", {"messages": HI})

        assert (counted(5000), "[DONE]") == (said(events), events[-1])


def texts(path: str, events: list[Any]) -> str:
    """The text of the events of any language."""
    if path == "/v1/messages":
        return "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")
    if path == "/v1/responses":
        return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    return "".join(choice["text"] for event in events[:-1] for choice in event["choices"])


OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "/v1/messages": ({"messages": HI, "max_tokens": 100_000}, counted(5000)),
    "/v1/responses": ({"input": "hi"}, counted(5000)),
    "/v1/completions": ({"prompt": " 1"}, counted(5000, first=2)),
}


@pytest.mark.parametrize("kind", ["llamacpp", "openai"])
@pytest.mark.parametrize("path", OTHERS)
async def test_so_it_is_in_every_language(mortal: LocalServer, path: str, kind: str) -> None:
    """What passed through untouched, too, is gone on with by somebody who speaks another language."""
    body, whole = OTHERS[path]
    async with in_front_of(mortal.url, kind, backup=whole) as running:
        events, _ = await streamed(running, mortal, path, body)

        assert whole == texts(path, events)
        assert ["prefill"] == [each.mode for each in running.records[-1].resumes]


async def test_a_dead_server_is_passed_over(mortal: LocalServer) -> None:
    async with in_front_of(mortal.url) as running:
        assert [("local", "ok")] == (await running.chat(max_tokens=3)).trail
        mortal.kill()
        seen = await running.chat(max_tokens=3)

        assert (200, ("backup", "ok")) == (seen.status, seen.trail[-1])
        assert {"connect_refused"} == {outcome for upstream, outcome in seen.trail if upstream == "local"}
