"""Whole answers of Ollama as chat completions."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ollama import ChatResponse

from proxy.core.failure import Failure, FailureClass
from proxy.dialects.dialect import Reading
from proxy.dialects.failures import classify_in_band
from proxy.dialects.ollama.dialect import OLLAMA
from tests.dialects.chat_oracle import JSON, READING, completion, failed


def answer(message: dict[str, Any], **members: Any) -> bytes:
    body = {
        "model": "qwen3:8b",
        "created_at": "2026-08-01T10:00:00.5Z",
        "message": {"role": "assistant", "content": "", **message},
        "done": True,
        "done_reason": "stop",
        "total_duration": 5_000_000,
        "prompt_eval_count": 11,
        "eval_count": 5,
        **members,
    }
    ChatResponse.model_validate(body)
    return json.dumps(body).encode()


def call(name: str, arguments: Any, **members: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}, **members}


def test_text() -> None:
    read = completion(OLLAMA.read(answer({"content": "Hello \U0001f600", "thinking": "hm"}), READING))

    assert ("chatcmpl-r4nd0m", 7, "qwen3:8b", "chat.completion") == (read.id, read.created, read.model, read.object)
    choice = read.choices[0]
    assert ("Hello \U0001f600", "hm") == (choice.message.content, choice.message.reasoning_content)  # type: ignore[attr-defined]
    assert ("stop", None, None) == (choice.finish_reason, choice.logprobs, choice.message.tool_calls)
    assert (11, 5, 16) == (read.usage.prompt_tokens, read.usage.completion_tokens, read.usage.total_tokens)


# litellm#18922, #34692: Ollama says `stop` after calls.
def test_calls() -> None:
    calls = [call("weather", {"city": "Rome", "n": 1.0}), call("now", {}, id="call_own")]
    reading = Reading("asked", "chatcmpl-r4nd0m", 7, {"weather": "the weather"})
    choice = completion(OLLAMA.read(answer({"tool_calls": calls}), reading)).choices[0]

    assert "tool_calls" == choice.finish_reason
    assert None is choice.message.content
    heard = [(each.id, each.function.name, each.function.arguments) for each in choice.message.tool_calls]
    assert [("call_r4nd0m_0", "the weather", '{"city": "Rome", "n": 1.0}'), ("call_own", "now", "{}")] == heard


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("stop", "stop"), ("length", "length"), ("load", "stop"), ("unload", "stop"), ("", "stop"), ("new", "stop")],
)
def test_finish_reasons(reason: str, expected: str) -> None:
    read = completion(OLLAMA.read(answer({"content": "x"}, done_reason=reason), READING))

    assert expected == read.choices[0].finish_reason


def test_calls_cut_by_the_cap() -> None:
    read = completion(OLLAMA.read(answer({"tool_calls": [call("f", {})]}, done_reason="length"), READING))

    assert "length" == read.choices[0].finish_reason


def test_usage_of_a_prompt_that_was_known() -> None:
    told = json.loads(answer({"content": "x"}))
    del told["prompt_eval_count"]
    usage = completion(OLLAMA.read(json.dumps(told).encode(), READING)).usage
    assert (0, 5, 5) == (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)

    del told["eval_count"]
    assert None is completion(OLLAMA.read(json.dumps(told).encode(), READING)).usage


def test_logprobs() -> None:
    told = [{"token": "é", "logprob": -0.5, "top_logprobs": [{"token": "e", "logprob": -1.5}]}]
    read = completion(OLLAMA.read(answer({"content": "é"}, logprobs=told), READING)).choices[0].logprobs

    assert ("é", [195, 169], -0.5) == (read.content[0].token, read.content[0].bytes, read.content[0].logprob)
    assert ("e", [101], -1.5) == (
        read.content[0].top_logprobs[0].token,
        read.content[0].top_logprobs[0].bytes,
        read.content[0].top_logprobs[0].logprob,
    )


@pytest.mark.parametrize("arguments", ['{"a":1}', None, ""])
def test_arguments_of_gateways(arguments: object) -> None:
    body = json.loads(answer({}))
    body["message"]["tool_calls"] = [call("f", arguments)]
    read = completion(OLLAMA.read(json.dumps(body).encode(), READING))

    assert (arguments or "{}") == read.choices[0].message.tool_calls[0].function.arguments


def test_an_error_in_disguise_comes_back() -> None:
    body = b'{"error":"the prompt exceeds the context length of the model"}'

    assert body == OLLAMA.read(body, READING)
    assert FailureClass.CONTEXT_TOO_LONG == classify_in_band("ollama", body, 0).kind


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_body"),
        (b" \n", "empty_body"),
        (b"<html>busy</html>", "invalid_json"),
        (b'{"message":', "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        (b"{}", "wrong_schema"),
        (b"[]", "wrong_schema"),
        (b'{"message":{"content":5},"done":true}', "wrong_schema"),
        (b'{"message":{"content":"x"},"done":false}', "wrong_schema"),
        (b"[" * 100_000, "invalid_json"),
    ],
)
def test_what_is_no_answer(body: bytes, code: str) -> None:
    assert (FailureClass.BAD_ANSWER, code) == failed(OLLAMA.read(body, READING))


def test_half_a_surrogate_pair() -> None:
    body = answer({"content": "HERE"}).replace(b"HERE", b"a\\ud83d")

    assert "a\ufffd" == completion(OLLAMA.read(body, READING)).choices[0].message.content


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_garbage_is_a_failure(body: bytes) -> None:
    read = OLLAMA.read(body, READING)

    assert isinstance(read, Failure) or read == body


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["content", "thinking", "tool_calls"]), JSON), JSON, JSON)
def test_members_of_any_type(message: dict[str, Any], logprobs: Any, count: Any) -> None:
    body = {"message": message, "done": True, "logprobs": logprobs, "eval_count": count}

    assert isinstance(OLLAMA.read(json.dumps(body).encode(), READING), bytes | Failure)
