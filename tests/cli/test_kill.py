"""Killed without warning and started again, the proxy still knows whom to leave alone."""

import json
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cli.conftest import Process

ROUTES = """\
version: 1
server: {port: 0}
upstreams:
  broken: {kind: simulated}
  limited: {kind: simulated}
  drained: {kind: simulated}
  good: {kind: simulated}
defaults:
  retry: {attempts: 1}
  breaker: {consecutive: 2, open_for: 5m, max_open_for: 5m}
  health: {probe: never}
routes:
  chat: {chain: [broken/m, limited/m, drained/m, good/m]}
state: {path: state.db}
"""
STATUS = {"broken/m": "unavailable", "limited/m": "unavailable", "drained/m": "unavailable", "good/m": "available"}
QUESTION = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}


def call(url: str, body: object = None, method: str = "GET") -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - the loopback
        return json.load(response)


def serve(start: Callable[..., Process]) -> tuple[Process, str]:
    process = start("serve")
    return process, process.wait_for(r"http://127\.0\.0\.1:\d+")[0]


def test_killed_it_forgets_nothing(start: Callable[..., Process], folder: Path) -> None:
    (folder / "routes.yaml").write_text(ROUTES)
    process, url = serve(start)
    control = call(f"{url}/admin/v1/status")["simulator"]
    call(f"{control}/upstreams/broken/fault", {"fault": "503"}, "PUT")
    call(f"{control}/upstreams/limited/fault", {"fault": "429", "retry_after": 600}, "PUT")
    call(f"{url}/admin/v1/deployments/drained/m/drain", {"reason": "upgrade", "for": "10m"}, "POST")
    for _ in range(3):
        call(f"{url}/v1/chat/completions", QUESTION, "POST")
    time.sleep(0.5)
    process.send(signal.SIGKILL)
    process.end()

    for _ in range(2):
        process, url = serve(start)
        shown = call(f"{url}/admin/v1/deployments")["deployments"]
        seen = {each["deployment"]: each for each in shown}
        assert STATUS == {name: each["status"] for name, each in seen.items()}
        assert 280 < seen["broken/m"]["breakers"][0]["open_for_s"] < 331
        assert ("rate_limited", 1) == (seen["limited/m"]["rest_reason"], seen["limited/m"]["keys_resting"])
        assert 580 < seen["limited/m"]["rest_remaining_s"] < 600
        assert 580 < seen["drained/m"]["order_remaining_s"] < 600
        assert 2 == seen["broken/m"]["failed"]
        # Nothing has happened in this life, so nothing new need be written: what the first life wrote is still there.
        process.send(signal.SIGKILL)
        process.end()


def test_a_broken_state_file_is_set_aside_and_the_proxy_goes_on(start: Callable[..., Process], folder: Path) -> None:
    (folder / "routes.yaml").write_text(ROUTES)
    (folder / "state.db").write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    process, url = serve(start)
    answer = call(f"{url}/v1/chat/completions", QUESTION, "POST")

    assert "assistant" == answer["choices"][0]["message"]["role"]
    process.wait_for(r"state\.db\.broken-1")
    assert (folder / "state.db.broken-1").exists()
