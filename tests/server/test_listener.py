"""Through which door connections go."""

from pathlib import Path

import pytest

from proxy.server import lane
from proxy.server.lane_turn import Turn
from tests.support.fleet import ROUTES, Fleet, fleet
from tests.support.raw import BODY, head, send, statuses
from tests.support.virtual_time import run_virtual

OFF = ROUTES.replace("server: {port: 0}", "server: {port: 0, front_lane: false}")


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[Turn]:
    """The requests that the front lane has taken."""
    taken: list[Turn] = []

    class Noted(Turn):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            taken.append(self)

    monkeypatch.setattr(lane, "Turn", Noted)
    return taken


async def ask(running: Fleet) -> None:
    assert [200] == statuses(await send(running, head(len(BODY), "Connection: close") + BODY))
    assert [200] == statuses(await send(running, head() + BODY, patience=1))


@pytest.mark.parametrize(("routes", "taken"), [(ROUTES, 1), (OFF, 0)], ids=["on", "off"])
def test_the_front_lane_takes_what_is_plain_unless_it_is_off(turns: list[Turn], routes: str, taken: int) -> None:
    async def scenario() -> None:
        async with fleet(routes) as running:
            await ask(running)

            assert taken == len(turns)

    run_virtual(scenario())


def test_it_is_switched_off_and_on_while_the_proxy_runs(turns: list[Turn], tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"

    async def scenario() -> None:
        async with fleet(OFF, file=file) as running:
            await ask(running)
            assert 0 == len(turns)
            for routes, taken in ((ROUTES, 1), (OFF, 1), (ROUTES, 2)):
                file.write_text(routes)
                reply = await running.request("POST", "/admin/v1/reload")
                assert [] == reply.json["restart"]
                await ask(running)

                assert taken == len(turns)

    run_virtual(scenario())
