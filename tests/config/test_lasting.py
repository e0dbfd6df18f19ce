"""What a running process cannot change keeps its value, and is named."""

from dataclasses import replace
from pathlib import Path

from proxy.config.lasting import kept_from, needs_restart, restart_finding
from tests.support.fleet import ROUTES, settings_of


def test_nothing_to_say_of_the_same() -> None:
    assert () == needs_restart(settings_of(ROUTES), settings_of(ROUTES.replace("deadline: 60s", "deadline: 5s")))


def test_where_it_listens_and_keeps_its_state() -> None:
    running = settings_of(ROUTES)
    wanted = replace(
        settings_of(ROUTES.replace("port: 0", "host: localhost, port: 1, max_waiting: 3")), state_path=Path("x")
    )

    assert ("server.host", "server.port", "state.path") == needs_restart(running, wanted)
    kept = kept_from(running, wanted)
    assert () == needs_restart(running, kept)
    assert 3 == kept.server.max_waiting
    assert (
        "state.path takes effect at a restart; until then it is no file"
        == restart_finding("state.path", running, "routes.yaml").message
    )
