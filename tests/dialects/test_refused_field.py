"""Every provider's way to say that it does not know a field, or does not go on with an answer."""

from __future__ import annotations

import json

import pytest

from proxy.dialects.failures import classify_in_band
from proxy.dialects.refused_field import OPTIONAL_FIELDS
from proxy.streams.resume import PREFILL
from tests.dialects.provider_errors import NOW, C, anthropic, fail, forbidden, gemini, mistral, openai, openrouter, xai

PARAMETERS: list[tuple[str, int, object, str | None]] = [
    (
        "openai",
        400,
        openai(
            "Unsupported parameter: 'max_tokens' is not supported with this model.",
            None,
            "unsupported_parameter",
            "max_tokens",
        ),
        "max_tokens",
    ),
    (
        "openai",
        400,
        openai("Unsupported value: 'temperature' does not support 0.2", None, "unsupported_value", "temperature"),
        "temperature",
    ),
    ("openai", 400, openai("Unrecognized request argument supplied: verbosity"), "verbosity"),
    ("openai", 400, openai("Unsupported parameter: 'logprobs'."), "logprobs"),
    ("openai", 400, openai("x", None, "unsupported_parameter", "stream_options.include_usage"), "stream_options"),
    (
        "azure",
        422,
        {"detail": [{"type": "extra_forbidden", "loc": ["body", "max_completion_tokens"], "msg": "x"}]},
        "max_completion_tokens",
    ),
    (
        "mistral",
        422,
        {"object": "error", "message": forbidden("body", "logit_bias"), "type": "x", "code": None},
        "logit_bias",
    ),
    ("mistral", 422, forbidden("body", "random_seed"), "seed"),
    (
        "anthropic",
        400,
        anthropic("invalid_request_error", "`temperature` is deprecated for this model."),
        "temperature",
    ),
    (
        "anthropic",
        400,
        anthropic("invalid_request_error", "`temperature` and `top_p` cannot both be specified for this model."),
        "top_p",
    ),
    ("anthropic", 400, anthropic("invalid_request_error", "store: Extra inputs are not permitted"), "store"),
    ("xai", 400, xai("x", "Argument not supported on this model: presencePenalty"), "presence_penalty"),
    ("xai", 400, xai("x", "Model grok-4 does not support parameter reasoningEffort."), "reasoning_effort"),
    (
        "gemini",
        400,
        gemini(400, "INVALID_ARGUMENT", 'Invalid JSON payload received. Unknown name "store": Cannot find field.'),
        "store",
    ),
    ("groq", 400, openai("'logprobs' is not supported with this model"), "logprobs"),
    ("groq", 400, openai("property 'metadata' is unsupported"), "metadata"),
    ("groq", 400, openai("reasoning_effort is not supported with this model"), "reasoning_effort"),
    ("deepseek", 400, openai("Failed to deserialize the JSON body: unknown field `service_tier`"), "service_tier"),
    ("ollama", 400, {"error": '"qwen" does not support thinking'}, "reasoning_effort"),
    # Not optional: the answer would be one to another question.
    ("openai", 400, openai("Unsupported parameter: 'tools'", None, "unsupported_parameter", "tools"), None),
    ("openai", 400, openai("x", None, "unsupported_value", "messages[0].role"), None),
    ("xai", 400, xai("x", "Model grok-4 does not support parameter stop."), None),
    ("mistral", 422, forbidden("body", "messages", 0, "user"), None),
    ("anthropic", 400, anthropic("invalid_request_error", "messages.0.metadata: Extra inputs are not permitted"), None),
    ("ollama", 400, {"error": "model does not support tools"}, None),
    # A value out of range is the client's business.
    ("openai", 400, openai("max_tokens is too large: 9", None, "invalid_value", "max_tokens"), None),
]


@pytest.mark.parametrize(("kind", "status", "body", "field"), PARAMETERS)
def test_refused_field(kind: str, status: int, body: object, field: str | None) -> None:
    failure = fail(kind, status, body)
    if field is None:
        assert failure.kind is C.CALLER_FAULT
    else:
        assert failure.kind is C.PARAMETER_UNSUPPORTED
        assert failure.param == field


def test_fields_that_carry_the_question_are_never_optional() -> None:
    assert not OPTIONAL_FIELDS & {
        "model",
        "messages",
        "tools",
        "tool_choice",
        "response_format",
        "n",
        "stop",
        "modalities",
        "audio",
        "stream",
    }


