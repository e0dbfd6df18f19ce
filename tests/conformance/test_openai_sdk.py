"""The official SDK against the running proxy: what an application gets when providers fail."""

import json
import time
from collections.abc import Iterator

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.conformance.conftest import RunningFleet

ANSWER = "one two three four five six seven eight nine ten eleven twelve 漢字 end"
ASKING = [{"role": "user", "content": "hi"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture
def client(running: RunningFleet) -> Iterator[OpenAI]:
    running.voice(answer=ANSWER)
    with OpenAI(base_url=running.base_url, api_key="unused") as made:
        yield made


FAULTS = (
    "refuse", "reset", "close", "503", "529", "429:retry_after=60", "429:form=ms,retry_after=60",
    "unauthorized", "quota", "html_502", "malformed:after=0", "error_first", "error_then_done:after=0",
    "cut:after=0", "cut_clean:after=0", "empty", "empty_body", "error_200", "garbage", "wrong_type", "context",
    "model_missing", "unsupported_parameter:param=seed", "gzip", "no_done", "no_done_hang", "crlf", "cr_only", "bom",
    "comments", "multiline",
)  # fmt: skip
SILENCES = ("hang", "role_then_silence", "pings", "empty_deltas")


@pytest.mark.parametrize("fault", FAULTS)
def test_one_whole_answer(running: RunningFleet, client: OpenAI, fault: str) -> None:
    running.inject("primary", fault)
    _answers_whole(client)


@pytest.mark.parametrize("fault", SILENCES)
def test_one_whole_answer_after_silence(hasty: RunningFleet, fault: str) -> None:
    hasty.voice(answer=ANSWER)
    hasty.inject("primary", fault)
    with OpenAI(base_url=hasty.base_url, api_key="unused") as client:
        _answers_whole(client)


def _answers_whole(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="chat", messages=ASKING, seed=7)
    assert (ANSWER, "stop") == (whole.choices[0].message.content, whole.choices[0].finish_reason)

    stream = client.chat.completions.create(model="chat", messages=ASKING, seed=7, stream=True)
    chunks = list(stream)
    assert ANSWER == "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert ["stop"] == [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason]
    assert 1 == len({chunk.id for chunk in chunks})


async def test_async_client(hasty: RunningFleet) -> None:
    hasty.voice(answer=ANSWER)
    hasty.inject("primary", "hang")
    async with AsyncOpenAI(base_url=hasty.base_url, api_key="unused") as client:
        stream = await client.chat.completions.create(model="chat", messages=ASKING, stream=True)
        assert ANSWER == "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


def test_usage_is_shown_to_who_asked(running: RunningFleet, client: OpenAI) -> None:
    asked = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="chat", messages=ASKING, stream=True, stream_options=asked))

    assert [] == chunks[-1].choices
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens > 0
    # The proxy knows the tokens of the other stream, too, but its client did not ask.
    plain = list(client.chat.completions.create(model="chat", messages=ASKING, stream=True))
    assert all(chunk.choices for chunk in plain)
    assert all(b'"prompt_tokens"' in (record.usage or b"") for record in running.fleet.records)


def test_tools(running: RunningFleet, client: OpenAI) -> None:
    running.inject("primary", "503")
    asking = {"model": "chat", "messages": ASKING, "tools": [TOOL], "tool_choice": "required"}

    whole = client.chat.completions.create(**asking)
    assert "tool_calls" == whole.choices[0].finish_reason
    (call,) = whole.choices[0].message.tool_calls or []
    assert {"city"} == set(json.loads(call.function.arguments))

    with client.chat.completions.stream(**asking) as stream:
        final = stream.get_final_completion()
    (streamed,) = final.choices[0].message.tool_calls or []
    assert {"city"} == set(json.loads(streamed.function.arguments))


class Weather(BaseModel):
    city: str
    degrees: int
    kind: list[str]


def test_parse(running: RunningFleet, client: OpenAI) -> None:
    running.inject("primary", "error_200")
    parsed = client.chat.completions.parse(model="chat", messages=ASKING, response_format=Weather)

    assert isinstance(parsed.choices[0].message.parsed, Weather)


