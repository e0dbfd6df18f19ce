"""Whole answers of Bedrock as chat completions."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.failure import Failure, FailureClass
from proxy.dialects.bedrock.dialect import BEDROCK
from proxy.dialects.dialect import Reading
from proxy.dialects.failures import classify, classify_in_band
from tests.dialects.bedrock.oracle import check_answer
from tests.dialects.chat_oracle import JSON, READING, asked, completion, failed


def answer(*content: dict[str, Any], stop: str = "end_turn", **usage: int) -> bytes:
    body = {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": stop,
        "usage": {"inputTokens": 11, "outputTokens": 5, "totalTokens": 16, **usage},
        "metrics": {"latencyMs": 7},
    }
    check_answer(body)
    return json.dumps(body).encode()


def used(id_: str, name: str, input_: Any, **members: Any) -> dict[str, Any]:
    return {"toolUse": {"toolUseId": id_, "name": name, "input": input_, **members}}


def test_text() -> None:
    cited = {"citationsContent": {"content": [{"text": " there"}], "citations": []}}
    read = completion(BEDROCK.read(answer({"text": "Hello"}, cited), READING))

    assert ("chatcmpl-r4nd0m", 7, "asked") == (read.id, read.created, read.model)
    assert ("Hello there", "stop") == (read.choices[0].message.content, read.choices[0].finish_reason)
    assert (11, 5, 16) == (read.usage.prompt_tokens, read.usage.completion_tokens, read.usage.total_tokens)


def test_calls() -> None:
    reading = Reading("asked", "chatcmpl-r4nd0m", 7, {"the_weather_1": "the weather"})
    blocks = (used("c1", "the_weather_1", {"city": "Rome"}), used("c2", "now", {}))
    choice = completion(BEDROCK.read(answer({"text": "so"}, *blocks, stop="tool_use"), reading)).choices[0]

    heard = [(each.id, each.function.name, each.function.arguments) for each in choice.message.tool_calls]
    assert [("c1", "the weather", '{"city": "Rome"}'), ("c2", "now", "{}")] == heard
    assert ("so", "tool_calls") == (choice.message.content, choice.finish_reason)


# litellm#17254: what Amazon calls itself is nothing that the client could answer.
def test_calls_of_amazons_own_tools() -> None:
    block = used("c1", "search", {}, type="server_tool_use")
    choice = completion(BEDROCK.read(answer(block, {"text": "found"}, stop="tool_use"), READING)).choices[0]

    assert (None, "stop") == (choice.message.tool_calls, choice.finish_reason)


def test_thoughts_can_be_sent_back() -> None:
    signed = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}}
    hidden = {"reasoningContent": {"redactedContent": "QUJD"}}
    plain = {"reasoningContent": {"reasoningText": {"text": " well"}}}
    read = BEDROCK.read(answer(signed, hidden, plain, {"text": "so"}), READING)

    message = json.loads(read)["choices"][0]["message"]
    assert ("so", "hm well") == (message["content"], message["reasoning_content"])
    again = BEDROCK.write(asked({"messages": [{"role": "user", "content": "q"}, message]}, "anthropic.claude-opus-4-6"))
    assert [signed, hidden, {"text": "so"}] == json.loads(again.body[0])["messages"][1]["content"]


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
    ],
)
def test_finish_reasons(stop: str, expected: str) -> None:
    assert expected == completion(BEDROCK.read(answer({"text": "x"}, stop=stop), READING)).choices[0].finish_reason
    called = completion(BEDROCK.read(answer(used("c", "f", {}), stop=stop), READING)).choices[0].finish_reason
    assert ("tool_calls" if expected == "stop" else expected) == called


def test_usage_with_the_cache() -> None:
    usage = completion(
        BEDROCK.read(answer({"text": "x"}, cacheReadInputTokens=100, cacheWriteInputTokens=20), READING)
    ).usage

    assert (131, 5, 136) == (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
    assert {"cached_tokens": 100, "cache_write_tokens": 20} == usage.prompt_tokens_details.model_dump(exclude_none=True)


@pytest.mark.parametrize("stop", ["malformed_model_output", "malformed_tool_use"])
def test_output_of_no_use_is_a_failure(stop: str) -> None:
    assert (FailureClass.BAD_ANSWER, "in_band_error") == failed(BEDROCK.read(answer({"text": "x"}, stop=stop), READING))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_body"),
        (b"<html>busy</html>", "invalid_json"),
        (b'{"output":', "invalid_json"),
        (b"{}", "wrong_schema"),
        (b'{"output":{},"stopReason":"end_turn"}', "wrong_schema"),
        (b'{"output":{"message":{"content":[]}}}', "wrong_schema"),
        (b'{"output":{"message":{"content":[{"text":5}]}},"stopReason":"end_turn"}', "wrong_schema"),
        (b"[" * 100_000, "invalid_json"),
    ],
)
def test_what_is_no_answer(body: bytes, code: str) -> None:
    assert (FailureClass.BAD_ANSWER, code) == failed(BEDROCK.read(body, READING))


def test_an_error_in_disguise_comes_back() -> None:
    body = b'{"__type":"ThrottlingException","message":"Too many requests"}'

    assert body == BEDROCK.read(body, READING)
    assert FailureClass.RATE_LIMITED == classify_in_band("bedrock", body, 0).kind


@pytest.mark.parametrize(
    ("status", "type_", "message", "expected"),
    [
        (429, "ThrottlingException", "Too many tokens, please wait before trying again.", FailureClass.RATE_LIMITED),
        (429, "ModelNotReadyException", "", FailureClass.OVERLOADED),
        (503, "ServiceUnavailableException", "", FailureClass.OVERLOADED),
        (500, "InternalServerException", "", FailureClass.OVERLOADED),
        (424, "ModelErrorException", "", FailureClass.OVERLOADED),
        (408, "ModelTimeoutException", "", FailureClass.TIMEOUT),
        (403, "AccessDeniedException", "You don't have access to the model", FailureClass.MODEL_GONE),
        (403, "UnrecognizedClientException", "The security token is invalid", FailureClass.CREDENTIAL),
        (403, "ExpiredTokenException", "", FailureClass.CREDENTIAL),
        (404, "ResourceNotFoundException", "", FailureClass.MODEL_GONE),
        (400, "ServiceQuotaExceededException", "", FailureClass.QUOTA),
        (400, "ValidationException", "Input is too long for requested model.", FailureClass.CONTEXT_TOO_LONG),
        (400, "ValidationException", "messages: text content blocks must be non-empty", FailureClass.CALLER_FAULT),
    ],
)
def test_errors_with_a_status(status: int, type_: str, message: str, expected: FailureClass) -> None:
    headers = {"x-amzn-errortype": f"{type_}:http://internal.amazon.com/coral/"}

    assert expected == classify("bedrock", status, headers, json.dumps({"message": message}).encode(), 0).kind


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_garbage_is_a_failure(body: bytes) -> None:
    read = BEDROCK.read(body, READING)

    assert isinstance(read, Failure) or read == body


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(["text", "toolUse", "reasoningContent", "citationsContent"]), JSON)), JSON
)
def test_members_of_any_type(content: list[dict[str, Any]], usage: Any) -> None:
    body = {"output": {"message": {"content": content}}, "stopReason": "end_turn", "usage": usage}

    assert isinstance(BEDROCK.read(json.dumps(body).encode(), READING), bytes | Failure)
