"""The official SDK and streams that break after their first content: the application gets one whole answer."""

from __future__ import annotations

import asyncio
import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel

from proxy.core.event import RequestEnded
from proxy.core.names import DeploymentId
from proxy.pool.deployment import Deployment
from proxy.simulator.answers import ToolCall
from tests.conformance.conftest import OUTSIDE, RunningFleet, run_fleet

ROUTES = f"""\
version: 1
server: {{port: 0}}
upstreams:
  primary: {{kind: simulated}}
  backup: {{kind: simulated}}
  third: {{kind: simulated}}
  outside: {{kind: openai, base_url: "{OUTSIDE}", api_key: none-is-needed}}
defaults:
  deadline: 5s
  timeout: {{connect: 3s, first_token: 2s, idle: 1s}}
  retry: {{backoff: {{initial: 20ms}}}}
  breaker: {{consecutive: 1000, minimum_requests: 1000}}
  health: {{probe: never}}
routes:
  chat: {{chain: &two [&first {{to: primary/m, retry: {{attempts: 1}}}}, backup/m]}}
  plain: {{chain: [*first, outside/m]}}
  three: {{chain: [*first, {{to: backup/m, retry: {{attempts: 1}}}}, third/m]}}
  alone: {{chain: [*first]}}
  unheld: {{chain: *two, resume: {{hold: none}}}}
  held: {{chain: *two, resume: {{hold: all}}}}
  again: {{chain: *two, resume: {{reasoning: again}}}}
  fragile: {{chain: [*first, {{to: backup/m, breaker: {{consecutive: 1}}}}], panic: never}}
"""
ANSWER = (
    "The river runs down from the hills, past the old mill, and it turns twice before it meets the wide and quiet "
    "sea that nobody here has ever crossed alone."
)
WORDS = len(ANSWER.split())
SMALL = "A day has twenty-four hours 🎉."
ASKING: Any = [{"role": "user", "content": "hi"}]
THINKING = "First of all this has to be thought about."
BREAKS = {
    "cut": "cut",
    "cut_clean": "truncated",
    "stall": "idle_timeout",
    "malformed": "malformed_event",
    "error_later": "in_band_error",
    "error_then_done": "in_band_error",
    "error_field": "in_band_error",
}
"""The simulator's word for a break, and the proxy's."""
PLACES = (1, WORDS // 2, WORDS - 1, WORDS)
WAYS: dict[str, tuple[str, str | None, dict[str, Any]]] = {
    "prefill": ("chat", None, {}),
    "instruct": ("chat", "refuse_prefill", {}),
    "restart": ("chat", "refuse_prefill", {"temperature": 0}),
}
"""How a mode is brought about: the route, the backup's fault, and what the client asks for."""


@pytest.fixture
def running() -> Iterator[RunningFleet]:
    made, stop = run_fleet(ROUTES)
    made.voice(answer=ANSWER)
    yield made
    stop()


@pytest.fixture
def client(running: RunningFleet) -> Iterator[OpenAI]:
    with OpenAI(base_url=running.base_url, api_key="unused", max_retries=0) as made:
        yield made


class Heard:
    """What an application heard of one stream."""

    def __init__(self, chunks: list[ChatCompletionChunk]) -> None:
        self.chunks = chunks
        self.choices = [choice for chunk in chunks for choice in chunk.choices]

    @property
    def text(self) -> str:
        return "".join(choice.delta.content or "" for choice in self.choices)

    @property
    def reasoning(self) -> str:
        return "".join((choice.delta.model_extra or {}).get("reasoning_content") or "" for choice in self.choices)

    @property
    def finishes(self) -> list[str]:
        return [choice.finish_reason for choice in self.choices if choice.finish_reason]

    @property
    def usage(self) -> CompletionUsage:
        (usage,) = [chunk.usage for chunk in self.chunks if chunk.usage is not None]
        return usage

    @property
    def resumes(self) -> list[dict[str, str]]:
        """What the usage's chunk tells of them."""
        return list((self.chunks[-1].model_extra or {}).get("holdfast", {}).get("resumes", []))


def asking(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": ASKING, "stream_options": {"include_usage": True}, **more}


def hear(running: RunningFleet, model: str, **more: Any) -> Heard:
    """A stream of the plain client, to its end."""
    with OpenAI(base_url=running.base_url, api_key="unused", max_retries=0) as client:
        return Heard(list(client.chat.completions.create(stream=True, **asking(model, **more))))


def hear_helper(running: RunningFleet, model: str, **more: Any) -> Heard:
    """The same with the SDK's own accumulation, which must agree."""
    with (
        OpenAI(base_url=running.base_url, api_key="unused", max_retries=0) as client,
        client.chat.completions.stream(**asking(model, **more)) as stream,
    ):
        heard = Heard([event.chunk for event in stream if event.type == "chunk"])
        final = stream.get_final_completion()
    assert (heard.text, heard.finishes) == (final.choices[0].message.content or "", [final.choices[0].finish_reason])
    return heard


def hear_async(running: RunningFleet, model: str, **more: Any) -> Heard:
    async def listen() -> Heard:
        async with AsyncOpenAI(base_url=running.base_url, api_key="unused", max_retries=0) as client:
            stream = await client.chat.completions.create(stream=True, **asking(model, **more))
            return Heard([chunk async for chunk in stream])

    return asyncio.run(listen())


def hear_async_helper(running: RunningFleet, model: str, **more: Any) -> Heard:
    async def listen() -> Heard:
        async with (
            AsyncOpenAI(base_url=running.base_url, api_key="unused", max_retries=0) as client,
            client.chat.completions.stream(**asking(model, **more)) as stream,
        ):
            heard = Heard([event.chunk async for event in stream if event.type == "chunk"])
            final = await stream.get_final_completion()
        assert (heard.text, heard.finishes) == (final.choices[0].message.content, [final.choices[0].finish_reason])
        return heard

    return asyncio.run(listen())


HEARERS: tuple[Callable[..., Heard], ...] = (hear, hear_helper, hear_async, hear_async_helper)


def broken(client: OpenAI, model: str, **more: Any) -> tuple[Heard, openai.APIError, dict[str, Any]]:
    """A stream that ends in an error: what came before it, the error, and its members."""
    chunks: list[ChatCompletionChunk] = []
    with pytest.raises(openai.APIError) as caught:
        chunks.extend(client.chat.completions.create(stream=True, **asking(model, **more)))
    assert isinstance(caught.value.body, dict)
    return Heard(chunks), caught.value, caught.value.body


def check_whole(heard: Heard, answer: str = ANSWER) -> None:
    assert answer == heard.text
    assert ["stop"] == heard.finishes
    assert (1, 1, 1) == tuple(
        len({getattr(chunk, name) for chunk in heard.chunks}) for name in ("id", "model", "created")
    )
    assert 1 == sum(choice.delta.role is not None for choice in heard.choices)
    assert len(answer.split()) == heard.usage.completion_tokens
    assert heard.usage.prompt_tokens + heard.usage.completion_tokens == heard.usage.total_tokens


def last_record(running: RunningFleet) -> RequestEnded:
    """The record of the last request; it is told just after the client has heard the end."""
    patience = time.monotonic() + 5
    while running.fleet.proxy.lifecycle.running and time.monotonic() < patience:
        time.sleep(0.005)
    # What empties the one fills the other in the same breath, and this thread may look in between.
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), running.loop).result(5)
    return running.fleet.records[-1]


