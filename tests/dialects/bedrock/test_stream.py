"""Bedrock's streams as chat events."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.failure import FailureClass
from proxy.dialects.bedrock.dialect import BEDROCK
from proxy.dialects.chat_events import MALFORMED
from proxy.dialects.dialect import Reading, Translator
from proxy.dialects.failures import classify_in_band
from tests.dialects.bedrock.oracle import event, frame
from tests.dialects.chat_oracle import JSON, READING, Heard, chunks, data_of, told

CUTS = st.lists(st.integers(0, 4000), max_size=12)


def make() -> Translator:
    return BEDROCK.translator(READING)


def on(name: str, **payload: Any) -> bytes:
    # Amazon pads events, so that their length tells nothing.
    return event(name, payload, json.dumps(payload | {"p": "abcdef"}).encode())


def start(index: int = 0, **what: Any) -> bytes:
    return on("contentBlockStart", start=what, contentBlockIndex=index)


def used(id_: str, name: str, index: int = 0, **members: Any) -> bytes:
    return start(index, toolUse={"toolUseId": id_, "name": name, **members})


def delta(index: int = 0, **what: Any) -> bytes:
    return on("contentBlockDelta", delta=what, contentBlockIndex=index)


def piece(text: str, index: int = 0) -> bytes:
    return delta(index, toolUse={"input": text})


def stop(index: int = 0) -> bytes:
    return on("contentBlockStop", contentBlockIndex=index)


def ended(reason: str = "end_turn") -> bytes:
    return on("messageStop", stopReason=reason)


def metadata(**usage: int) -> bytes:
    told = {"inputTokens": 11, "outputTokens": 5, "totalTokens": 16, **usage}
    return on("metadata", usage=told, metrics={"latencyMs": 7})


BEGIN = on("messageStart", role="assistant")


def exception(name: str, **payload: Any) -> bytes:
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, json.dumps(payload).encode())


def test_text() -> None:
    events = told(make, BEGIN + delta(text="Hel") + delta(text="") + delta(text="lo") + stop() + ended() + metadata())
    read = chunks(events)

    assert "assistant" == read[0].choices[0].delta.role
    assert ("chatcmpl-r4nd0m", 7, "asked") == (read[0].id, read[0].created, read[0].model)
    heard = Heard(events)
    assert ("Hello", ["stop"], []) == (heard.text, heard.finish, heard.calls)
    assert ([], 11, 5) == (read[-1].choices, heard.usage.prompt_tokens, heard.usage.completion_tokens)


def test_usage_with_the_cache() -> None:
    whole = BEGIN + delta(text="x") + ended() + metadata(cacheReadInputTokens=100, cacheWriteInputTokens=20)
    usage = Heard(told(make, whole)).usage

    assert (131, 136, 100) == (usage.prompt_tokens, usage.total_tokens, usage.prompt_tokens_details.cached_tokens)


# litellm#16194: every call has an index of its own, whatever else stands between.
def test_calls() -> None:
    reading = Reading("asked", "chatcmpl-r4nd0m", 7, {"the_weather_1": "the weather"})
    whole = BEGIN + delta(text="so") + stop()
    whole += used("c1", "the_weather_1", 1) + piece('{"city":', 1) + piece("", 1) + piece('"Rome"}', 1) + stop(1)
    whole += used("c2", "now", 2) + stop(2) + ended("tool_use") + metadata()
    heard = Heard(told(lambda: BEDROCK.translator(reading), whole))

    expected = [
        {"id": "c1", "name": "the weather", "arguments": '{"city":"Rome"}'},
        {"id": "c2", "name": "now", "arguments": "{}"},
    ]
    assert (expected, "so", ["tool_calls"]) == (heard.calls, heard.text, heard.finish)


# litellm#17254: what Amazon calls itself is nothing that the client could answer.
def test_calls_of_amazons_own_tools() -> None:
    own = used("c1", "search", type="server_tool_use") + piece('{"q":1}') + stop()
    result = start(1, toolResult={"toolUseId": "c1"}) + delta(1, toolResult=[{"text": "x"}]) + stop(1)
    heard = Heard(told(make, BEGIN + own + result + delta(2, text="found") + stop(2) + ended("tool_use") + metadata()))

    assert ([], "found", ["stop"]) == (heard.calls, heard.text, heard.finish)


# litellm#16893: signatures are not lost, nor bound to the wrong thoughts.
def test_thoughts_can_be_sent_back() -> None:
    whole = BEGIN
    for index, word in enumerate(("one", "two")):
        whole += delta(index, reasoningContent={"text": word}) + delta(index, reasoningContent={"text": "!"})
        whole += delta(index, reasoningContent={"signature": f"sig-{word}"}) + stop(index)
    whole += delta(2, reasoningContent={"redactedContent": "QUJD"}) + stop(2)
    whole += delta(3, reasoningContent={"text": " unsigned"}) + stop(3) + delta(4, text="so") + ended() + metadata()
    heard = Heard(told(make, whole))

    expected = [
        {"type": "thinking", "thinking": "one!", "signature": "sig-one"},
        {"type": "thinking", "thinking": "two!", "signature": "sig-two"},
        {"type": "redacted_thinking", "data": "QUJD"},
    ]
    assert (expected, "one!two! unsigned", "so") == (heard.blocks, heard.thoughts, heard.text)


def test_the_usage_may_be_missing() -> None:
    heard = Heard(told(make, BEGIN + delta(text="x") + ended("max_tokens")))

    assert ("x", ["length"], None) == (heard.text, heard.finish, heard.usage)


# litellm#33404: a stream without its marker is no success.
def test_no_end_without_the_marker() -> None:
    whole = BEGIN + delta(text="x") + stop()
    assert b"[DONE]" not in told(make, whole + metadata())
    whole += ended()
    for end in range(len(whole)):
        assert b"[DONE]" not in told(make, whole[:end])


def test_nothing_counts_after_the_end() -> None:
    whole = BEGIN + delta(text="x") + ended() + metadata()

    assert told(make, whole) == told(make, whole + delta(text="more") + b"garbage" + exception("throttlingException"))


@pytest.mark.parametrize(
    ("name", "payload", "expected"),
    [
        ("throttlingException", {"message": "Too many tokens"}, FailureClass.RATE_LIMITED),
        ("internalServerException", {"message": "x"}, FailureClass.OVERLOADED),
        ("serviceUnavailableException", {}, FailureClass.OVERLOADED),
        ("modelStreamErrorException", {"message": "x", "originalStatusCode": 500}, FailureClass.OVERLOADED),
        ("modelTimeoutException", {"message": "x"}, FailureClass.TIMEOUT),
        ("validationException", {"message": "Input is too long for requested model."}, FailureClass.CONTEXT_TOO_LONG),
        ("validationException", {"message": "The format of the conversation is wrong"}, FailureClass.CALLER_FAULT),
        ("somethingNewException", {"message": "x"}, FailureClass.BAD_ANSWER),
    ],
)
def test_exceptions(name: str, payload: dict[str, Any], expected: FailureClass) -> None:
    *_, last = data_of(told(make, BEGIN + exception(name, **payload) + ended() + metadata()))

    assert {"type": name, "message": payload.get("message", "")} == json.loads(last)["error"]
    assert expected == classify_in_band("bedrock", last, 0).kind


def test_an_error_of_the_connection() -> None:
    headers = {":message-type": "error", ":error-code": "InternalError", ":error-message": "An internal\nerror"}

    (only,) = data_of(told(make, frame(headers, b"")))
    assert {"error": {"type": "InternalError", "message": "An internal\nerror"}} == json.loads(only)


def test_an_exception_after_the_stop() -> None:
    *_, last = data_of(told(make, BEGIN + ended() + exception("throttlingException", message="x")))

    assert b"error" in last


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_output_of_no_use_is_an_error(reason: str) -> None:
    *_, last = data_of(told(make, BEGIN + delta(text="x") + ended(reason) + metadata()))

    assert reason == json.loads(last)["error"]["type"]
    assert FailureClass.BAD_ANSWER == classify_in_band("bedrock", last, 0).kind


@pytest.mark.parametrize(("reason", "expected"), [("guardrail_intervened", "content_filter"), ("new", "stop")])
def test_finish_reasons(reason: str, expected: str) -> None:
    odd = frame({":message-type": "event", ":event-type": "messageStop"}, json.dumps({"stopReason": reason}).encode())

    assert [expected] == Heard(told(make, BEGIN + odd + metadata())).finish


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b'{"delta": 5}', b"\xff", b"[" * 100_000])
def test_what_is_malformed(payload: bytes) -> None:
    before = BEGIN + delta(text="x")
    odd = frame({":message-type": "event", ":event-type": "contentBlockDelta"}, payload)

    assert told(make, before) + MALFORMED == told(make, before + odd + ended() + metadata())


def test_a_corrupt_frame() -> None:
    before = BEGIN + delta(text="x")

    assert told(make, before) + MALFORMED == told(make, before + delta(text="y")[:-1] + b"\x00" + ended() + metadata())
    assert MALFORMED == told(make, b'{"message": "not a stream"}')


def test_events_of_later_versions_are_skipped() -> None:
    new = frame({":message-type": "event", ":event-type": "somethingNew"}, b'{"x":1}')

    assert "x" == Heard(told(make, BEGIN + new + delta(text="x") + new + ended() + new + metadata())).text


def test_half_a_surrogate_pair() -> None:
    odd = frame({":message-type": "event", ":event-type": "contentBlockDelta"}, b'{"delta":{"text":"a\\ud83d"}}')

    assert "a\ufffd" == Heard(told(make, BEGIN + odd + ended() + metadata())).text


TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5)


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3), max_size=3), CUTS)
def test_any_split_says_the_same(texts: list[str], calls: list[list[str]], cuts: list[int]) -> None:
    whole = BEGIN + b"".join(delta(text=text) for text in texts) + stop()
    for number, parts in enumerate(calls):
        whole += used(f"c{number}", f"f{number}", number + 1) + b"".join(piece(part) for part in parts) + stop()
    whole += ended() + metadata()
    events = told(make, whole, cuts)

    assert told(make, whole) == events
    heard = Heard(events)
    assert "".join(texts) == heard.text
    expected = [
        {"id": f"c{number}", "name": f"f{number}", "arguments": "".join(parts) or "{}"}
        for number, parts in enumerate(calls)
    ]
    assert expected == heard.calls


NAMES = st.sampled_from(
    ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "other"]
)
MEMBERS = st.dictionaries(st.sampled_from(["start", "delta", "stopReason", "usage", "message"]), JSON)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(NAMES, MEMBERS | JSON), max_size=5), st.binary(max_size=30), CUTS)
def test_garbage_never_raises(odd: list[tuple[str, Any]], tail: bytes, cuts: list[int]) -> None:
    whole = BEGIN + b"".join(
        frame({":message-type": "event", ":event-type": name}, json.dumps(payload).encode()) for name, payload in odd
    )

    assert told(make, whole + tail) == told(make, whole + tail, cuts)
    data_of(told(make, whole + tail))
