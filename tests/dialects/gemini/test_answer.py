"""Whole answers as chat completions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.core.failure import Failure, FailureClass
from proxy.dialects.dialect import Reading
from proxy.dialects.gemini.dialect import GEMINI
from proxy.dialects.openai.chat import Completion
from proxy.dialects.openai.chat import read_answer as judge
from proxy.dialects.registry import Quirks
from tests.dialects.gemini.wire import MODEL, READING, SIGNATURE, call, completion, event, usage

PLAIN = Quirks()


def judged(response: object) -> Completion | Failure:
    """What the caller takes it for."""
    body = response if isinstance(response, bytes) else json.dumps(response).encode()
    read = GEMINI.read(body, READING)
    return read if isinstance(read, Failure) else judge(read, PLAIN, "gemini", 0.0)


def test_an_answer() -> None:
    answer = completion(
        event({"text": "Hello"}, {"text": " there"}, finish="STOP", usageMetadata=usage(3, 2), responseId="r1",
              modelVersion="gemini-3.8-flash-001")
    )  # fmt: skip

    assert {
        "id": "r1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gemini-3.8-flash-001",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello there", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    } == answer


def test_what_the_answer_does_not_tell_is_known_otherwise() -> None:
    answer = completion(event({"text": "x"}))

    assert ("chatcmpl-abc", MODEL) == (answer["id"], answer["model"])
    assert "stop" == answer["choices"][0]["finish_reason"]
    assert "usage" not in answer


def message(*parts: object, finish: str = "STOP", reading: Reading = READING) -> tuple[dict[str, Any], str]:
    choice = completion(event(*parts, finish=finish), reading)["choices"][0]
    return choice["message"], choice["finish_reason"]


def test_thoughts_are_reasoning() -> None:
    found, _ = message({"text": "hm", "thought": True}, {"text": "so"}, {"text": "!", "thoughtSignature": SIGNATURE})

    assert ("hm", "so!") == (found["reasoning_content"], found["content"])


def test_calls_of_tools() -> None:
    reading = Reading(MODEL, "chatcmpl-abc", 1, {"_1_f": "1 f"})
    found, finish = message(
        call("_1_f", {"x": [1, 2.5]}, id="c1", thoughtSignature=SIGNATURE), call("g"), reading=reading
    )

    assert "tool_calls" == finish
    assert None is found["content"]
    assert [
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "1 f", "arguments": '{"x":[1,2.5]}'},
            "extra_content": {"google": {"thought_signature": SIGNATURE}},
        },
        {"id": "call_abc_1", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ] == found["tool_calls"]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("CONTINUATION", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("LANGUAGE", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("FINISH_REASON_UNSPECIFIED", "stop"),
    ],
)
def test_why_an_answer_ends(reason: str, finish: str) -> None:
    assert finish == message({"text": "x"}, finish=reason)[1]


def test_a_reason_that_nobody_knows_yet_is_a_stop() -> None:
    answer = {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "BORED"}]}

    assert "stop" == completion(answer)["choices"][0]["finish_reason"]


def test_a_call_that_was_cut_is_still_cut() -> None:
    assert "length" == message(call("f"), finish="MAX_TOKENS")[1]


def test_a_refusal_says_why() -> None:
    choice = completion(event(finish="SAFETY", message="not this"))["choices"][0]

    assert ("content_filter", "not this") == (choice["finish_reason"], choice["message"]["refusal"])


@pytest.mark.parametrize(
    "reason",
    ["MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE", "UNEXPECTED_TOOL_CALL", "OTHER"],
)
def test_a_malformed_answer_is_a_failure_whatever_the_model_wrote(reason: str) -> None:
    failure = judged(event({"text": "x"}, finish=reason, message="print(rate limit exceeded, api key not valid)"))

    assert isinstance(failure, Failure)
    assert (FailureClass.BAD_ANSWER, "in_band_error") == (failure.kind, failure.code)
    assert reason in failure.message


def test_an_account_that_is_disabled() -> None:
    failure = judged(event(finish="PUP_LIMITED_DISABLED"))

    assert isinstance(failure, Failure) and FailureClass.CREDENTIAL is failure.kind


def test_a_refused_prompt_is_refused_everywhere_and_blames_nobody() -> None:
    failure = judged({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": usage(3, 0)})

    assert isinstance(failure, Failure) and FailureClass.CONTENT_REFUSED is failure.kind
    assert "Gemini: the prompt was refused (PROHIBITED_CONTENT)" == failure.message


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}}, FailureClass.OVERLOADED),
        ([{"error": {"code": 429, "message": "x", "status": "RESOURCE_EXHAUSTED"}}], FailureClass.RATE_LIMITED),
        ({}, FailureClass.BAD_ANSWER),
        ({"candidates": []}, FailureClass.BAD_ANSWER),
        ({"candidates": 5}, FailureClass.BAD_ANSWER),
        (event(finish="STOP"), FailureClass.BAD_ANSWER),
        (event({"text": ""}, finish="STOP"), FailureClass.BAD_ANSWER),
        (b"", FailureClass.BAD_ANSWER),
        (b"<html>", FailureClass.BAD_ANSWER),
        (b'{"candidates": [{"content": {"parts": [{"text": "\xff"}]}}]}', FailureClass.BAD_ANSWER),
        (b'{"candidates":[{"content":{"parts":[{"functionCall":{"args":{"a":"\xff"}}}]}}]}', FailureClass.BAD_ANSWER),
        (b"[" * 100_000, FailureClass.BAD_ANSWER),
    ],
)  # fmt: skip
def test_what_is_no_answer(body: object, kind: FailureClass) -> None:
    failure = judged(body)

    assert isinstance(failure, Failure) and kind is failure.kind


def test_an_empty_answer_that_was_cut_is_one() -> None:
    assert isinstance(judged(event(finish="MAX_TOKENS")), Completion)
    assert isinstance(judged(event(finish="SAFETY")), Completion)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (
            usage(10, 4, cachedContentTokenCount=6, thoughtsTokenCount=20, toolUsePromptTokenCount=5),
            {
                "prompt_tokens": 15, "completion_tokens": 24, "total_tokens": 39,
                "prompt_tokens_details": {"cached_tokens": 6}, "completion_tokens_details": {"reasoning_tokens": 20},
            },
        ),
        ({"promptTokenCount": 7}, {"prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 7}),
        ({"promptTokenCount": -1, "candidatesTokenCount": 10**40}, None),
        ({"promptTokenCount": True, "candidatesTokenCount": "4"}, None),
        ({}, None),
        (None, None),
        ([], None),
    ],
)  # fmt: skip
def test_the_usage(metadata: object, expected: object) -> None:
    answer = {"candidates": [{"content": {"parts": [{"text": "x"}]}}], "usageMetadata": metadata}

    assert expected == completion(answer).get("usage")


def test_an_image_is_shown_in_the_text() -> None:
    found, _ = message({"text": "Look: "}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}},
                       {"inlineData": {"mimeType": "audio/wav", "data": "UklG"}})  # fmt: skip

    assert "Look: ![image](data:image/png;base64,iVBORw==)" == found["content"]


def test_halves_of_surrogate_pairs_do_no_harm() -> None:
    found, _ = message({"text": "\ud83d a \ud83d\ude00"}, call("f", {"x": "\ude00"}))

    assert "\ufffd a 😀" == found["content"]
    assert {"x": "\ufffd"} == json.loads(found["tool_calls"][0]["function"]["arguments"])