def deployment(running: RunningFleet, upstream: str) -> Deployment:
    # The client hears the end a moment before the proxy has written down what came of it.
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), running.loop).result(5)
    found = running.fleet.proxy.pool.find(DeploymentId(upstream, "m"))
    assert found is not None
    return found


def asked_of(running: RunningFleet, upstream: str) -> list[Any]:
    """The bodies of the requests that an upstream got."""
    return [request.json for request in running.upstreams[upstream].requests if request.method == "POST"]


@pytest.mark.parametrize("mode", WAYS)
@pytest.mark.parametrize("kind", BREAKS)
def test_wherever_it_breaks_the_answer_is_whole(running: RunningFleet, kind: str, mode: str) -> None:
    route, backups_fault, more = WAYS[mode]
    running.inject("backup", backups_fault)
    for place, listen in zip(PLACES, HEARERS, strict=True):
        running.inject("primary", f"{kind}:after={place}")
        heard = listen(running, route, **more)

        check_whole(heard)
        record = last_record(running)
        assert "ok" == record.outcome
        # The first word may come together with the break: then nobody has seen it, and nothing is to be resumed.
        if place > 1:
            told = [{"from": "primary/m", "to": "backup/m", "cause": BREAKS[kind], "mode": mode}]
            assert told == heard.resumes
            assert [(BREAKS[kind], mode)] == [(each.cause, each.mode) for each in record.resumes]


