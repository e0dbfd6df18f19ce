import re

import pytest

from proxy.app import Holdfast
from proxy.cli.demo import ROUTES
from proxy.cli.story import CHAPTERS, TEXT, Try, Watcher, spoken, tell_story
from proxy.core.event import AttemptEnded, RequestEnded, Resume
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
        "6 cut its text (cut:after=9) primary cut after 9 words > backup went on (prefill) a whole answer",
        "7 heal it primary ok, N ms a whole answer",
    ] == told
    assert "5 faults, all of them hidden from the client." in lines
    assert max(map(len, lines)) <= 100


def test_the_reader_sees_who_said_which_part(capsys: pytest.CaptureFixture[str]) -> None:
    run_virtual(_told())
    lines = capsys.readouterr().out.splitlines()
    place = next(place for place, line in enumerate(lines) if line.startswith("  6 "))
    said = [" ".join(line.split()) for line in lines[place + 1 : place + 4]]
    assert ["primary: Three simulated models stand behind this address. Should one", "backup: fall silent"] == [
        said[0],
        said[1][:19],
    ]
    assert TEXT == " ".join(said).replace("primary: ", "").replace("backup: ", "")


def test_a_story_that_goes_wrong_is_told_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    assert not run_virtual(_told(broken="503"))
    told = capsys.readouterr().out
    assert "error 502" in told or "error 503" in told
    assert re.search(r"6 cut its text \(cut:after=9\) +primary broke off after 9 words +9 of 27 words\n", told)
    assert "5 faults, 0 of them hidden from the client." in told


def test_a_cut_that_nobody_mends_leaves_a_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert not run_virtual(_told(broken="cut:after=3"))
    told = capsys.readouterr().out
    going_on = "primary cut after 9 words > backup cut after 12 words > local broke off after 15 words"
    assert re.search(rf"{going_on} +15 of 27 words\n", told)
    assert "primary/demo broke off within the answer (cut)" in told


def test_the_faults_that_are_told() -> None:
    assert ["503", "hang", "empty", "refuse", "cut:after=9"] == [each.fault for each in CHAPTERS if each.fault]


def test_attempts_that_are_alike_count_as_one() -> None:
    tries = [Try("a", "http_503", 1.0), Try("a", "http_503", 2.0), Try("b", "first_token_timeout", 9.6)]
    assert "a 503 x2, 3 ms > b silent, 10 ms" == spoken(tries)


def test_the_watcher_tells_of_requests_once_it_is_on(capsys: pytest.CaptureFixture[str]) -> None:
    a, b = DeploymentId("a", "m"), DeploymentId("b", "m")
    tried = (AttemptEnded(a, "cut", 0.5), AttemptEnded(b, "ok", 0.25))
    watcher = Watcher()
    watcher(RequestEnded("r", "chat", "chat", stream=True, status=200, attempts=tried))
    watcher.on = True
    watcher(RequestEnded("r", "chat", "chat", stream=True, status=200, attempts=tried))
    resumed = (Resume(a, b, "cut", "prefill"),)
    watcher(RequestEnded("r", "chat", "chat", stream=True, status=200, attempts=tried, resumes=resumed))
    watcher(RequestEnded("r", "chat", "x", stream=True, status=499, outcome="client_left"))
    watcher(tried[0])
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    told = "chat a cut, 500 ms > b ok, 250 ms whole answer"
    assert [told, f"{told}, resumed", "x 499 client left"] == lines
