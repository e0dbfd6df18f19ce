"""What other proxies got wrong in continuing broken streams: lost refrains, tool calls told as prose, hidden causes."""

import asyncio
import json

import pytest

from proxy.core.event import ResumeEnded
from tests.support.fleet import ROUTES, Seen, fleet, until
from tests.support.raw import serving
from tests.support.virtual_time import run_virtual

POEM = """\
Row on, row on, across the bay,
the tide is high and we're away.
O the wind and the rain, my love,
O the wind and the rain.

We'll come ashore at break of day,
the tide is low and here we stay.
O the wind and the rain, my love,
O the wind and the rain.

O the wind and the rain, my love,
O the wind and the rain.
O the wind and the rain, my love,
O the wind and the rain.
"""
REPETITIVE = {
    "laughter": "ha " * 60,
    "laughter to its end": "ha " * 60 + "ha!",
    "poem": POEM,
    "dots": ". " * 40 + "end.",
    "table": "| a | b |\n|---|---|\n" + "| 0 | 0 |\n" * 20 + "\nDone.",
    "han": "哈哈 " * 50 + "完。",
}
ANSWER = "One two three four five six seven eight nine ten eleven twelve, and that is all."
MANNERS = ("continue", "repeat", "tail", "restate", "space", "ignore")


async def ask_at_all_places(said: str, manner: str, modes: str) -> dict[int, Seen]:
    """What clients get of a text that breaks after so many words, and is gone on with in this manner."""
    routes = ROUTES.replace("{deadline: 60s,", "{deadline: 60s, breaker: {consecutive: 1000, minimum_requests: 1000},")
    routes += f"  some: {{chain: [primary/m, backup/m], resume: {{modes: [{modes}]}}}}\n"
    async with fleet(routes) as running:
        for upstream in running.simulator.upstreams.values():
            upstream.voice.answer = said
            upstream.voice.pace = 0.01
        running.simulator.upstream("backup").voice.prefill = manner  # type: ignore[assignment]
        asking: dict[int, asyncio.Future[Seen]] = {}
        for place in (1, 2, 3, 5, 8, 13, 20, 34, 55):
            await running.simulator.inject("primary", f"cut_clean:after={place}")
            asking[place] = asyncio.ensure_future(running.chat("some"))
            # A fault counts for the requests that come after it, so the next one may be injected at once.
            await until(lambda: running.received("primary") == len(asking))
        return {place: await seen for place, seen in asking.items()}


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("text", REPETITIVE)
def test_text_that_repeats_itself_loses_nothing_and_gains_nothing(text: str, manner: str) -> None:
    async def scenario() -> None:
        for place, seen in (await ask_at_all_places(REPETITIVE[text], manner, "prefill, instruct, restart")).items():
            assert (REPETITIVE[text], True) == (seen.text, seen.done), place

    run_virtual(scenario())


@pytest.mark.parametrize("mode", ["prefill", "instruct"])
@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("text", REPETITIVE)
def test_with_one_mode_only_it_is_whole_or_told(text: str, manner: str, mode: str) -> None:
    async def scenario() -> None:
        for place, seen in (await ask_at_all_places(REPETITIVE[text], manner, mode)).items():
            if seen.done:
                assert REPETITIVE[text] == seen.text, place
            else:
                assert REPETITIVE[text].startswith(seen.text), place
                assert "no_deployment_left" == seen.error["reason"]

    run_virtual(scenario())