@pytest.mark.parametrize("listen", HEARERS, ids=lambda listen: listen.__name__)
def test_every_client_gets_the_same(running: RunningFleet, listen: Callable[..., Heard]) -> None:
    running.inject("primary", "cut:after=9")
    heard = listen(running, "chat")

    check_whole(heard)
    assert ["prefill"] == [each["mode"] for each in heard.resumes]


def test_the_prompt_is_counted_as_if_nothing_had_broken(running: RunningFleet) -> None:
    healthy = hear(running, "chat")
    running.inject("primary", f"cut:after={WORDS // 2}")
    resumed = hear(running, "chat")

    assert [] == healthy.resumes
    assert 1 == len(resumed.resumes)
    assert healthy.usage.prompt_tokens == resumed.usage.prompt_tokens
    assert healthy.usage == resumed.usage


def test_a_model_of_a_kind_without_prefill_is_asked_in_words(running: RunningFleet) -> None:
    running.inject("primary", f"cut:after={WORDS // 2}")
    heard = hear(running, "plain")

    check_whole(heard)
    assert ["instruct"] == [each["mode"] for each in heard.resumes]
    (body,) = asked_of(running, "outside")
    assert ["user", "assistant", "user"] == [message["role"] for message in body["messages"]]


@pytest.mark.parametrize("mode", WAYS)
@pytest.mark.parametrize("manner", ["continue", "repeat", "tail", "restate", "space", "ignore"])
def test_whatever_the_next_one_repeats_nothing_is_doubled(running: RunningFleet, manner: str, mode: str) -> None:
    route, backups_fault, more = WAYS[mode]
    running.upstreams["backup"].voice.prefill = manner  # type: ignore[assignment]
    running.inject("backup", backups_fault)
    for place in (1, 4, 14, 20, WORDS - 1):
        running.inject("primary", f"cut_clean:after={place}")
        heard = hear(running, route, **more)

        assert (ANSWER, ["stop"]) == (heard.text, heard.finishes)
        # What was said twice is counted by its share of the characters.
        assert abs(WORDS - heard.usage.completion_tokens) <= 2
        if place == 20:
            assert [mode] == [each["mode"] for each in heard.resumes]


TEXTS = {
    "han": "模拟 回答: 这些 文字 来自 一个 小程序 🤖, 没有 询问 任何 模型 🙅🏽‍♀️ 也 没有 费用。",
    "kana": "これは シミュレーション です 🎌, 本物 の 答え では ありません 👨‍👩‍👧。",
    "hangul": "응답 시뮬레이션 입니다 🇰🇷, 아무 모델도 묻지 않았 습니다.",
    "accents": "Où est l'été ? Il e\u0301tait là — déjà « fini » 🌞!",
    "markdown": "# Title\n\n- one\n- two\n\n```py\nif x:\n    y = 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nOK.\n",
}


@pytest.mark.parametrize("text", TEXTS)
def test_any_script(running: RunningFleet, text: str) -> None:
    running.voice(answer=TEXTS[text])
    for place in range(2, len(TEXTS[text].split()) + 1):
        running.inject("primary", f"cut_clean:after={place}")
        heard = hear(running, "chat")

        assert (TEXTS[text], ["stop"]) == (heard.text, heard.finishes)


def test_a_limit_counts_the_whole_answer(running: RunningFleet) -> None:
    running.inject("primary", "cut:after=9")
    heard = hear(running, "chat", max_tokens=20)

    assert (" ".join(ANSWER.split()[:20]), ["length"]) == (heard.text, heard.finishes)
    assert 20 == heard.usage.completion_tokens


# Tools


TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALLS = (
    ToolCall("weather", {"city": "Paris, capital of France"}),
    ToolCall("weather", {"city": "Seoul, capital of Korea"}),
)
IN_FIRST, IN_SECOND = 2, 6
"""Pieces after which the first, and the second, call is begun and not complete."""


def test_half_a_tool_call_is_never_seen(running: RunningFleet, client: OpenAI) -> None:
    running.voice(tool_calls=CALLS)
    running.inject("primary", f"cut_clean:after={IN_FIRST}")
    with client.chat.completions.stream(model="chat", messages=ASKING, tools=[TOOL]) as stream:  # type: ignore[list-item]
        final = stream.get_final_completion()

    assert "tool_calls" == final.choices[0].finish_reason
    calls = final.choices[0].message.tool_calls or []
    assert [call.arguments for call in CALLS] == [json.loads(call.function.arguments) for call in calls]
    assert 2 == len({call.id for call in calls})
    assert ["truncated", "ok"] == [attempt.outcome for attempt in last_record(running).attempts]