def test_several_choices(running: RunningFleet, client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="chat", messages=ASKING, n=3, stream=True))

    assert {0, 1, 2} == {choice.index for chunk in chunks for choice in chunk.choices if choice.finish_reason}


def test_raw_response_tells_who_answered(running: RunningFleet, client: OpenAI) -> None:
    running.inject("primary", "empty")
    raw = client.chat.completions.with_raw_response.create(
        model="chat", messages=ASKING, extra_headers={"x-request-id": "my-id-1"}
    )

    assert ANSWER == raw.parse().choices[0].message.content
    assert ("backup", "m", "2", "my-id-1", "chat") == tuple(
        raw.headers[name]
        for name in (
            "x-holdfast-upstream",
            "x-holdfast-model",
            "x-holdfast-attempts",
            "x-request-id",
            "x-holdfast-route",
        )
    )
    assert "failover from primary/m (empty_answer)" == raw.headers["x-holdfast-reason"]
    assert raw.headers["server-timing"]


ERRORS = {
    "refuse": (openai.InternalServerError, 502, "upstream_error"),
    "503": (openai.InternalServerError, 502, "upstream_error"),
    "html_502": (openai.InternalServerError, 502, "upstream_error"),
    "empty": (openai.InternalServerError, 502, "upstream_error"),
    "error_first": (openai.InternalServerError, 502, "upstream_error"),
    "unauthorized": (openai.InternalServerError, 502, "upstream_error"),
    "429:retry_after=600": (openai.RateLimitError, 429, "rate_limit_exceeded"),
    "context": (openai.BadRequestError, 400, "context_length_exceeded"),
    "content_filter": (openai.BadRequestError, 400, "content_filter"),
    "422": (openai.UnprocessableEntityError, 422, None),
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
@pytest.mark.parametrize("fault", ERRORS)
def test_errors_are_raised_as_what_they_are(running: RunningFleet, client: OpenAI, fault: str, stream: bool) -> None:
    kind, status, code = ERRORS[fault]
    running.inject("primary", fault)
    started = time.monotonic()

    with pytest.raises(kind) as caught:
        client.chat.completions.create(model="alone", messages=ASKING, stream=stream)

    assert status == caught.value.status_code
    assert code is None or code == caught.value.code
    assert caught.value.request_id
    # Told that trying again is no use, the SDK does not: one call, and no seconds of its own backoff.
    assert 1 == len(running.fleet.records)
    assert time.monotonic() - started < 2


def test_the_deadline_is_an_error_of_its_own(running: RunningFleet, client: OpenAI) -> None:
    running.inject("primary", "hang")
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="alone", messages=ASKING, extra_headers={"x-holdfast-timeout": "0.5"})

    assert (504, "deadline_exceeded") == (caught.value.status_code, caught.value.code)


def test_unknown_model_names_the_nearest(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="Did you mean 'chat'") as caught:
        client.chat.completions.create(model="chatt", messages=ASKING)

    assert ("model_not_found", "model") == (caught.value.code, caught.value.param)


@pytest.mark.parametrize(
    "fault", ["cut:after=5", "cut_clean:after=5", "stall:after=5", "malformed:after=5", "error_later:after=5,times=2"]
)
def test_a_stream_that_breaks_raises_and_never_ends_silently(running: RunningFleet, client: OpenAI, fault: str) -> None:
    running.inject("primary", fault)
    pieces: list[str] = []
    forbidden = {"x-holdfast-fallback": "off"}
    stream = client.chat.completions.create(model="chat", messages=ASKING, stream=True, extra_headers=forbidden)

    with pytest.raises(openai.APIError) as caught:
        pieces.extend(chunk.choices[0].delta.content or "" for chunk in stream)

    assert "".join(pieces)
    assert ANSWER.startswith("".join(pieces))
    assert "upstream_stream_broken" == caught.value.code
    assert isinstance(caught.value.body, dict)
    assert ("resume_off", True) == (caught.value.body["reason"], caught.value.body["retryable"])


def test_models(client: OpenAI) -> None:
    assert {"chat", "alone"} == {model.id for model in client.models.list()}
    assert "chat" == client.models.retrieve("chat").id
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nothing-like-it")
