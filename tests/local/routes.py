"""Routes to local servers, and what the model on them says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.local.counting import LAST
from tests.support.fleet import Fleet, fleet

MODEL = "qwen3-counting"
WHOLE = "".join(f" {number}" for number in range(1, LAST + 1))
"""All that the model ever says."""
HI = [{"role": "user", "content": "hi"}]
LONG = [{"role": "user", "content": "word " * 3000}]
"""More than any window here."""

ROUTES = f"""\
version: 1
server: {{port: 0}}
upstreams:
  local: {{kind: KIND, base_url: URL}}
  backup: {{kind: simulated}}
defaults:
  deadline: 30s
  timeout: {{connect: 1s, first_token: 10s, idle: 5s}}
  health: {{probe: never, learn: false}}
routes:
  chat: {{chain: [local/{MODEL}, backup/m]}}
  alone: {{chain: [local/{MODEL}]}}
"""


def routes(url: str, kind: str = "llamacpp") -> str:
    """One local server, behind it a simulated upstream. The address is given as each kind wants it."""
    return ROUTES.replace("KIND", kind).replace("URL", f"{url}/v1" if kind == "openai" else url)


def counted(last: int, first: int = 1) -> str:
    """What the model says from one number to another."""
    return "".join(f" {number}" for number in range(first, last + 1))


@asynccontextmanager
async def in_front_of(url: str, kind: str = "llamacpp", backup: str = "Hello.") -> AsyncIterator[Fleet]:
    """A proxy with these routes. What the simulated upstream says comes without a pause."""
    async with fleet(routes(url, kind)) as running:
        voice = running.simulator.upstream("backup").voice
        voice.answer, voice.pace = backup, 0.0
        yield running
