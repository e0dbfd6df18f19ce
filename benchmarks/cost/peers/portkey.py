"""Portkey's gateway, from npm: what it does with a request is said in a header of the request."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from benchmarks.cost.peers.peer import Launch, Missing, Peer, Place, Way, program

_PRELOAD = Path(__file__).with_name("portkey_preload.js")


def _install(installed: Path) -> None:
    folder = installed / "portkey"
    if not _start_of(installed).exists():
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
        subprocess.run(["npm", "install", *options, "@portkey-ai/gateway"], check=True, cwd=folder)


def _start_of(installed: Path) -> Path:
    return installed / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"


def _version(installed: Path) -> str:
    told: str = json.loads((_start_of(installed).parents[1] / "package.json").read_text())["version"]
    return told


def _launch(place: Place) -> Launch:
    if place.workers > 1:
        raise Missing("portkey has no worker processes")
    start = _start_of(place.installed)
    if not start.exists():
        raise Missing(f"portkey is not in {place.installed / 'portkey'} (--install installs it)")

    def target(port: int) -> dict[str, str]:
        return {"provider": "openai", "api_key": "unused", "custom_host": f"http://127.0.0.1:{port}/v1"}

    ways: dict[str, Way] = {}
    for way, _, first in place.each():
        if way == "straight":
            host = target(first)["custom_host"]
            headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": host}
        else:
            targets = [target(first), target(place.ends.good)]
            headers = {"x-portkey-config": json.dumps({"strategy": {"mode": "fallback"}, "targets": targets})}
        ways[way] = Way(place.port, headers=headers)
    return Launch(
        [program("node"), "-r", str(_PRELOAD), str(start), "--headless", f"--port={place.port}"],
        ways,
        {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1"},
    )


PEER = Peer(
    "portkey",
    _launch,
    _install,
    _version,
    {
        "cut-stream": "it passes on the head of a stream at once, and then nobody else can be asked",
        "tokens": "20,000 tokens/s are more than it can",
        "open": "1,000 requests/s are more than it can",
    },
)