def event(delta: object, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def call(arguments: str, **more: str) -> dict[str, object]:
    return {"tool_calls": [{"index": 0, **more, "function": {"name": "pay", "arguments": arguments}}]}


TOOL = {"type": "function", "function": {"name": "pay", "parameters": {"type": "object", "properties": {}}}}


async def ask_one_that_breaks_within_a_tool_call(before: str, hold: str, backup: str) -> tuple[Seen, list[object]]:
    """What a client gets, and what the backup was asked; the first deployment says some words and then half a call."""

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        words = event({"role": "assistant", "content": before})
        half = event(call("", id="call_1", type="function")) + event(call('{"amount": 1'))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n" + words)
        await writer.drain()
        await asyncio.sleep(0.5)
        writer.write(half)
        await writer.drain()
        await asyncio.sleep(0.5)

    async with serving(break_off) as address:
        routes = ROUTES.replace("primary: {kind: simulated}", f"primary: {{kind: vllm, base_url: 'http://{address}'}}")
        routes += f"  held: {{chain: [primary/m, backup/m], resume: {{hold: {hold}}}}}\n"
        async with fleet(routes) as running:
            voice = running.simulator.upstream("backup").voice
            voice.answer, voice.tool_calls = backup, 0
            seen = await running.chat("held", tools=[TOOL])
            return seen, [request.json for request in running.simulator.upstream("backup").requests]


def test_half_a_tool_call_after_words_is_never_continued_as_prose() -> None:
    async def scenario() -> None:
        words = "Let me pay that for you."
        seen, asked = await ask_one_that_breaks_within_a_tool_call(words, "tools", f"{words} I am afraid I cannot.")

        # The client knows the words only. Whoever says the same words, asked anew, may go on from there.
        assert [["user"]] == [[message["role"] for message in body["messages"]] for body in asked]  # type: ignore[index]
        assert (f"{words} I am afraid I cannot.", True) == (seen.text, seen.done)
        assert b"tool_calls" not in seen.body

        seen, asked = await ask_one_that_breaks_within_a_tool_call(words, "tools", "Something else altogether.")
        assert (words, False) == (seen.text, seen.done)
        assert [["user"]] == [[message["role"] for message in body["messages"]] for body in asked]  # type: ignore[index]
        assert b"tool_calls" not in seen.body
        assert "no_deployment_left" == seen.error["reason"]

    run_virtual(scenario())


def test_half_a_tool_call_that_is_out_is_an_error() -> None:
    async def scenario() -> None:
        seen, asked = await ask_one_that_breaks_within_a_tool_call("Let me pay.", "none", "Let me pay. Or not.")

        assert [] == asked
        assert ("tool_calls", "Let me pay.") == (seen.error["reason"], seen.text)
        assert not seen.done

    run_virtual(scenario())


@pytest.mark.parametrize("modes", ["prefill", "prefill, instruct", "restart"])
def test_what_became_of_the_attempts_to_mend_it_never_hides_the_first_cause(modes: str) -> None:
    routes = ROUTES + f"  one: {{chain: [primary/m, backup/m], resume: {{modes: [{modes}]}}}}\n"

    async def scenario() -> None:
        async with fleet(routes) as running:
            running.simulator.upstream("primary").voice.answer = ANSWER
            running.simulator.upstream("backup").voice.answer = "One two three four five, and no such words are known."
            running.simulator.upstream("backup").voice.prefill = "ignore"
            await running.simulator.inject("primary", "stall:after=9")
            await running.simulator.inject("backup", "refuse_prefill")
            seen = await running.chat("one")

            assert (200, " ".join(ANSWER.split()[:9])) == (seen.status, seen.text)
            assert ("upstream_stream_broken", "no_deployment_left", True) == (
                seen.error["code"],
                seen.error["reason"],
                seen.error["retryable"],
            )
            assert "primary/m broke off within the answer (idle_timeout)" in seen.error["message"]
            assert "http_400" not in seen.error["message"]
            given_up = [each for each in running.told if isinstance(each, ResumeEnded) and each.outcome == "given_up"]
            assert ["idle_timeout"] == [each.cause for each in given_up]

    run_virtual(scenario())


@pytest.mark.parametrize("fault", ["cut:after=9", "stall:after=9", "error_later:after=9", "truncated_json"])
def test_who_forbids_fallbacks_is_obeyed_in_the_middle_of_a_stream(fault: str) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            await running.simulator.inject("primary", fault)
            seen = await running.chat("three", headers={"x-holdfast-fallback": "off"})

            assert ("upstream_stream_broken", "resume_off") == (seen.error["code"], seen.error["reason"])
            assert not seen.done
            assert [1, 0, 0] == [running.received(name) for name in ("primary", "backup", "third")]

    run_virtual(scenario())


@pytest.mark.parametrize("second", ["503", "reset", "hang", "cut_clean:after=2", "stall:after=2", "429:retry_after=60"])
def test_a_second_failure_goes_on_along_the_chain_and_does_not_start_over(second: str) -> None:
    routes = ROUTES.replace("{deadline: 60s,", "{deadline: 60s, retry: {attempts: 1},")

    async def scenario() -> None:
        async with fleet(routes) as running:
            for upstream in running.simulator.upstreams.values():
                upstream.voice.answer = ANSWER
            await running.simulator.inject("primary", "cut_clean:after=9")
            await running.simulator.inject("backup", second)
            seen = await running.chat("three")

            assert (ANSWER, True) == (seen.text, seen.done)
            assert [1, 1, 1] == [running.received(name) for name in ("primary", "backup", "third")]
            record = running.records[-1]
            assert "third" == record.resumes[-1].target.upstream
            assert ["primary", "backup", "third"] == [attempt.deployment.upstream for attempt in record.attempts]

    run_virtual(scenario())


def test_what_is_refused_for_its_content_is_not_sent_elsewhere() -> None:
    refusal = {
        "error": {"message": "The response was filtered.", "type": "invalid_request_error", "code": "content_filter"}
    }

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        words = event({"role": "assistant", "content": "Once upon a time"})
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n" + words)
        await writer.drain()
        await asyncio.sleep(0.5)
        writer.write(b"data: " + json.dumps(refusal).encode() + b"\n\n")
        await writer.drain()

    async def scenario() -> None:
        async with serving(refuse) as address:
            kind = f"primary: {{kind: vllm, base_url: 'http://{address}'}}"
            async with fleet(ROUTES.replace("primary: {kind: simulated}", kind)) as running:
                seen = await running.chat()

                assert ("Once upon a time", False) == (seen.text, seen.done)
                assert ("upstream_stream_broken", "final_failure", False) == (
                    seen.error["code"],
                    seen.error["reason"],
                    seen.error["retryable"],
                )
                assert 0 == running.received("backup")

    run_virtual(scenario())
