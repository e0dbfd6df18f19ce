"""Whether llama.cpp's server is well: what test prompts find out, and what happens when it says nothing more."""

from __future__ import annotations

import signal

from tests.local.routes import HI, counted, routes
from tests.local.server import LocalServer
from tests.local.test_breaks import said, streamed
from tests.support.fleet import fleet, until

PROBED = "health: {probe: always, interval: 1s, timeout: 2s, prompt: Count., expect: '1 2 3'}"


async def test_a_test_prompt_finds_the_server_well_and_later_dead(mortal: LocalServer) -> None:
    text = routes(mortal.url).replace("health: {probe: never}", f"{PROBED}\n  breaker: {{consecutive: 2}}")
    async with fleet(text) as running:
        probes = [event for event in running.told if type(event).__name__ == "ProbeEnded"]
        await until(lambda: [event for event in running.told if "Probe" in type(event).__name__])
        print(probes, running.told)
        mortal.kill()
        await until(lambda: False, 5)


async def test_a_server_that_stands_still_is_left_for_another(mortal: LocalServer) -> None:
    text = routes(mortal.url).replace("idle: 5s", "idle: 500ms").replace("first_token: 10s", "first_token: 500ms")
    async with fleet(text) as running:
        mortal.process.send_signal(signal.SIGSTOP)
        seen = await running.chat()

        assert [("local", "first_token_timeout"), ("backup", "ok")] == seen.trail
        mortal.process.send_signal(signal.SIGCONT)
        assert [("local", "ok")] == (await running.chat(max_tokens=3)).trail
