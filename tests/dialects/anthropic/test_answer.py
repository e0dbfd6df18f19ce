"""Whole answers of Messages as chat completions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.failure import Failure, FailureClass
from proxy.dialects.anthropic.dialect import ANTHROPIC
from proxy.dialects.dialect import Reading
from proxy.dialects.openai.chat import Completion, read_answer
from proxy.dialects.registry import Quirks
from tests.dialects.anthropic.oracle import READING, answer, message_of, read, text

ANSWER = Reading("claude-asked", "chatcmpl-own", 1_700_000_000, {"answer": ""})


def use(name: str = "look", id_: str = "toolu_1", **given: object) -> dict[str, object]:
    return {"type": "tool_use", "id": id_, "name": name, "input": given}


def finish_of(body: object, reading: Reading = READING) -> object:
    return read(body, reading)["choices"][0]["finish_reason"]


def failure_of(body: bytes) -> Failure:
    found = ANTHROPIC.read(body, READING)
    assert isinstance(found, Failure)
    return found


def test_a_whole_answer() -> None:
    found = read(answer(text("Hello"), text(" world")))

    message = {"role": "assistant", "content": "Hello world", "refusal": None}
    expected = {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "claude-answering",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }
    assert expected == found


def test_what_the_answer_does_not_tell_is_what_was_asked() -> None:
    body = {"content": [text("a")], "stop_reason": "end_turn"}

    found = read(body)

    assert ("chatcmpl-own", "claude-asked") == (found["id"], found["model"])
    assert "usage" not in found


@pytest.mark.parametrize(
    ("stop_reason", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("compaction", "length"),
        ("pause_turn", "length"),
        ("refusal", "content_filter"),
        ("not_known_yet", "stop"),
    ],
)
def test_stop_reasons(stop_reason: str, expected: str) -> None:
    assert expected == finish_of(answer(text("a"), stop_reason=stop_reason))


@pytest.mark.parametrize("stop_reason", ["error", "malformed_model_output", "malformed_tool_use"])
def test_stop_reasons_that_are_failures_are_read_as_such(stop_reason: str) -> None:
    found = ANTHROPIC.read(json.dumps(answer(text("a"), stop_reason=stop_reason)).encode(), READING)

    assert isinstance(found, bytes)
    assert isinstance(read_answer(found, Quirks()), Failure)


def test_litellm_33404_a_stop_reason_is_never_invented() -> None:
    assert "wrong_schema" == failure_of(json.dumps(answer(text("a"), stop_reason=None)).encode()).code


def test_calls_have_compact_arguments_and_no_content() -> None:
    found = read(answer(use(city="Paris", n=[1, 2**70]), use("hear", "toolu_2"), stop_reason="tool_use"))

    (choice,) = found["choices"]
    calls = [
        (each["id"], each["function"]["name"], each["function"]["arguments"])
        for each in choice["message"]["tool_calls"]
    ]
    arguments = '{"city":"Paris","n":[1,1180591620717411303424]}'
    assert [("toolu_1", "look", arguments), ("toolu_2", "hear", "{}")] == calls
    assert (None, "tool_calls") == (choice["message"]["content"], choice["finish_reason"])


def test_tools_have_the_names_that_the_client_gave_them() -> None:
    reading = Reading("m", "i", 1, {"a_b": "a.b"})

    assert "a.b" == message_of(answer(use("a_b"), stop_reason="tool_use"), reading)["tool_calls"][0]["function"]["name"]


def test_the_input_of_the_answer_tool_is_the_answer() -> None:
    body = answer(text("I answer: "), use("answer", a=1), stop_reason="tool_use")

    message = message_of(body, ANSWER)
    assert ('{"a":1}', None) == (message["content"], message.get("tool_calls"))
    assert "stop" == finish_of(body, ANSWER)
    assert "length" == finish_of({**body, "stop_reason": "max_tokens"}, ANSWER)


def test_calls_beside_it_are_calls() -> None:
    body = answer(use("look"), stop_reason="tool_use")

    assert ("tool_calls", 1) == (finish_of(body, ANSWER), len(message_of(body, ANSWER)["tool_calls"]))


def test_thoughts_are_reasoning_and_kept_with_their_signatures() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    hidden = {"type": "redacted_thinking", "data": "xyz"}

    message = message_of(answer(thought, hidden, text("a")))

    assert ("hm", "a", [thought, hidden]) == (
        message["reasoning_content"],
        message["content"],
        message["thinking_blocks"],
    )


def test_litellm_17254_what_the_provider_calls_itself_is_no_call() -> None:
    called = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "a"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}

    message = message_of(answer(called, found, text("a")))

    assert ([called, found], "a") == (message["server_blocks"], message["content"])
    assert "tool_calls" not in message


def test_citations_are_kept() -> None:
    cited = {"type": "char_location", "cited_text": "x"}

    assert [cited] == message_of(answer({**text("a"), "citations": [cited]}, {**text("b"), "citations": None}))[
        "citations"
    ]


def test_a_refusal_says_why() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "No."}
    body = answer(stop_reason="refusal", stop_details=details)

    assert ("No.", None) == (message_of(body)["refusal"], message_of(body)["content"])
    assert "content_filter" == finish_of(body)
    assert None is message_of(answer(stop_reason="refusal", stop_details=None))["refusal"]


def test_future_agi_1122_the_prompt_counts_what_was_cached() -> None:
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 1000,
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 3},
    }

    expected = {
        "prompt_tokens": 1110,
        "completion_tokens": 7,
        "total_tokens": 1117,
        "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 1000},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert expected == read(answer(text("a"), usage=usage))["usage"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}',
        b'\n{"error":"model is loading"}',
        b'{"content":[{"type":"text","text":"a"}],"stop_reason":"end_turn","error":{"message":"cut"}}',
        b'[{"error":{"code":429,"message":"slow down"}}]',
    ],
)
def test_an_error_in_disguise_goes_back_as_it_came(body: bytes) -> None:
    assert body == ANTHROPIC.read(body, READING)
    assert "in_band_error" == getattr(read_answer(body, Quirks()), "code", None)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_body"),
        (b" \n", "empty_body"),
        (b"\xef\xbb\xbf", "empty_body"),
        (b"<html><h1>Bad gateway</h1>", "invalid_json"),
        (b'{"content":[', "invalid_json"),
        (b'{"content":["\xff"],"stop_reason":"end_turn"}', "invalid_json"),
        (b"[]", "wrong_schema"),
        (b'"hi"', "wrong_schema"),
        (b"{}", "wrong_schema"),
        (b'{"type":"error"}', "wrong_schema"),
        (b'{"content":"hi","stop_reason":"end_turn"}', "wrong_schema"),
        (b'{"content":[1],"stop_reason":"end_turn"}', "wrong_schema"),
        (b'{"object":"chat.completion","choices":[]}', "wrong_schema"),
        (b"[" * 100_000, "invalid_json"),
        (b'{"content":[{"type":"tool_use","input":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}]}", "invalid_json"),
    ],
)  # fmt: skip
def test_what_is_no_answer(body: bytes, code: str) -> None:
    failure = failure_of(body)

    assert (FailureClass.BAD_ANSWER, code) == (failure.kind, failure.code)


def test_a_page_says_what_it_is() -> None:
    assert "Bad gateway" in failure_of(b"<html><h1>Bad gateway</h1>").message


def test_halves_of_surrogate_pairs_pass() -> None:
    body = json.dumps(answer(text("a \ud83d"), use(a="\ud83d"), stop_reason="tool_use")).encode()

    found = ANTHROPIC.read(body, READING)

    assert isinstance(found, bytes)
    message = json.loads(found)["choices"][0]["message"]
    assert "a \ud83d" == message["content"]
    assert {"a": "\ud83d"} == json.loads(message["tool_calls"][0]["function"]["arguments"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
BLOCKS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "thinking", "redacted_thinking", "tool_use", "server_tool_use"]) | JSON},
    optional=dict.fromkeys(("text", "thinking", "signature", "data", "id", "name", "input", "citations"), JSON),
)
ANSWERS = st.fixed_dictionaries(
    {"content": st.lists(BLOCKS | JSON, max_size=4) | JSON},
    optional={
        **dict.fromkeys(("id", "model", "usage", "stop_details", "error"), JSON),
        "type": st.just("message") | JSON,
        "stop_reason": st.sampled_from(["end_turn", "tool_use", "refusal"]) | JSON,
    },
)


@given(ANSWERS | JSON)
def test_nothing_that_a_server_answers_raises(body: Any) -> None:
    found = ANTHROPIC.read(json.dumps(body).encode(), ANSWER)

    if isinstance(found, bytes):
        assert isinstance(read_answer(found, Quirks()), Completion | Failure)


@given(st.binary())
def test_nor_do_bytes(body: bytes) -> None:
    assert isinstance(ANTHROPIC.read(body, READING), bytes | Failure)
