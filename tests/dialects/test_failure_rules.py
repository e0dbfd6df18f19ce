"""Every provider's errors, as they arrive, and the class that each is."""

from __future__ import annotations

import json

import pytest

from proxy.core.failure import FailureClass
from proxy.dialects.failures import classify
from tests.dialects.provider_errors import (
    CURRENT_QUOTA,
    NOW,
    PAGE,
    TPM,
    C,
    anthropic,
    fail,
    gemini,
    llamacpp,
    mistral,
    openai,
    openrouter,
    quota_failure,
    xai,
)

TABLE: list[tuple[str, int, object, FailureClass]] = [
    # OpenAI
    ("openai", 429, openai("Rate limit reached for gpt-4o", "tokens", "rate_limit_exceeded"), C.RATE_LIMITED),
    ("openai", 429, openai("Slow down", "rate_limit_error", "slow_down"), C.RATE_LIMITED),
    ("openai", 429, openai(CURRENT_QUOTA, "insufficient_quota", "insufficient_quota"), C.QUOTA),
    ("openai", 429, openai(CURRENT_QUOTA, "insufficient_quota"), C.QUOTA),
    ("openai", 429, openai(CURRENT_QUOTA), C.QUOTA),
    ("openai", 429, openai("x", None, "billing_hard_limit_reached"), C.QUOTA),
    ("openai", 429, openai("x", None, "project_spend_limit_exceeded"), C.QUOTA),
    ("openai", 429, openai("x", "credit_balance_exhausted"), C.QUOTA),
    ("openai", 503, openai("x", "service_unavailable_error", "server_is_overloaded"), C.OVERLOADED),
    ("openai", 500, openai("The server had an error", "server_error"), C.OVERLOADED),
    ("openai", 502, PAGE, C.OVERLOADED),
    ("openai", 504, b"", C.TIMEOUT),
    ("openai", 524, PAGE, C.TIMEOUT),
    ("openai", 408, b"", C.TIMEOUT),
    ("openai", 409, openai("conflict"), C.OVERLOADED),
    ("openai", 425, b"too early", C.OVERLOADED),
    ("openai", 307, b"", C.UNKNOWN),
    ("openai", 302, PAGE, C.UNKNOWN),
    ("openai", 400, openai("x", "invalid_request_error", "context_length_exceeded", "messages"), C.CONTEXT_TOO_LONG),
    (
        "openai",
        400,
        openai("Your input tokens exceed the configured limit", "invalid_request_error"),
        C.CONTEXT_TOO_LONG,
    ),
    ("openai", 413, PAGE, C.CONTEXT_TOO_LONG),
    (
        "openai",
        401,
        openai("Incorrect API key provided: sk-x", "invalid_request_error", "invalid_api_key"),
        C.CREDENTIAL,
    ),
    ("openai", 403, openai("Country not supported", None, "unsupported_country_region_territory"), C.CREDENTIAL),
    ("openai", 403, openai("Project has no access to model", None, "model_not_found"), C.MODEL_GONE),
    ("openai", 404, openai("The model `x` does not exist", None, "model_not_found"), C.MODEL_GONE),
    ("openai", 404, PAGE, C.MODEL_GONE),
    ("openai", 404, openai("Response not found", None, "previous_response_not_found"), C.CALLER_FAULT),
    ("openai", 400, openai("x", "invalid_request_error", "content_policy_violation"), C.CONTENT_REFUSED),
    ("openai", 400, openai("x", "invalid_request_error", "invalid_prompt"), C.CONTENT_REFUSED),
    ("openai", 400, openai("Rejected as a result of our safety system."), C.CONTENT_REFUSED),  # litellm#5225
    ("openai", 400, openai("Invalid type for 'messages'", "invalid_request_error", "invalid_type"), C.CALLER_FAULT),
    ("openai", 418, b"", C.CALLER_FAULT),
    ("openai", 422, openai("Unprocessable"), C.CALLER_FAULT),
    ("openai", 405, b"", C.MODEL_GONE),
    ("openai", 501, b"", C.UNKNOWN),
    # Azure
    (
        "azure",
        429,
        openai("Requests exceeded the token rate limit. Please retry after 6 seconds.", None, "429"),
        C.RATE_LIMITED,
    ),
    ("azure", 403, {"statusCode": 403, "message": "Out of call volume quota. Replenished in 01:00:00."}, C.QUOTA),
    ("azure", 404, openai("The API deployment does not exist", None, "DeploymentNotFound"), C.MODEL_GONE),
    ("azure", 400, openai("The response was filtered", None, "content_filter", "prompt"), C.CONTENT_REFUSED),
    (
        "azure",
        400,
        {"error": {"message": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
        C.CONTENT_REFUSED,
    ),
    # Anthropic
    ("anthropic", 529, anthropic("overloaded_error", "Overloaded"), C.OVERLOADED),
    ("anthropic", 429, anthropic("rate_limit_error", "This request would exceed your rate limit"), C.RATE_LIMITED),
    ("anthropic", 429, anthropic("rate_limit_error", "x", "ramp_limit_exceeded"), C.RATE_LIMITED),
    ("anthropic", 429, anthropic("rate_limit_error", "x", "enforced_spend_limit_reached"), C.QUOTA),
    ("anthropic", 402, anthropic("billing_error", "x"), C.QUOTA),
    ("anthropic", 400, anthropic("invalid_request_error", "Your credit balance is too low to access the API"), C.QUOTA),
    (
        "anthropic",
        400,
        anthropic("invalid_request_error", "You have reached your specified API usage limits."),
        C.QUOTA,
    ),
    ("anthropic", 400, anthropic("invalid_request_error", "prompt is too long: 201 > 200"), C.CONTEXT_TOO_LONG),
    ("anthropic", 413, anthropic("request_too_large", "Request exceeds the maximum size"), C.CONTEXT_TOO_LONG),
    ("anthropic", 400, anthropic("invalid_request_error", "x", "organization_on_hold"), C.CREDENTIAL),
    ("anthropic", 401, anthropic("authentication_error", "invalid x-api-key"), C.CREDENTIAL),
    ("anthropic", 403, anthropic("permission_error", "x"), C.CREDENTIAL),
    ("anthropic", 404, anthropic("not_found_error", "model: claude-x"), C.MODEL_GONE),
    ("anthropic", 504, anthropic("timeout_error", "x"), C.TIMEOUT),
    (
        "anthropic",
        400,
        anthropic("invalid_request_error", "Output blocked by content filtering policy"),
        C.CONTENT_REFUSED,
    ),
    (
        "anthropic",
        400,
        anthropic("invalid_request_error", "This model does not support assistant message prefill"),
        C.PARAMETER_UNSUPPORTED,
    ),
    # Gemini
    (
        "gemini",
        429,
        gemini(429, "RESOURCE_EXHAUSTED", CURRENT_QUOTA, quota_failure("RequestsPerMinutePerModel")),
        C.RATE_LIMITED,
    ),
    ("gemini", 429, gemini(429, "RESOURCE_EXHAUSTED", CURRENT_QUOTA, quota_failure("RequestsPerDayPerModel")), C.QUOTA),
    ("gemini", 429, gemini(429, "RESOURCE_EXHAUSTED", CURRENT_QUOTA, quota_failure("APerMinute", "BPerDay")), C.QUOTA),
    ("gemini", 429, gemini(429, "RESOURCE_EXHAUSTED", CURRENT_QUOTA), C.RATE_LIMITED),
    ("gemini", 429, gemini(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."), C.QUOTA),
    ("gemini", 503, gemini(503, "UNAVAILABLE", "The model is overloaded."), C.OVERLOADED),
    ("gemini", 504, gemini(504, "DEADLINE_EXCEEDED", "Deadline expired"), C.TIMEOUT),
    ("gemini", 400, gemini(400, "INVALID_ARGUMENT", "API key not valid.", {"reason": "API_KEY_INVALID"}), C.CREDENTIAL),
    ("gemini", 400, gemini(400, "INVALID_ARGUMENT", "API key expired. Please renew."), C.CREDENTIAL),
    ("gemini", 400, gemini(400, "FAILED_PRECONDITION", "Please enable billing on your project"), C.QUOTA),
    (
        "gemini",
        400,
        gemini(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8)."),
        C.CONTEXT_TOO_LONG,
    ),
    # DeepSeek
    ("deepseek", 402, openai("Insufficient Balance", "unknown_error", "invalid_request_error"), C.QUOTA),
    ("deepseek", 400, openai("Model Not Exist", "invalid_request_error"), C.MODEL_GONE),
    ("deepseek", 400, openai("Content Exists Risk", "invalid_request_error"), C.CONTENT_REFUSED),
    ("deepseek", 400, openai("This model's maximum context length is 65536 tokens."), C.CONTEXT_TOO_LONG),
    # xAI
    ("xai", 400, xai("Client specified an invalid argument", "Incorrect API key provided: xa***"), C.CREDENTIAL),
    (
        "xai",
        400,
        xai("x", "This model's maximum prompt length is 9 but the request contains 10 tokens."),
        C.CONTEXT_TOO_LONG,
    ),
    ("xai", 403, xai("x", "Your team ran out of credits."), C.QUOTA),
    ("xai", 403, xai("x", "Content violates usage guidelines."), C.CONTENT_REFUSED),
    ("xai", 429, xai("Some resource has been exhausted", "Too many requests"), C.RATE_LIMITED),
    # Mistral
    ("mistral", 429, mistral("Requests rate limit exceeded", "rate_limited", "1300"), C.RATE_LIMITED),
    ("mistral", 429, mistral("You reached your monthly token limit", "x", "1"), C.QUOTA),
    ("mistral", 400, mistral("Invalid model: x", "invalid_model", "1500"), C.MODEL_GONE),
    (
        "mistral",
        400,
        mistral("Prompt has 9 tokens, too large for model with 8 maximum context length", "x", "3051"),
        C.CONTEXT_TOO_LONG,
    ),
    (
        "mistral",
        422,
        mistral({"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "x"}]}, "x", "1"),
        C.CALLER_FAULT,
    ),
    # Groq
    ("groq", 429, openai("Rate limit reached for model", "tokens", "rate_limit_exceeded"), C.RATE_LIMITED),
    ("groq", 413, openai(TPM, "tokens", "rate_limit_exceeded"), C.RATE_LIMITED),
    ("groq", 413, PAGE, C.RATE_LIMITED),
    ("groq", 498, openai("x", None, "capacity_exceeded"), C.OVERLOADED),
    ("groq", 498, b"", C.OVERLOADED),
    ("groq", 400, openai("x", "invalid_request_error", "model_decommissioned"), C.MODEL_GONE),
    ("groq", 400, openai("Failed to call a function", "invalid_request_error", "tool_use_failed"), C.BAD_ANSWER),
    # OpenRouter
    ("openrouter", 402, openrouter(402, "This request requires more credits"), C.QUOTA),
    ("openrouter", 400, openrouter(400, "x is not a valid model ID"), C.MODEL_GONE),
    ("openrouter", 400, openrouter(400, "x", error_type="token_limit_exceeded"), C.CONTEXT_TOO_LONG),
    ("openrouter", 502, openrouter(502, "x", error_type="provider_unavailable"), C.OVERLOADED),
    ("openrouter", 403, openrouter(403, "Your input was flagged", reasons=["violence"]), C.CONTENT_REFUSED),
    ("openrouter", 429, openrouter(429, "Provider returned error", raw="x is rate-limited upstream"), C.RATE_LIMITED),
    (
        "openrouter",
        400,
        openrouter(400, "Provider returned error", raw=json.dumps(openai("x", None, "content_filter"))),
        C.CONTENT_REFUSED,
    ),
    # Ollama, llama.cpp, vLLM
    ("ollama", 404, openai('model "x" not found, try pulling it first', "api_error"), C.MODEL_GONE),
    ("ollama", 503, {"error": "server busy, please try again. maximum pending requests exceeded"}, C.OVERLOADED),
    ("ollama", 500, {"error": "the input length exceeds the context length"}, C.CONTEXT_TOO_LONG),
    ("ollama", 429, {"error": "you've reached your hourly usage limit"}, C.QUOTA),
    ("ollama", 499, b"", C.UNKNOWN),
    ("llamacpp", 503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}, C.OVERLOADED),
    (
        "llamacpp",
        500,
        llamacpp(
            500,
            "server_error",
            "input (700 tokens) is too large to process. increase the physical batch size (current batch size: 512)",
        ),
        C.CONTEXT_TOO_LONG,
    ),
    (
        "llamacpp",
        500,
        llamacpp(
            500,
            "server_error",
            "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
        ),
        C.NOT_CARRIED,
    ),
    (
        "llamacpp",
        501,
        llamacpp(
            501,
            "not_supported_error",
            "This server does not support embeddings. Start it with `--embeddings`",
        ),
        C.NOT_CARRIED,
    ),
    (
        "llamacpp",
        500,
        llamacpp(500, "server_error", 'Failed to parse tools: Unsupported tool type: {"type":"custom"}'),
        C.NOT_CARRIED,
    ),
    (
        "llamacpp",
        400,
        llamacpp(400, "invalid_request_error", "unsupported content[].type"),
        C.NOT_CARRIED,
    ),
    (
        "llamacpp",
        500,
        llamacpp(500, "server_error", "Failed to parse messages: Missing 'role' in message: {}"),
        C.CALLER_FAULT,
    ),
    ("llamacpp", 500, llamacpp(500, "server_error", "Compute error."), C.OVERLOADED),
    (
        "llamacpp",
        400,
        {"error": {"code": 400, "message": "x", "type": "exceed_context_size_error", "n_ctx": 9}},
        C.CONTEXT_TOO_LONG,
    ),
    ("vllm", 401, {"error": "Unauthorized"}, C.CREDENTIAL),
    ("vllm", 404, openai("The model `x` does not exist.", "NotFoundError", 404), C.MODEL_GONE),
    (
        "vllm",
        400,
        openai("This model's maximum context length is 8 tokens.", "BadRequestError", 400),
        C.CONTEXT_TOO_LONG,
    ),
    ("vllm", 400, {"detail": "Unknown path"}, C.CALLER_FAULT),
    # Anyone
    ("openai", 400, openai("Decode server is overloaded"), C.OVERLOADED),  # cc-switch#2140
    ("openai", 400, {"errors": [{"message": "x", "code": "insufficient_balance"}]}, C.QUOTA),
    ("openai", 429, b"", C.RATE_LIMITED),  # agentgateway#1500: the status alone is enough
    ("openai", 503, b"", C.OVERLOADED),  # agentgateway#1087
    ("openai", 401, b"\xff\xfe", C.CREDENTIAL),
    ("", 530, PAGE, C.OVERLOADED),
    ("unheard-of", 429, openai("x", None, "insufficient_quota"), C.QUOTA),
]


@pytest.mark.parametrize(("kind", "status", "body", "expected"), TABLE)
def test_class(kind: str, status: int, body: object, expected: FailureClass) -> None:
    failure = fail(kind, status, body)
    assert failure.kind is expected
    assert failure.code == f"http_{status}"
    assert failure.status == status


BEDROCK = [
    (429, "ThrottlingException", "Too many requests", C.RATE_LIMITED),
    (429, "ModelNotReadyException:http://internal.amazon.com/", "Wait", C.OVERLOADED),
    (400, "ServiceQuotaExceededException", "x", C.QUOTA),
    (400, "ValidationException", "Input is too long for requested model.", C.CONTEXT_TOO_LONG),
    (400, "ValidationException", "Malformed input", C.CALLER_FAULT),
    (403, "AccessDeniedException", "You don't have access to the model with the specified model ID.", C.MODEL_GONE),
    (403, "ExpiredTokenException", "The security token is expired", C.CREDENTIAL),
    (408, "ModelTimeoutException", "x", C.TIMEOUT),
    (424, "ModelErrorException", "x", C.OVERLOADED),
    (404, "ResourceNotFoundException", "x", C.MODEL_GONE),
]


@pytest.mark.parametrize(("status", "errortype", "message", "expected"), BEDROCK)
def test_the_type_may_be_in_a_header(status: int, errortype: str, message: str, expected: FailureClass) -> None:
    failure = classify(
        "bedrock", status, {"x-amzn-errortype": errortype}, json.dumps({"message": message}).encode(), NOW
    )
    assert failure.kind is expected
    assert failure.error_type == errortype.split(":", maxsplit=1)[0]
