import re

import pytest

from proxy.app import Holdfast
from proxy.cli.demo import ROUTES
from proxy.cli.story import CHAPTERS, Try, Watcher, spoken, tell_story
from proxy.core.event import AttemptEnded, RequestEnded
from proxy.core.names import DeploymentId
from tests.support.fleet import settings_of
from tests.support.virtual_time import run_virtual


async def _told(*, broken: str | None = None) -> bool:
    proxy = Holdfast(settings_of(ROUTES.replace("version: 1", "version: 1\nserver: {port: 0}")))
    await proxy.start()
    assert proxy.simulator is not None
    try:
        for name in ("backup", "local"):
            await proxy.simulator.inject(name, broken)
        return await tell_story(proxy)
    finally:
        await proxy.stop()


def test_every_line_says_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_virtual(_told())
    lines = capsys.readouterr().out.splitlines()
    told = [re.sub(r"\d+ ms", "N ms", " ".join(line.split())) for line in lines if re.match(r"  \d ", line)]
    assert [
        "1 just ask primary ok, N ms a whole answer",
        "2 break the primary (503) primary 503 x2, N ms > backup ok, N ms a whole answer",
        "3 silence it (hang) primary silent, N ms > backup ok, N ms a whole answer",
        "4 let it say nothing (empty) primary empty, N ms > backup ok, N ms a whole answer",
        "5 pull its plug (refuse) primary refused x2, N ms > backup ok, N ms a whole answer",
        "6 cut its text (cut:after=9) primary broke off after 9 words 9 words, then an error",
        "7 heal it primary ok, N ms a whole answer",
    ] == told
    assert "5 faults, 4 of them hidden from the client. It was told of the other:" in lines
    assert max(map(len, lines)) <= 100


def test_a_story_that_goes_wrong_is_told_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    assert not run_virtual(_told(broken="503"))
    told = capsys.readouterr().out
    assert "error 502" in told or "error 503" in told
    assert "5 faults, 0 of them hidden from the client." in told


def test_the_faults_to_hide() -> None:
    assert ["503", "hang", "empty", "refuse"] == [each.fault for each in CHAPTERS if each.fault and each.hidden]


def test_attempts_that_are_alike_count_as_one() -> None:
    tries = [Try("a", "http_503", 1.0), Try("a", "http_503", 2.0), Try("b", "first_token_timeout", 9.6)]
    assert "a 503 x2, 3 ms > b silent, 10 ms" == spoken(tries)


def test_the_watcher_tells_of_requests_once_it_is_on(capsys: pytest.CaptureFixture[str]) -> None:
    tried = (AttemptEnded(DeploymentId("a", "m"), "cut", 0.5), AttemptEnded(DeploymentId("b", "m"), "ok", 0.25))
    watcher = Watcher()
    watcher(RequestEnded("r", "chat", "chat", stream=True, status=200, attempts=tried))
    watcher.on = True
    watcher(RequestEnded("r", "chat", "chat", stream=True, status=200, attempts=tried))
    watcher(RequestEnded("r", "chat", "x", stream=True, status=499, outcome="client_left"))
    watcher(tried[0])
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert ["chat a cut, 500 ms > b ok, 250 ms whole answer", "x 499 client left"] == lines
