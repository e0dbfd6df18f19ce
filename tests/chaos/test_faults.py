"""Every fault of the simulator over real sockets, in virtual time: what the client sees, and when."""

import pytest

from proxy.core.names import DeploymentId
from tests.support.fleet import ROUTES, Fleet, fleet
from tests.support.virtual_time import run_virtual

ANSWER = "one two three four five six seven eight nine ten eleven twelve 漢字 🎉 end"
PRIMARY, BACKUP = DeploymentId("primary", "m"), DeploymentId("backup", "m")
NO_RETRIES = ROUTES.replace("{deadline: 60s,", "{deadline: 60s, retry: {attempts: 1},") + (
    "  off: {chain: [primary/m, backup/m], resume: off}\n"
)

HIDDEN = (
    "refuse", "reset", "reset_after_headers", "close", "hang", "400:probability=0", "408", "409", "425", "500",
    "502", "503", "504", "520", "524", "529", "unauthorized", "403", "credit", "quota", "model_missing",
    "html_502", "context", "overloaded", "redirect", "slow_headers:seconds=99", "slow_first_token:seconds=99",
    "role_then_silence", "pings", "empty_deltas", "stall:after=0", "cut:after=0", "cut_clean:after=0",
    "malformed:after=0", "error_first", "error_later:after=0", "error_then_done:after=0", "error_field:after=0",
    "error_200", "empty", "empty_body", "wrong_type", "garbage", "huge_headers",
    "unsupported_parameter:param=temperature", "random:inner=503", "429:form=seconds", "429:form=float",
    "429:form=http_date", "429:form=ms", "429:form=gemini", "429:form=openai_reset", "429:form=anthropic_reset",
    "429:form=none", "429:retry_after=3600", "flapping:inner=reset",
)  # fmt: skip
"""Faults that the client must not notice, in a stream or in JSON."""

HIDDEN_IN_JSON = (
    "cut:after=9",
    "cut_clean:after=9",
    "stall:after=9",
    "truncated_json",
    "malformed:after=9",
    "slow_body:seconds=99",
)
"""Faults that come after the first content of a stream, but that a JSON answer can still hide."""

AFTER_COMMIT = {
    "cut:after=9": "cut",
    "cut_clean:after=9": "truncated",
    "stall:after=9": "idle_timeout",
    "malformed:after=9": "malformed_event",
    "error_later:after=9,times=1": "in_band_error",
    "error_then_done:after=9,times=1": "in_band_error",
    "error_field:after=9,times=1": "in_band_error",
    "truncated_json": "truncated",
}
"""Faults after the first content of a stream, and the word that the proxy has for each."""

HARMLESS = ("gzip", "crlf", "cr_only", "comments", "bom", "multiline", "no_done", "no_done_hang")
"""Good answers in unusual spellings."""


async def prepared(running: Fleet, fault: str | None) -> None:
    for upstream in running.simulator.upstreams.values():
        upstream.voice.answer = ANSWER
    await running.simulator.inject("primary", fault)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
@pytest.mark.parametrize("fault", HIDDEN)
def test_hidden(fault: str, stream: bool) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await prepared(running, fault)
            seen = await running.chat(stream=stream, temperature=0.5)

            assert (200, ANSWER, False) == (seen.status, seen.text, seen.broken)
            assert not stream or seen.done
            assert "ok" == seen.trail[-1][1]
            assert str(len(seen.trail)) == seen.headers["x-holdfast-attempts"]
            assert seen.seconds < 12.5

    run_virtual(scenario())


@pytest.mark.parametrize("fault", HIDDEN_IN_JSON)
def test_hidden_in_json(fault: str) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await prepared(running, fault)
            seen = await running.chat(stream=False)

            assert (200, ANSWER, "backup") == (seen.status, seen.text, seen.headers["x-holdfast-upstream"])

    run_virtual(scenario())


@pytest.mark.parametrize("fault", AFTER_COMMIT)
def test_after_the_commit_the_answer_is_finished_elsewhere(fault: str) -> None:
    async def scenario() -> None:
        async with fleet(NO_RETRIES) as running:
            await prepared(running, fault)
            seen = await running.chat(stream=True)

            assert (200, ANSWER, True) == (seen.status, seen.text, seen.done)
            record = running.records[-1]
            assert ("ok", "UR") == (record.outcome, record.flag)
            assert [(PRIMARY, BACKUP, AFTER_COMMIT[fault], "prefill")] == [
                (each.source, each.target, each.cause, each.mode) for each in record.resumes
            ]
            assert [AFTER_COMMIT[fault], "ok"] == [attempt.outcome for attempt in record.attempts]
            assert (1, 1) == (running.received("primary"), running.received("backup"))

    run_virtual(scenario())


ONLY_TOLD = {
    "nobody else": ("alone", {}, "no_deployment_left"),
    "switched off": ("off", {}, "resume_off"),
    "forbidden by the client": ("chat", {"x-holdfast-fallback": "off"}, "resume_off"),
}
"""When a broken stream stays a part: the route, the client's headers, and the reason that it is told."""