def arguments(heard: Heard) -> dict[int, str]:
    """The arguments of each call, as they came."""
    found: dict[int, str] = {}
    for choice in heard.choices:
        for call in choice.delta.tool_calls or []:
            found[call.index] = found.get(call.index, "") + ((call.function and call.function.arguments) or "")
    return found


def test_after_a_whole_tool_call_half_a_second_one_is_not_seen_but_told(running: RunningFleet, client: OpenAI) -> None:
    running.voice(tool_calls=CALLS)
    running.inject("primary", f"cut_clean:after={IN_SECOND}")
    heard, error, members = broken(client, "chat", tools=[TOOL])

    assert [CALLS[0].arguments] == [json.loads(each) for each in arguments(heard).values()]
    assert ("upstream_stream_broken", "tool_calls", True) == (error.code, members["reason"], members["retryable"])
    assert [] == heard.finishes


@pytest.mark.parametrize("place", [IN_FIRST, IN_SECOND])
def test_a_tool_call_that_is_not_held_back_cannot_be_mended(running: RunningFleet, client: OpenAI, place: int) -> None:
    running.voice(tool_calls=CALLS)
    running.inject("primary", f"cut_clean:after={place}")
    heard, error, members = broken(client, "unheld", tools=[TOOL])

    assert arguments(heard)
    assert ("upstream_stream_broken", "tool_calls", True) == (error.code, members["reason"], members["retryable"])
    assert [] == asked_of(running, "backup")


# What cannot be continued


class Weather(BaseModel):
    city: str
    degrees: int
    kind: list[str]


SCHEMA = {"type": "json_schema", "json_schema": {"name": "weather", "schema": Weather.model_json_schema()}}
NOT_CONTINUED: dict[str, dict[str, Any]] = {
    "structured_output": {"response_format": SCHEMA},
    "several_choices": {"n": 2},
    "logprobs": {"logprobs": True},
}


@pytest.mark.parametrize("reason", NOT_CONTINUED)
def test_what_cannot_be_continued_says_why(running: RunningFleet, client: OpenAI, reason: str) -> None:
    running.inject("primary", "cut_clean:after=3")
    heard, error, members = broken(client, "chat", **NOT_CONTINUED[reason])

    assert heard.text
    assert [] == heard.finishes
    assert ("upstream_stream_broken", reason, True) == (error.code, members["reason"], members["retryable"])
    assert "primary/m broke off within the answer (truncated)" in error.message
    assert [] == asked_of(running, "backup")


def test_structured_output_that_is_held_back_is_whole(running: RunningFleet, client: OpenAI) -> None:
    running.inject("primary", "cut_clean:after=3")
    with client.chat.completions.stream(model="held", messages=ASKING, response_format=Weather) as stream:
        final = stream.get_final_completion()

    assert isinstance(final.choices[0].message.parsed, Weather)
    assert ["truncated", "ok"] == [attempt.outcome for attempt in last_record(running).attempts]


# Reasoning


@pytest.mark.parametrize("kind", BREAKS)
def test_a_break_within_the_reasoning(running: RunningFleet, kind: str) -> None:
    running.voice(reasoning=THINKING)
    running.inject("primary", f"{kind}:after=4")
    heard = hear(running, "chat")

    assert (ANSWER, ["stop"]) == (heard.text, heard.finishes)
    # The reasoning breaks off where the first deployment did, and nobody begins it again.
    assert THINKING.startswith(heard.reasoning)
    assert len(THINKING) > len(heard.reasoning) > 0
    assert ["restart"] == [each["mode"] for each in heard.resumes]


def test_reasoning_again(running: RunningFleet) -> None:
    running.voice(reasoning=THINKING)
    running.inject("primary", "cut_clean:after=4")
    heard = hear(running, "again")

    assert (ANSWER, ["stop"]) == (heard.text, heard.finishes)
    assert " ".join(THINKING.split()[:4]) + THINKING == heard.reasoning


@pytest.mark.parametrize(("route", "reasoning"), [("chat", THINKING), ("again", THINKING + THINKING)])
def test_a_break_after_the_reasoning(running: RunningFleet, route: str, reasoning: str) -> None:
    running.voice(reasoning=THINKING)
    running.inject("primary", f"cut_clean:after={len(THINKING.split()) + 5}")
    heard = hear(running, route)

    assert (ANSWER, ["stop"], reasoning) == (heard.text, heard.finishes, heard.reasoning)
    assert ["prefill"] == [each["mode"] for each in heard.resumes]


