"""Every provider's way to say that it does not know a field."""

from __future__ import annotations

import pytest

from proxy.dialects.refused_field import OPTIONAL_FIELDS
from tests.dialects.provider_errors import C, anthropic, fail, forbidden, gemini, openai, xai

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
