"""Times, measured exactly: on a clock that jumps, over real sockets."""

import pytest

from tests.support.fleet import ROUTES, fleet
from tests.support.virtual_time import run_virtual


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
@pytest.mark.parametrize("fault", ["hang", "role_then_silence", "pings", "empty_deltas", "slow_headers:seconds=99"])
def test_a_silent_upstream_is_left_at_the_first_token_timer(fault: str, stream: bool) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", fault)
            seen = await running.chat(stream=stream)

            assert [("primary", "first_token_timeout"), ("backup", "ok")] == seen.trail
            left_after = running.records[-1].attempts[0].duration
            assert 8.0 <= left_after < 8.2
            assert 1 == running.received("primary")

    run_virtual(scenario())


def test_an_overloaded_upstream_is_left_within_patience() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "503")
            for _ in range(20):
                seen = await running.chat()
                assert "backup" == seen.headers["x-holdfast-upstream"]
                assert running.records[-1].first_token is not None
                assert running.records[-1].first_token < 3.2

    run_virtual(scenario())


@pytest.mark.parametrize(
    ("patience", "upstreams", "seconds"), [("3s", ["primary", "primary"], 2.0), ("1s", ["primary", "backup"], 0.0)]
)
def test_retry_after_is_waited_for_once_or_failed_over(patience: str, upstreams: list[str], seconds: float) -> None:
    async def scenario() -> None:
        routes = ROUTES.replace("deadline: 60s,", f"deadline: 60s, retry: {{patience: {patience}}},")
        async with fleet(routes) as running:
            await running.simulator.inject("primary", "429:retry_after=2,times=1")
            seen = await running.chat(stream=False)

            assert list(zip(upstreams, ["http_429", "ok"], strict=True)) == seen.trail
            first = running.simulator.upstream(upstreams[0]).requests[0].received_at
            second = running.simulator.upstream(upstreams[1]).requests[-1].received_at
            assert seconds <= second - first < seconds * 1.1 + 0.05

    run_virtual(scenario())


def test_a_second_refusal_is_not_waited_for() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "429:retry_after=2")
            seen = await running.chat(stream=False)

            assert [("primary", "http_429"), ("primary", "http_429"), ("backup", "ok")] == seen.trail

    run_virtual(scenario())


def test_what_rests_is_not_asked() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "429:retry_after=30,times=1")
            await running.chat(stream=False)
            seen = await running.chat(stream=False)

            assert [("backup", "ok")] == seen.trail
            assert "primary/m rests (rate_limited)" == seen.headers["x-holdfast-reason"]
            assert "reason=first_choice_out" == seen.headers["x-holdfast-degraded"]
            assert 1 == running.received("primary")

    run_virtual(scenario())


def test_the_only_deployment_is_waited_for() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "429:retry_after=20,times=1")
            seen = await running.chat("alone", stream=False)

            assert [("primary", "http_429"), ("primary", "ok")] == seen.trail
            assert 20.0 <= seen.seconds < 22.5

    run_virtual(scenario())


def test_the_last_deployment_has_until_the_deadline() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "slow_first_token:seconds=30")
            seen = await running.chat("alone")

            assert seen.done
            assert 30.0 <= seen.seconds < 32

    run_virtual(scenario())


@pytest.mark.parametrize("fault", ["hang", "pings", "503", "429:retry_after=1", "slow_first_token:seconds=99"])
def test_the_deadline_is_over_everything(fault: str) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            for name in running.simulator.upstreams:
                await running.simulator.inject(name, fault)
            seen = await running.chat("three", headers={"x-holdfast-timeout": "5"})

            assert seen.status in {429, 502, 504}
            assert seen.seconds < 5.1

    run_virtual(scenario())


def test_a_stream_is_cut_off_at_the_deadline_and_says_so() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            running.simulator.upstream("primary").voice.pace = 1.0
            seen = await running.chat(headers={"x-holdfast-timeout": "5"})

            assert "deadline_exceeded" == seen.error["code"]
            assert 5.0 <= seen.seconds < 5.1

    run_virtual(scenario())


def test_events_are_forwarded_the_moment_they_arrive() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            voice = running.simulator.upstream("primary").voice
            voice.pace, voice.answer = 0.5, "a b c d e f g h"
            seen = await running.chat()

            gaps = [later - earlier for earlier, later in zip(seen.arrivals, seen.arrivals[1:], strict=False)]
            paced = [gap for gap in gaps if gap > 0.25]
            assert 7 == len(paced)
            assert all(0.49 < gap < 0.55 for gap in paced)

    run_virtual(scenario())
