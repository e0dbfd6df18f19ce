"""Ollama's streams as chat events."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ollama import ChatResponse

from proxy.core.failure import FailureClass
from proxy.dialects.chat_events import MALFORMED
from proxy.dialects.dialect import Translator
from proxy.dialects.failures import classify_in_band
from proxy.dialects.ollama.dialect import OLLAMA
from proxy.streams.sse import MAX_EVENT
from tests.dialects.chat_oracle import JSON, READING, WORDS, Heard, chunks, data_of, told


def make() -> Translator:
    return OLLAMA.translator(READING)


def line(message: dict[str, Any] | None = None, **members: Any) -> bytes:
    body = {"model": "qwen3:8b", "created_at": "2026-08-01T10:00:00.5Z"}
    body |= {"message": {"role": "assistant", "content": "", **(message or {})}, "done": False, **members}
    ChatResponse.model_validate(body)
    return json.dumps(body).encode() + b"\n"


def done(reason: str = "stop", message: dict[str, Any] | None = None, **members: Any) -> bytes:
    return line(message, done=True, done_reason=reason, prompt_eval_count=11, eval_count=5, **members)


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}}


def test_text() -> None:
    events = told(make, line({"thinking": "hm"}) + line({"content": "Hel"}) + line({"content": "lo"}) + done())
    read = chunks(events)

    assert "assistant" == read[0].choices[0].delta.role
    assert ("chatcmpl-r4nd0m", 7, "qwen3:8b") == (read[0].id, read[0].created, read[0].model)
    assert ([], 16) == (read[-1].choices, read[-1].usage.total_tokens)
    heard = Heard(events)
    assert ("Hello", "hm", ["stop"], []) == (heard.text, heard.thoughts, heard.finish, heard.calls)
    assert (11, 5) == (heard.usage.prompt_tokens, heard.usage.completion_tokens)


# litellm#18922, #34692, #16194: `stop` after calls, which are spread over lines and must not share an index.
def test_calls() -> None:
    first = line({"tool_calls": [call("weather", city="Rome"), call("now")]})
    heard = Heard(told(make, first + line({"tool_calls": [call("weather", city="Oslo")]}) + done()))

    expected = [
        {"id": "call_r4nd0m_0", "name": "weather", "arguments": '{"city": "Rome"}'},
        {"id": "call_r4nd0m_1", "name": "now", "arguments": "{}"},
        {"id": "call_r4nd0m_2", "name": "weather", "arguments": '{"city": "Oslo"}'},
    ]
    assert (expected, ["tool_calls"]) == (heard.calls, heard.finish)


def test_a_call_in_the_last_line() -> None:
    heard = Heard(told(make, done(message={"content": "so", "tool_calls": [call("now")]})))

    assert ("so", 1, ["tool_calls"]) == (heard.text, len(heard.calls), heard.finish)


def test_the_cap() -> None:
    assert ["length"] == Heard(told(make, line({"content": "x"}) + done("length"))).finish


@pytest.mark.parametrize("reason", ["load", "unload"])
def test_nothing_but_loading_says_nothing(reason: str) -> None:
    heard = Heard(told(make, line(done=True, done_reason=reason)))

    assert ("", [], ["stop"], None) == (heard.text, heard.calls, heard.finish, heard.usage)


def test_logprobs() -> None:
    likely = [{"token": "a", "logprob": -0.5}]
    heard = Heard(told(make, line({"content": "a"}, logprobs=likely) + line({"content": "b"}) + done()))

    assert ("ab", ["a"]) == (heard.text, [token.token for token in heard.logprobs])


def test_the_last_line_may_lack_its_end() -> None:
    assert "x" == Heard(told(make, line({"content": "x"}) + done().rstrip())).text
    assert "x" == Heard(told(make, (line({"content": "x"}) + b"\n" + done()).replace(b"\n", b"\r\n"))).text


# litellm#33404: a stream without its marker is no success.
def test_no_end_without_the_marker() -> None:
    whole = line({"content": "x"}) + done()
    for end in range(len(whole) - 2):
        assert b"[DONE]" not in told(make, whole[:end])
    assert 2 == len(data_of(told(make, line({"content": "x"}))))


def test_nothing_counts_after_the_end() -> None:
    ended = told(make, done())

    assert ended == told(make, done() + line({"content": "more"}) + b"garbage\n")


@pytest.mark.parametrize("before", [b"", line({"content": "x"})])
def test_an_error(before: bytes) -> None:
    error = b'{"error": "llama runner process has terminated"}'
    for end in (b"\n", b"\r\n", b""):
        *_, last = data_of(told(make, before + error + end + done() * bool(end)))
        assert error == last
    assert FailureClass.BAD_ANSWER == classify_in_band("ollama", error, 0).kind


@pytest.mark.parametrize(
    "odd", [b"garbage\n", b"[]\n", b'{"message": 5}\n', b'{"done": "yes"}\n', b"\xff\n", b"[" * 100_000 + b"\n", b"{\n"]
)
def test_what_is_malformed(odd: bytes) -> None:
    assert told(make, line({"content": "x"})) + MALFORMED == told(make, line({"content": "x"}) + odd + done())


def test_a_line_without_end() -> None:
    translator = make()
    piece = b"x" * 65536
    events = b"".join(translator.feed(piece) for _ in range(MAX_EVENT // len(piece) + 2))

    assert MALFORMED == events + translator.feed(piece) + translator.end()


def test_half_a_surrogate_pair() -> None:
    assert "a\ufffd" == Heard(told(make, line({"content": "HERE"}).replace(b"HERE", b"a\\udc00") + done())).text


MESSAGES = st.fixed_dictionaries({}, optional={"content": st.text(), "thinking": st.text(), "tool_calls": st.lists(
    st.builds(call, WORDS, a=JSON), max_size=2)})  # fmt: skip
CUTS = st.lists(st.integers(0, 3000), max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(MESSAGES, max_size=6), CUTS)
def test_any_split_says_the_same(messages: list[dict[str, Any]], cuts: list[int]) -> None:
    stream = b"".join(line(message) for message in messages) + done()
    events = told(make, stream, cuts)

    assert told(make, stream) == events
    heard = Heard(events)
    assert "".join(message.get("content", "") for message in messages).encode("utf-8", "replace") == heard.text.encode(
        "utf-8", "replace"
    )
    called = [each["function"] for message in messages for each in message.get("tool_calls", [])]
    assert [each["name"] for each in called] == [each["name"] for each in heard.calls]
    assert [each["arguments"] for each in called] == [json.loads(each["arguments"]) for each in heard.calls]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode() + b"\n"), max_size=6), CUTS)
def test_garbage_never_raises(garbage: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(garbage)

    assert told(make, stream) == told(make, stream, cuts)
    assert b"[DONE]" not in told(make, stream)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["message", "done", "done_reason", "error", "eval_count", "logprobs"]), JSON))
def test_members_of_any_type(body: dict[str, Any]) -> None:
    data_of(told(make, json.dumps(body).encode() + b"\n" + line({"content": "x"}) + done()))