# Several breaks, and nobody left


@pytest.mark.parametrize("second", BREAKS)
def test_a_second_break(running: RunningFleet, second: str) -> None:
    running.inject("primary", "cut_clean:after=9")
    running.inject("backup", f"{second}:after=7")
    heard = hear_helper(running, "three")

    check_whole(heard)
    expected = [("primary/m", "backup/m", "truncated"), ("backup/m", "third/m", BREAKS[second])]
    assert expected == [(each["from"], each["to"], each["cause"]) for each in heard.resumes]
    assert ["truncated", BREAKS[second], "ok"] == [each.outcome for each in last_record(running).attempts]


def test_when_all_break_the_error_names_the_first_cause(running: RunningFleet, client: OpenAI) -> None:
    running.inject("primary", "stall:after=9")
    running.inject("backup", "cut_clean:after=7")
    running.inject("third", "malformed:after=3")
    heard, error, members = broken(client, "three")

    assert " ".join(ANSWER.split()[:19]) == heard.text
    assert [] == heard.finishes
    assert ("upstream_stream_broken", "no_deployment_left", True) == (
        error.code,
        members["reason"],
        members["retryable"],
    )
    assert "primary/m broke off within the answer (idle_timeout)" in error.message
    record = last_record(running)
    assert ("stream_interrupted", 2) == (record.outcome, len(record.resumes))


def test_who_broke_is_charged_and_who_finished_is_credited(running: RunningFleet) -> None:
    running.inject("primary", "cut:after=9")
    check_whole(hear(running, "chat"))
    last_record(running)
    primary, backup = deployment(running, "primary"), deployment(running, "backup")

    assert (0, 1, 1, "cut") == (primary.succeeded, primary.failed, primary.consecutive_failures, primary.last_failure)
    assert (1, 0, 0) == (backup.succeeded, backup.failed, backup.consecutive_failures)
    assert backup.last_served_at is not None


@pytest.mark.parametrize("silence", ["hang", "role_then_silence", "pings", "stall:after=1"])
def test_the_deadline_holds_for_the_whole_of_it(running: RunningFleet, client: OpenAI, silence: str) -> None:
    running.inject("primary", "cut_clean:after=9")
    running.inject("backup", silence)
    started = time.monotonic()
    # The one that stalls would be given up by its idle timer.
    until = 0.25 if silence.startswith("stall") else 0.6
    heard, error, members = broken(client, "chat", extra_headers={"x-holdfast-timeout": str(until)})

    assert until - 0.01 <= time.monotonic() - started < until + 0.5
    assert ANSWER.startswith(heard.text)
    assert ("deadline_exceeded", "deadline_exceeded") == (error.code, members["reason"])


# A client that leaves


@pytest.mark.parametrize("moment", ["before the next one answers", "while it answers"])
def test_a_client_that_leaves_during_a_resume_leaks_nothing(running: RunningFleet, moment: str) -> None:
    running.inject("primary", "cut_clean:after=3")
    running.inject("backup", "hang" if moment.startswith("before") else "endless:interval=0.01")
    with OpenAI(base_url=running.base_url, api_key="unused", max_retries=0) as client:
        stream = client.chat.completions.create(model="chat", messages=ASKING, stream=True)
        chunks = iter(stream)
        for _ in range(4 if moment.startswith("before") else 9):
            next(chunks)
        while not running.upstreams["backup"].requests:
            time.sleep(0.005)
        stream.close()
    record = last_record(running)

    assert (499, "client_left") == (record.status, record.outcome)
    assert [0, 0, 0, 0] == [each.in_flight for each in running.fleet.proxy.pool.deployments()]
    assert 0 == deployment(running, "backup").failed


# What is told


def test_a_comment_tells_who_looks_at_the_bytes(running: RunningFleet, client: OpenAI) -> None:
    running.inject("primary", "cut_clean:after=9")
    with client.chat.completions.with_streaming_response.create(stream=True, **asking("chat")) as response:
        raw = b"".join(response.iter_bytes()).decode()
    comments = [line for line in raw.split("\n") if line.startswith(":")]

    assert 1 == len(comments)
    assert re.fullmatch(
        r": holdfast-resumed from=primary/m; to=backup/m; cause=truncated; mode=prefill; ms=\d+", comments[0]
    )
    before, after = raw.split(comments[0])
    assert before.endswith("\n\n") and after.startswith("\n\n")
    assert (9, WORDS - 9) == (before.count('"content":" ') + 1, after.count('"content":" '))
    assert raw.endswith("data: [DONE]\n\n")


