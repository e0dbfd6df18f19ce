"""Routes to local servers, and what the model on them says."""

from __future__ import annotations

from tests.local.counting import LAST

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
  health: {{probe: never}}
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
