"""What a running proxy cannot change: where it listens, in how many processes, and where it keeps its state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from proxy.config.finding import Finding
from proxy.config.settings import Settings

_LASTING: Final[dict[str, Callable[[Settings], object]]] = {
    "server.host": lambda settings: settings.server.host,
    "server.port": lambda settings: settings.server.port,
    "server.workers": lambda settings: settings.server.workers or "auto",
    "state.path": lambda settings: settings.state_path,
}


def needs_restart(running: Settings, wanted: Settings) -> tuple[str, ...]:
    """The keys of routes.yaml whose new values take effect at the next start only."""
    return tuple(key for key, read in _LASTING.items() if read(running) != read(wanted))


def kept_from(running: Settings, wanted: Settings) -> Settings:
    """The settings that are wanted, but for what cannot change."""
    server = replace(wanted.server, host=running.server.host, port=running.server.port, workers=running.server.workers)
    return replace(wanted, server=server, state_path=running.state_path)


def restart_finding(key: str, running: Settings, file: str) -> Finding:
    """What is said of such a key."""
    value = _LASTING[key](running)
    stays = "no file" if value is None else str(value)
    return Finding("warning", f"{key} takes effect at a restart; until then it is {stays}", 0, 0, key, file)