def test_the_usage_tells_of_every_resume(running: RunningFleet) -> None:
    running.inject("primary", "cut_clean:after=9")
    heard = hear(running, "chat")

    told = {
        "resumes": [{"from": "primary/m", "to": "backup/m", "cause": "truncated", "mode": "prefill"}],
        "usage_estimated": True,
    }
    assert told == (heard.chunks[-1].model_extra or {})["holdfast"]
    assert not any("holdfast" in (chunk.model_extra or {}) for chunk in heard.chunks[:-1])
    assert b'"completion_tokens":30' in (last_record(running).usage or b"")


def test_who_did_not_ask_for_usage_gets_none(running: RunningFleet) -> None:
    running.inject("primary", "cut_clean:after=9")
    with OpenAI(base_url=running.base_url, api_key="unused", max_retries=0) as client:
        heard = Heard(list(client.chat.completions.create(model="chat", messages=ASKING, stream=True)))

    assert ANSWER == heard.text
    assert all(chunk.choices and chunk.usage is None for chunk in heard.chunks)


def test_metrics_count_it(running: RunningFleet) -> None:
    running.inject("primary", "cut_clean:after=9")
    running.inject("backup", "refuse_prefill")
    check_whole(hear(running, "chat"))
    last_record(running)
    with urllib.request.urlopen(f"{running.fleet.url}/metrics") as answer:  # noqa: S310 - our own page
        page = answer.read().decode()

    for mode, outcome in (("prefill", "refused"), ("instruct", "continued")):
        assert f'holdfast_resumes_total{{cause="truncated",mode="{mode}",outcome="{outcome}"}} 1.0' in page


# What the next one is asked


CONVERSATION: Any = [
    {"role": "system", "content": "Answer as a poet — «briefly»."},
    {"role": "user", "content": [{"type": "text", "text": "Tell me of the river."}], "name": "ada"},
    {"role": "assistant", "content": "Gladly."},
    {"role": "user", "content": "Go on, then. 漢字 🎉"},
]


@pytest.mark.parametrize("mode", ["prefill", "instruct"])
def test_the_callers_messages_stay_what_they_are(running: RunningFleet, mode: str) -> None:
    route, backups_fault, more = WAYS[mode]
    running.inject("primary", "cut_clean:after=9")
    running.inject("backup", backups_fault)
    check_whole(hear(running, route, **{**more, "messages": CONVERSATION, "temperature": 0.7, "user": "u-1"}))
    (first,), asked = asked_of(running, "primary"), asked_of(running, "backup")[-1]

    said = " ".join(ANSWER.split()[:9])
    assert CONVERSATION == first["messages"] == asked["messages"][:4]
    assert {"role": "assistant", "content": said} == asked["messages"][4]
    assert ([] if mode == "prefill" else ["user"]) == [message["role"] for message in asked["messages"][5:]]
    without = [{name: value for name, value in body.items() if name != "messages"} for body in (first, asked)]
    assert without[0] == without[1]


def test_a_refusal_of_prefill_is_remembered_and_blames_nobody(running: RunningFleet) -> None:
    running.inject("primary", "cut_clean:after=9")
    running.inject("backup", "refuse_prefill")
    # Its breaker would open with the first failure that counts, and it could not be asked again.
    first, second = hear(running, "fragile"), hear(running, "fragile")

    check_whole(first)
    check_whole(second)
    last = [body["messages"][-1]["role"] for body in asked_of(running, "backup")]
    assert ["assistant", "user", "user"] == last
    assert (2, 0) == (deployment(running, "backup").succeeded, deployment(running, "backup").consecutive_failures)
    assert {"prefill"} == deployment(running, "backup").refused_parameters


def test_a_request_that_ends_with_the_callers_own_beginning(running: RunningFleet) -> None:
    own = "The river runs down"
    running.inject("primary", "cut_clean:after=4")
    heard = hear(running, "chat", messages=[*ASKING, {"role": "assistant", "content": own}])

    assert (ANSWER.removeprefix(own), ["stop"]) == (heard.text, heard.finishes)
    (asked,) = asked_of(running, "backup")
    said = " ".join(ANSWER.split()[:8])
    # Both are one message; whether another one follows that asks to go on depends on what is known of the next one.
    assert [*ASKING, {"role": "assistant", "content": said}] == asked["messages"][:2]
    assert ["user"] * (len(asked["messages"]) - 2) == [message["role"] for message in asked["messages"][2:]]