@pytest.mark.parametrize("case", ONLY_TOLD)
@pytest.mark.parametrize("fault", AFTER_COMMIT)
def test_after_the_commit_the_client_is_told_where_nobody_may_go_on(fault: str, case: str) -> None:
    route, headers, reason = ONLY_TOLD[case]

    async def scenario() -> None:
        async with fleet(NO_RETRIES) as running:
            await prepared(running, fault)
            seen = await running.chat(route, stream=True, headers=headers)

            assert 200 == seen.status
            assert seen.text
            assert ANSWER.startswith(seen.text)
            assert ANSWER != seen.text
            assert "[DONE]" not in seen.events
            assert ("upstream_error", "upstream_stream_broken") == (seen.error["type"], seen.error["code"])
            assert (reason, True) == (seen.error["reason"], seen.error["retryable"])
            assert f"primary/m broke off within the answer ({AFTER_COMMIT[fault]})" in seen.error["message"]
            assert (1, 0) == (running.received("primary"), running.received("backup"))
            record = running.records[-1]
            assert ("stream_interrupted", "US", ()) == (record.outcome, record.flag, record.resumes)

    run_virtual(scenario())


@pytest.mark.parametrize("fault", ["error_later", "error_then_done", "error_field"])
def test_an_upstream_that_says_that_it_is_overloaded_may_go_on_itself(fault: str) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await prepared(running, f"{fault}:after=9,times=1")
            seen = await running.chat("alone", stream=True)

            assert (ANSWER, True) == (seen.text, seen.done)
            assert [(PRIMARY, PRIMARY)] == [(each.source, each.target) for each in running.records[-1].resumes]

    run_virtual(scenario())


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
@pytest.mark.parametrize("fault", HARMLESS)
def test_harmless(fault: str, stream: bool) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await prepared(running, fault)
            seen = await running.chat(stream=stream)

            assert (200, ANSWER) == (seen.status, seen.text)
            assert [("primary", "ok")] == seen.trail
            assert not stream or seen.done

    run_virtual(scenario())


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_characters_split_over_writes_arrive_whole(size: int) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", f"split_utf8:size={size}")
            whole = await running.chat(stream=False)
            streamed = await running.chat(stream=True)

            assert whole.text == streamed.text
            assert not whole.text.isascii()
            assert "\ufffd" not in whole.text
            assert streamed.done

    run_virtual(scenario())


def test_an_event_of_a_megabyte() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", "big_event")
            seen = await running.chat()

            assert seen.done
            assert len(seen.text) > 1_000_000

    run_virtual(scenario())


def test_an_answer_that_never_ends_ends_with_the_deadline() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await prepared(running, "endless:interval=1")
            seen = await running.chat(headers={"x-holdfast-timeout": "10"})

            assert 10.0 <= seen.seconds < 10.1
            assert "deadline_exceeded" == seen.error["code"]
            assert 0 == running.proxy.pool.deployments()[0].consecutive_failures

    run_virtual(scenario())


RETURNED = {
    "content_filter": (400, None),
    "422": (422, None),
    "400": (400, None),
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
@pytest.mark.parametrize("fault", RETURNED)
def test_what_would_be_wrong_elsewhere_is_returned(fault: str, stream: bool) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await prepared(running, fault)
            seen = await running.chat(stream=stream)

            assert RETURNED[fault][0] == seen.status
            assert seen.error["message"]
            assert "false" == seen.headers["x-should-retry"]
            assert 1 == len(seen.trail)
            assert 0 == running.received("backup")

    run_virtual(scenario())


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
def test_a_filtered_answer_passes_as_it_is(stream: bool) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await prepared(running, "content_filter_finish:after=3")
            seen = await running.chat(stream=stream)

            assert (200, [("primary", "ok")]) == (seen.status, seen.trail)
            assert b'"content_filter"' in seen.body

    run_virtual(scenario())


ALONE = {
    "refuse": (502, "upstream_error"),
    "reset": (502, "upstream_error"),
    "hang": (504, "deadline_exceeded"),
    "role_then_silence": (504, "deadline_exceeded"),
    "pings": (504, "deadline_exceeded"),
    "503": (502, "upstream_error"),
    "html_502": (502, "upstream_error"),
    "overloaded": (502, "upstream_error"),
    "429:retry_after=3600": (429, "rate_limit_exceeded"),
    "unauthorized": (502, "upstream_error"),
    "credit": (502, "upstream_error"),
    "quota": (502, "upstream_error"),
    "model_missing": (502, "upstream_error"),
    "context": (400, "context_length_exceeded"),
    "content_filter": (400, "content_filter"),
    "empty": (502, "upstream_error"),
    "empty_body": (502, "upstream_error"),
    "garbage": (502, "upstream_error"),
    "error_200": (502, "upstream_error"),
    "error_first": (502, "upstream_error"),
    "cut:after=0": (502, "upstream_error"),
    "redirect": (502, "upstream_error"),
    "huge_headers": (502, "upstream_error"),
}
"""Faults with nobody else to ask: the status and the code that the client gets."""


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
@pytest.mark.parametrize("fault", ALONE)
def test_with_nobody_else_the_error_says_what_was_tried(fault: str, stream: bool) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await prepared(running, fault)
            seen = await running.chat("alone", stream=stream)

            assert ALONE[fault] == (seen.status, seen.error["code"])
            assert seen.trail
            assert seen.headers["x-request-id"]
            if seen.status >= 500:
                assert "primary/m" in seen.error["message"]
                assert "false" == seen.headers["x-should-retry"]
            if seen.status == 429:
                assert 3590 < int(seen.headers["retry-after"]) <= 3600

    run_virtual(scenario())