NO_PREFILL = "This model does not support assistant message prefill. The conversation must end with a user message."
NO_MODEL_TURN = "Requests ending with a model turn are not supported"
LAST_ROLE = "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant"
THINKS = "Assistant response prefill is incompatible with enable_thinking."
PREFIX_MODE = (
    "The last message of deepseek-reasoner must be a user message, or an assistant message with prefix mode on "
    "(refer to https://api-docs.deepseek.com/guides/chat_prefix_completion)."
)
NO_THOUGHTS = (
    "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `text`. When `thinking` is "
    "enabled, a final `assistant` message must start with a thinking block."
)
NOT_IN_TEMPLATE = (
    "continue_final_message is set but the final message does not appear in the chat after applying the chat template! "
    "This can happen if the chat template deletes portions of the final message."
)
PREFILLS: list[tuple[str, int, object]] = [
    ("anthropic", 400, anthropic("invalid_request_error", NO_PREFILL)),
    ("anthropic", 400, anthropic("invalid_request_error", "claude-opus-4-6 does not support prefill.")),
    ("anthropic", 400, anthropic("invalid_request_error", "The conversation must end with a user message.")),
    ("anthropic", 400, anthropic("invalid_request_error", NO_THOUGHTS)),
    ("gemini", 400, gemini(400, "INVALID_ARGUMENT", NO_MODEL_TURN + ".")),
    ("gemini", 400, gemini(400, "INVALID_ARGUMENT", NO_MODEL_TURN + " unless the last part is a function response.")),
    ("llamacpp", 400, {"error": {"code": 400, "message": THINKS, "type": "invalid_request_error"}}),
    ("llamacpp", 500, {"error": {"code": 500, "message": THINKS, "type": "server_error"}}),  # builds of 2025
    ("llamacpp", 400, openai("Cannot have 2 or more assistant messages at the end of the list.")),
    ("llamacpp", 400, openai("Cannot continue an assistant message that contains tool calls.")),
    ("mistral", 400, mistral(LAST_ROLE, "invalid_request_message_order", "3230")),
    ("mistral", 422, {"object": "error", "message": {"detail": LAST_ROLE}, "type": "invalid_request_error"}),
    ("vllm", 400, openai("Cannot set both `continue_final_message` and `add_generation_prompt` to True.")),
    ("vllm", 400, openai("Cannot set both `add_generation_prompt` and `continue_final_message` to True.")),
    (
        "vllm",
        400,
        openai("Cannot set `add_generation_prompt` to True when the last message is from the assistant.", None, 400),
    ),
    ("vllm", 400, openai(NOT_IN_TEMPLATE, "BadRequestError", 400)),
    ("vllm", 400, openai("Expected last role User or Tool (or Assistant with prefix or continue_final_message set)")),
    ("deepseek", 400, openai(PREFIX_MODE, "invalid_request_error", "invalid_request_error")),
    ("openai", 400, openai("Last message must have role `user`.")),
    ("openai", 400, {"message": "When using tools, pre-filling the `assistant` response is not supported."}),
    ("openrouter", 400, openrouter(400, "Provider returned error", raw=json.dumps(anthropic("x", NO_PREFILL)))),
    ("simulated", 400, openai(NO_PREFILL, "invalid_request_error")),
]


@pytest.mark.parametrize(("kind", "status", "body"), PREFILLS)
def test_refused_prefill(kind: str, status: int, body: object) -> None:
    for failure in (fail(kind, status, body), classify_in_band(kind, json.dumps(body).encode(), NOW)):
        assert C.PARAMETER_UNSUPPORTED is failure.kind
        assert PREFILL == failure.param


NO_PREFILLS: list[tuple[int, object, C]] = [
    # A page is not the words of a model, and other statuses mean what they mean.
    (400, NO_PREFILL.encode(), C.CALLER_FAULT),
    (429, openai(NO_PREFILL), C.RATE_LIMITED),
    (503, openai(NO_PREFILL), C.OVERLOADED),
    (500, openai("The server had an error while it processed the last message", "server_error"), C.OVERLOADED),
    # The words of a prompt, far behind those of the upstream.
    (400, openai("Invalid type for 'messages[1].content': " + "x" * 240 + NO_PREFILL), C.CALLER_FAULT),
    (400, openai("messages: at least one message must be from the user"), C.CALLER_FAULT),
    (400, openai("messages: final assistant content cannot end with trailing whitespace"), C.CALLER_FAULT),
    (400, openai("messages.1: `tool_use` ids were found without `tool_result` blocks"), C.CALLER_FAULT),
    (400, openai("This model's maximum context length is 8 tokens; shorten the last message"), C.CONTEXT_TOO_LONG),
]


@pytest.mark.parametrize(("status", "body", "expected"), NO_PREFILLS)
def test_what_is_no_refused_prefill(status: int, body: object, expected: C) -> None:
    failure = fail("openai", status, body)
    assert expected is failure.kind
    assert failure.param is None


def test_a_prefill_is_no_field() -> None:
    assert PREFILL not in OPTIONAL_FIELDS
