"""Whether llama.cpp's server is well: what test prompts find out, and what happens when it stands still."""

from __future__ import annotations

import signal

from proxy.core.event import ProbeEnded
from tests.local.routes import counted, routes
from tests.local.server import LocalServer
from tests.support.fleet import Fleet, fleet, until

PROBED = "health: {probe: always, interval: 1s, timeout: 2s, prompt: Count., expect: '1 2 3'}"


def probed(running: Fleet) -> list[str]:
    """How the test prompts to the server ended."""
    return [
        event.outcome
        for event in running.told
        if isinstance(event, ProbeEnded) and event.deployment.upstream == "local"
    ]


async def test_test_prompts_find_the_server_well_and_later_dead(mortal: LocalServer) -> None:
    async with fleet(routes(mortal.url).replace("health: {probe: never, learn: false}", PROBED)) as running:
        await until(lambda: probed(running))
        assert ["ok"] == probed(running)

        mortal.kill()
        await until(lambda: len(probed(running)) > 1)
        assert "connect_refused" == probed(running)[-1]


async def test_a_server_that_stands_still_is_left_and_found_again(mortal: LocalServer) -> None:
    text = routes(mortal.url).replace("first_token: 10s", "first_token: 500ms")
    async with fleet(text) as running:
        mortal.process.send_signal(signal.SIGSTOP)
        seen = await running.chat()
        assert [("local", "first_token_timeout"), ("backup", "ok")] == seen.trail

        mortal.process.send_signal(signal.SIGCONT)
        assert [("local", "ok")] == (await running.chat(max_tokens=3)).trail


async def test_a_server_that_stops_within_a_stream_is_gone_on_for(mortal: LocalServer) -> None:
    async with fleet(routes(mortal.url).replace("idle: 5s", "idle: 500ms")) as running:
        voice = running.simulator.upstream("backup").voice
        voice.answer, voice.pace = counted(5000), 0.0
        body = {"model": "chat", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        pieces = []
        async with running.session.post(f"{running.url}/v1/chat/completions", json=body) as response:
            async for piece in response.content.iter_any():
                if not pieces:
                    mortal.process.send_signal(signal.SIGSTOP)
                pieces.append(piece)

        assert b"data: [DONE]\n\n" == b"".join(pieces)[-14:]
        assert ["idle_timeout"] == [each.cause for each in running.records[-1].resumes]
