"""The completions wire of old, and chat completions in its stead."""

from __future__ import annotations

import contextlib
import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion as SdkCompletion

from proxy.core.errors import ClientError
from proxy.core.failure import Failure
from proxy.core.wire import Wire
from proxy.dialects.chat_events import DONE, ChatEvents, read_chunks, usage_of
from proxy.dialects.client_wire import Speaking
from proxy.dialects.completions.wire import COMPLETIONS
from proxy.dialects.dialect import NotCarriedError, Reading
from proxy.dialects.openai.chat import Completion
from proxy.streams.event_view import SAYS, EventKind, EventView
from proxy.streams.sse import MAX_EVENT, EventFramer
from tests.dialects.responses.oracle import check_chat

USAGE = usage_of(3, 4)
CHAT = ChatEvents("chatcmpl-1", 1, "gpt")
READING = Reading("m", "chatcmpl-x", 1)


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "prompt": "Once", **fields}).encode()


def speaking(**fields: Any) -> Speaking:
    return Speaking(COMPLETIONS.parse(body(**fields)), "abc", 7)


# Requests


def test_a_request_is_understood() -> None:
    request = COMPLETIONS.parse(body(stream=True, n=2, stream_options={"include_usage": True}))

    assert ("m", True, True, 2, Wire.COMPLETIONS) == (
        request.model,
        request.stream,
        request.include_usage,
        request.choices,
        request.wire,
    )


@pytest.mark.parametrize(
    ("prompt", "n", "choices"),
    [("x", None, 1), (["x"], 3, 3), (["x", "y"], 2, 4), ([1, 2, 3], 2, 2), ([[1, 2], [3]], 1, 2), ([], 1, 1)],
)
def test_each_prompt_gets_its_answers(prompt: Any, n: int | None, choices: int) -> None:
    assert choices == COMPLETIONS.parse(body(prompt=prompt, n=n)).choices


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (b'{"prompt":"x"}', "model"),
        (b'{"model":"m"}', "prompt"),
        (b'{"model":"m","prompt":{}}', "prompt"),
        (b'{"model":"m","prompt":"x","stream":"yes"}', "stream"),
        (b'{"model":"m","prompt":"x","stream_options":1}', "stream_options"),
    ],
)
def test_a_wrong_request_is_told_by_its_field(raw: bytes, param: str) -> None:
    with pytest.raises(ClientError) as raised:
        COMPLETIONS.parse(raw)

    assert (400, param) == (raised.value.status, raised.value.param)
    assert param == json.loads(COMPLETIONS.error_body(raised.value, "r"))["error"]["param"]


def chat_of(**fields: Any) -> dict[str, Any]:
    chat = json.loads(msgspec.json.encode(COMPLETIONS.to_chat(COMPLETIONS.parse(body(**fields)))))
    check_chat(chat)
    return dict(chat)


def test_the_prompt_is_what_the_user_says() -> None:
    fields = {
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 5,
        "temperature": 0.5,
        "top_p": 0.9,
        "n": 2,
        "stop": ["\n"],
        "seed": 1,
        "user": "u",
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
    }
    expected = {"model": "m", "messages": [{"role": "user", "content": "Once"}], **fields}

    assert expected == chat_of(**fields, suffix="", echo=False, logprobs=None, best_of=2)
    assert expected == chat_of(**{**fields, "prompt": ["Once"]})


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"suffix": "end"}, "suffix"),
        ({"echo": True}, "echo"),
        ({"logprobs": 0}, "logprobs"),
        ({"best_of": 3}, "best_of"),
    ],
)
def test_what_has_no_counterpart_is_not_carried(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(NotCarriedError) as raised:
        chat_of(**fields)

    assert param == raised.value.param


values = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers() | st.text(), max_size=3)
)


@given(st.dictionaries(st.sampled_from(["prompt", "n", "echo", "suffix", "best_of", "stream"]), values))
def test_whatever_is_asked_nothing_else_is_raised(fields: dict[str, Any]) -> None:
    with contextlib.suppress(ClientError, NotCarriedError):
        COMPLETIONS.to_chat(COMPLETIONS.parse(body(**fields)))


# Answers for the client


def choice(index: int, message: dict[str, Any], finish: str | None = "stop") -> dict[str, Any]:
    return {"index": index, "message": message, "finish_reason": finish}


