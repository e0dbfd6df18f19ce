"""The numbers in refusals for length, in the words of each provider."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.failure import FailureClass
from proxy.dialects.context_hints import ContextHint, context_hint
from proxy.dialects.error_text import read_error
from proxy.dialects.failures import classify

SENTENCES = {
    "This model's maximum prompt length is 131072 but the request contains 200123 tokens.": ContextHint(200123, 131072),
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens. Please reduce "
    "the length of the messages.": ContextHint(9001, 8192),
    "This model's maximum context length is 8192 tokens. However, you requested 9500 tokens (9001 in the messages, 499 "
    "in the completion).": ContextHint(9001, 8192),
    "This model's maximum context length is 4096 tokens. However, your request has 5000 input tokens.": ContextHint(
        5000, 4096
    ),
    "Input length (5000) exceeds model's maximum context length (4096).": ContextHint(5000, 4096),
    "The input (5000 tokens) is longer than the model's context length (4096 tokens).": ContextHint(5000, 4096),
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).": ContextHint(
        1200000, 1048576
    ),
    "Prompt has 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length": ContextHint(
        40000, 32768
    ),
    "Prompt contains 40000 tokens, too large for model with 32768 maximum context length": ContextHint(40000, 32768),
    "prompt is too long: 208,310 tokens > 200,000 maximum": ContextHint(208310, 200000),
    "the request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it": ContextHint(
        5000, 4096
    ),
    "This model's maximum context length is 65536 tokens.": ContextHint(None, 65536),
    "the input length exceeds the context length": ContextHint(),
}


@pytest.mark.parametrize("message", SENTENCES)
def test_sentences(message: str) -> None:
    assert SENTENCES[message] == hint_of({"error": {"message": message}})


def hint_of(document: object) -> ContextHint:
    return context_hint(read_error(json.dumps(document).encode()))


def test_llamacpp_sends_them_as_members() -> None:
    error = {"code": 400, "message": "too long", "type": "exceed_context_size_error"}

    assert ContextHint(5000, 4096) == hint_of({"error": {**error, "n_prompt_tokens": 5000, "n_ctx": 4096}})
    assert ContextHint(None, 4096) == hint_of({"error": {**error, "n_ctx": 4096, "n_prompt_tokens": "many"}})


@pytest.mark.parametrize("n_ctx", [True, -1, 0, 10**30, "4096", None, [4096], 4096.5])
def test_what_is_no_count_says_nothing(n_ctx: object) -> None:
    assert ContextHint() == hint_of({"error": {"message": "x", "n_ctx": n_ctx}})


def test_a_failure_for_its_length_carries_them_and_no_other_does() -> None:
    body = json.dumps({"error": {"message": "prompt is too long: 208310 tokens > 200000 maximum"}}).encode()
    long = classify("anthropic", 400, {}, body, 0.0)
    busy = classify("openai", 401, {}, json.dumps({"error": {"code": "invalid_api_key", "n_ctx": 5}}).encode(), 0.0)

    assert (FailureClass.CONTEXT_TOO_LONG, 208310, 200000) == (long.kind, long.prompt, long.window)
    assert (FailureClass.CREDENTIAL, None, None) == (busy.kind, busy.prompt, busy.window)


@given(st.text())
def test_no_text_raises(message: str) -> None:
    hint = hint_of({"error": {"message": message}})

    assert all(number is None or number > 0 for number in hint)
