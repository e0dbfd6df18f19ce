"""What reading the finished stream's code with bad intentions found."""

import asyncio

from proxy.streams.seam import MARK, Join, tail_of
from tests.support.fleet import Fleet, fleet, until

ONE_PLACE = """\
version: 1
server: {port: 0}
upstreams:
  primary: {kind: simulated}
  backup: {kind: simulated}
defaults: {deadline: 20s, timeout: {first_token: 8s, idle: 4s}, max_concurrent: 1}
routes:
  first: {chain: [{to: primary/m, max_concurrent: 100}, backup/m], resume: {modes: [prefill]}}
"""
TEXT = "One two three four five six seven eight nine ten eleven twelve."


async def test_a_mode_that_vanishes_while_a_request_waits_leaks_no_place() -> None:
    async with fleet(ONE_PLACE) as running:
        await prepare(running)
        # A refusal that takes its time, so that the others wait for the place.
        await running.simulator.inject("backup", "refuse_prefill")
        seen = await asyncio.gather(*(running.chat("first") for _ in range(6)))

        assert {"no_deployment_left"} == {each.error["reason"] for each in seen}
        await until(lambda: all(not each.in_flight for each in running.proxy.pool.deployments()))


async def test_a_kept_answer_tells_nothing_of_how_it_was_once_brought() -> None:
    routes = ONE_PLACE.replace("resume: {modes: [prefill]}", "last_resort: {cached: 1h}")
    async with fleet(routes) as running:
        await prepare(running)
        assert b": holdfast-resumed" in (await running.chat("first")).body
        await running.simulator.inject("primary", "503")
        await running.simulator.inject("backup", "503")

        seen = await running.chat("first")

        assert TEXT == seen.text
        assert b"holdfast-resumed" not in seen.body


async def test_no_usage_is_shown_before_there_is_text() -> None:
    async with fleet() as running:
        await prepare(running)
        seen = await running.chat("chat", stream_options={"include_usage": True})

        usages = [place for place, event in enumerate(seen.events) if isinstance(event, dict) and not event["choices"]]
        assert [len(seen.events) - 2] == usages
        assert TEXT == seen.text


def test_half_a_mark_is_no_text() -> None:
    for half in ("[", MARK[:2], "[.", "[.."):
        seam = Join("What was said", asked="What was said")

        assert "" == seam.feed(half) + seam.end()
        assert seam.refused is not None


def test_a_long_text_of_repeats_is_judged_at_once() -> None:
    said = "0 " * 300_000 + "and some prose that stands nowhere else in all of it, so that its end is one of a kind"
    seam = Join(said)

    assert "" == seam.feed(said + " next")
    assert seam.refused is not None
    assert len(tail_of("| a | b |\n" * 30_000)) <= 800


async def prepare(running: Fleet) -> None:
    for upstream in running.simulator.upstreams.values():
        upstream.voice.answer = TEXT
    await running.simulator.inject("primary", "cut:after=5")