def completion_of(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = json.dumps({"id": "c", "model": "gpt", "choices": choices, **more}).encode()
    told = json.loads(COMPLETIONS.from_chat(answer, speaking()))
    SdkCompletion.model_validate(told)
    return dict(told)


def test_an_answer() -> None:
    told = completion_of(
        choice(0, {"content": " upon"}), choice(1, {"content": [{"type": "text", "text": "!"}]}, "length"), usage=USAGE
    )
    expected = {
        "id": "cmpl-abc",
        "object": "text_completion",
        "created": 7,
        "model": "gpt",
        "choices": [
            {"text": " upon", "index": 0, "logprobs": None, "finish_reason": "stop"},
            {"text": "!", "index": 1, "logprobs": None, "finish_reason": "length"},
        ],
        "usage": USAGE,
    }

    assert expected == told


@pytest.mark.parametrize(
    ("finish", "expected"),
    [("tool_calls", "stop"), (None, "stop"), ("content_filter", "content_filter"), ("model_length", "length")],
)
def test_finish_reasons_that_the_wire_does_not_know(finish: str | None, expected: str) -> None:
    assert expected == completion_of(choice(0, {"content": "x"}, finish))["choices"][0]["finish_reason"]


def test_a_refusal_is_a_text() -> None:
    assert "No." == completion_of(choice(0, {"content": None, "refusal": "No."}))["choices"][0]["text"]


def encoded(*events: bytes, **fields: Any) -> list[Any]:
    encoder = COMPLETIONS.encoder(speaking(stream=True, **fields))
    stream = b"".join(map(encoder.feed, events))
    told = [event.data for event in EventFramer().feed(stream) if event.data is not None]
    documents = [None if data == b"[DONE]" else json.loads(data) for data in told]
    for document in filter(None, documents):
        # The types know no event without a finish reason, which the API sends all the same.
        each = [{**one, "finish_reason": one["finish_reason"] or "stop"} for one in document["choices"]]
        SdkCompletion.model_validate({**document, "choices": each})
    return documents


def test_a_stream() -> None:
    asked = {"stream_options": {"include_usage": True}}
    events = encoded(
        CHAT.role(), CHAT.text(" up"), CHAT.text("on"), CHAT.finish("stop"), CHAT.usage(USAGE), DONE, **asked
    )

    assert [" up", "on", ""] == [event["choices"][0]["text"] for event in events[:3]]
    assert [None, None, "stop"] == [event["choices"][0]["finish_reason"] for event in events[:3]]
    assert ([], USAGE) == (events[3]["choices"], events[3]["usage"])
    assert events[4] is None
    assert {("cmpl-abc", "text_completion", 7, "gpt")} == {
        (event["id"], event["object"], event["created"], event["model"]) for event in events[:4]
    }


def test_the_usage_is_told_to_those_who_ask() -> None:
    events = encoded(CHAT.text("x"), CHAT.finish("stop"), CHAT.usage(USAGE), DONE)

    assert [1, 1] == [len(event["choices"]) for event in events[:-1]]


def test_several_choices_keep_their_indexes() -> None:
    second = CHAT.text("b").replace(b'"index":0', b'"index":1')
    events = encoded(CHAT.text("a"), second)

    assert [(0, "a"), (1, "b")] == [(event["choices"][0]["index"], event["choices"][0]["text"]) for event in events]


def test_thoughts_and_calls_are_not_told() -> None:
    assert [] == encoded(CHAT.role(), CHAT.reasoning("hm"), CHAT.call(0, "c", "f", "{}"))


def test_a_stream_that_breaks_ends_with_an_error() -> None:
    encoder = COMPLETIONS.encoder(speaking())
    error = encoder.error("It broke.", "stream_interrupted", reason="reset", retryable=True)

    assert "stream_interrupted" == json.loads(error.removeprefix(b"data: "))["error"]["code"]
    assert error == COMPLETIONS.broken("It broke.", "stream_interrupted", reason="reset", retryable=True)


@given(st.lists(st.text(max_size=5).map(CHAT.text), max_size=6), st.integers(0, 6))
def test_however_events_come_they_are_told_alike(events: list[bytes], cut: int) -> None:
    parts = [b"".join(events[:cut]), b"".join(events[cut:])]

    assert encoded(*events) == encoded(*parts)


# An upstream that speaks the wire itself


def answer(*texts: str | None, finish: str | None = "stop", **more: Any) -> bytes:
    choices = [{"text": text, "index": index, "finish_reason": finish} for index, text in enumerate(texts)]
    return json.dumps({"object": "text_completion", "choices": choices, **more}).encode()


@pytest.mark.parametrize(
    "raw",
    [
        answer("x"),
        answer("", "x"),
        answer("", finish="length"),
        answer(None, finish="content_filter"),
        answer("\ud83d"),
    ],
)
def test_answers(raw: bytes) -> None:
    read = COMPLETIONS.read(raw, "openai", 0.0)

    assert isinstance(read, Completion)
    assert (raw, None) == (read.body, read.usage)


def test_the_usage_of_an_answer() -> None:
    read = COMPLETIONS.read(answer("x", usage=USAGE), "openai", 0.0)

    assert isinstance(read, Completion)
    assert USAGE == json.loads(read.usage or b"")


def test_a_text_to_which_there_is_nothing_to_add() -> None:
    """Editors that complete code are told so at most keystrokes; it counted against the upstream."""
    assert isinstance(COMPLETIONS.read(answer(""), "vllm", 0.0), Completion)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "empty_body"),
        (b"<html>Welcome</html>", "invalid_json"),
        (b'{"choices":[{"text":"\xff"}]}', "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b"{}", "wrong_schema"),
        (b'{"choices":[{"text":5}]}', "wrong_schema"),
        (answer(), "empty_answer"),
        (answer("", finish=None), "empty_answer"),
        (answer("x", error={"message": "oops"}), "in_band_error"),
        (answer("x", finish="error"), "in_band_error"),
        (b'[{"error":{"message":"oops","code":500}}]', "in_band_error"),
    ],
)
def test_no_answers(raw: bytes, code: str) -> None:
    failure = COMPLETIONS.read(raw, "openai", 0.0)

    assert isinstance(failure, Failure)
    assert code == failure.code


@pytest.mark.parametrize(
    ("raw", "view"),
    [
        (answer("x", finish=None), SAYS),
        (answer("x", finish=""), SAYS),
        (answer("", finish=None), EventView(EventKind.NO_CONTENT, (0,))),
        (answer("x"), EventView(EventKind.CONTENT, (0,), (0,), may_be_empty=True)),
        (answer(""), EventView(EventKind.NO_CONTENT, (0,), (0,), may_be_empty=True)),
        (answer("", finish="length"), EventView(EventKind.NO_CONTENT, (0,), (0,), may_be_empty=True)),
        (answer("x", "y", finish=None), EventView(EventKind.CONTENT, (0, 1))),
        (answer(usage=USAGE), EventView(EventKind.USAGE)),
        (answer(), EventView(EventKind.NO_CONTENT)),
        (answer("x", finish="error"), EventView(EventKind.ERROR)),
        (b'{"error":{"message":"oops"}}', EventView(EventKind.ERROR)),
        (b"[DONE]", EventView(EventKind.DONE)),
        (b"{}", EventView(EventKind.MALFORMED)),
        (b"{", EventView(EventKind.MALFORMED)),
        (b'{"choices":[{"text":"\xff"}]}', EventView(EventKind.MALFORMED)),
    ],
)
def test_events(raw: bytes, view: EventView) -> None:
    assert view == COMPLETIONS.event_reader()(raw)


def test_text_that_goes_on_is_the_one_view_that_machines_are_quick_with() -> None:
    assert SAYS is COMPLETIONS.event_reader()(answer("x", finish=None))


def sse(*datas: bytes) -> bytes:
    return b"".join(b"data: " + data + b"\n\n" for data in datas)


STREAM = sse(
    answer("O", finish=None, id="cmpl-1", model="gpt"),
    answer("h.", finish=None),
    answer(""),
    answer(usage=USAGE),
    b"[DONE]",
)


def test_events_as_chat_events() -> None:
    chunks = read_chunks(COMPLETIONS.to_chat_events(READING).feed(STREAM))
    told = [each for each in chunks if each is not None and not isinstance(each, bytes)]
    texts = [each.choices[0].delta.content for each in told[:3] if each.choices and each.choices[0].delta]

    assert ["O", "h.", None] == texts
    assert "stop" == (told[2].choices or [])[0].finish_reason
    assert (USAGE, "cmpl-1", "gpt") == (told[3].usage, told[0].id, told[0].model)
    assert chunks[-1] is None


@given(st.lists(st.integers(0, len(STREAM)), max_size=6))
def test_wherever_the_bytes_are_cut_the_chat_events_are_the_same(cuts: list[int]) -> None:
    translator = COMPLETIONS.to_chat_events(READING)
    places = [0, *sorted(cuts), len(STREAM)]
    cut = b"".join(translator.feed(STREAM[start:end]) for start, end in pairwise(places)) + translator.end()

    assert COMPLETIONS.to_chat_events(READING).feed(STREAM) == cut


def test_an_error_ends_the_chat_events() -> None:
    out = COMPLETIONS.to_chat_events(READING).feed(sse(b'{"error":{"message":"oops"}}', b"[DONE]"))

    assert {"error": {"message": "oops"}} == json.loads(out.removeprefix(b"data: "))


def test_an_error_outside_of_the_data_is_one() -> None:
    """llama.cpp's builds of 2025."""
    out = COMPLETIONS.to_chat_events(READING).feed(b"error: oops\n\n")

    assert {"error": "oops"} == json.loads(out.removeprefix(b"data: "))


def test_an_event_that_is_too_large_is_malformed() -> None:
    translator = COMPLETIONS.to_chat_events(READING)

    assert b"data: malformed\n\n" == translator.feed(b"data: " + bytes(MAX_EVENT))
    assert b"" == translator.feed(b"\n\n")


def test_a_choice_without_a_message_has_no_text() -> None:
    assert "" == completion_of({"index": 0, "finish_reason": "stop"})["choices"][0]["text"]


def test_what_cannot_be_understood_is_malformed() -> None:
    assert b"data: malformed\n\n" == COMPLETIONS.to_chat_events(READING).feed(b"data: {\n\n")


@given(st.binary(max_size=60))
def test_hostile_bytes_never_raise(raw: bytes) -> None:
    COMPLETIONS.read(raw, "openai", 0.0)
    COMPLETIONS.event_reader()(raw)
    COMPLETIONS.to_chat_events(READING).feed(b"data: " + raw + b"\n\n")
    COMPLETIONS.from_chat(raw, speaking())
    COMPLETIONS.encoder(speaking()).feed(raw)
