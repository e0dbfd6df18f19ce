"""What providers say when they fail: the one file of their status codes, error types, codes and wording.

All of it is data. `_CODES` and `_WORDING` are ordered lists of rules, of which the first that fits holds, and
`_STATUSES` says what a bare status means. The order in which the three are asked, and which words of an answer are the
provider's own, is in `failures.py`.

Sources: the providers' documentation and SDKs, and the public issues named at the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.core.failure import FailureClass

_C = FailureClass

NO_STATUS = 0
"""Stands for the status where the error came inside a 200."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of knowledge: everything that it names must hold. Empty means any."""

    kind: FailureClass
    names: frozenset[str] = frozenset()
    """Types, codes, status words and reasons, in lower case; one of them must be the error's."""
    words: tuple[str, ...] = ()
    """Wordings in lower case, one of which must be in the message; " .. " stands for anything in between."""
    statuses: frozenset[int] = frozenset()
    kinds: frozenset[str] = frozenset()
    """Provider kinds, where the same words mean something else elsewhere."""


def _codes(kind: FailureClass, names: str, kinds: str = "") -> Rule:
    return Rule(kind, names=frozenset(names.split()), kinds=frozenset(kinds.split()))


def _wording(kind: FailureClass, statuses: tuple[int, ...], *words: str, names: str = "") -> Rule:
    return Rule(kind, frozenset(names.split()), words, frozenset(statuses))


_CODES: tuple[Rule, ...] = (
    # Quota first: it arrives under the same statuses and types as a rate limit, and waiting a moment does not help.
    # OpenAI
    _codes(_C.QUOTA, "insufficient_quota billing_hard_limit_reached credit_balance_exhausted billing_not_active"),
    _codes(_C.QUOTA, "organization_spend_limit_exceeded project_spend_limit_exceeded"),
    _codes(_C.QUOTA, "organization_usage_limit_exceeded"),
    # Anthropic
    _codes(_C.QUOTA, "billing_error enforced_spend_limit_reached contract_spend_limit_reached"),
    # Gemini: QuotaFailure's quotaId, ErrorInfo's reason. Its message speaks of the "current quota" by minute, too.
    _codes(_C.QUOTA, "quota_per_day billing_disabled"),
    _codes(_C.RATE_LIMITED, "quota_per_minute"),
    # Bedrock; gateways such as one-api and LiteLLM
    _codes(_C.QUOTA, "servicequotaexceededexception"),
    _codes(_C.QUOTA, "insufficient_credits insufficient_balance insufficient_user_quota budget_exceeded"),
    # OpenAI; Azure; OpenRouter
    _codes(_C.CONTENT_REFUSED, "content_policy_violation invalid_prompt cyber_policy bio_policy"),
    _codes(_C.CONTENT_REFUSED, "content_filter responsibleaipolicyviolation"),
    _codes(_C.CONTENT_REFUSED, "refusal"),
    # OpenAI and Groq; Anthropic; OpenRouter; llama.cpp
    _codes(_C.CONTEXT_TOO_LONG, "context_length_exceeded string_above_max_length"),
    _codes(_C.CONTEXT_TOO_LONG, "request_too_large model_context_window_exceeded"),
    _codes(_C.CONTEXT_TOO_LONG, "token_limit_exceeded max_tokens_exceeded string_too_long", "openrouter"),
    _codes(_C.CONTEXT_TOO_LONG, "exceed_context_size_error"),
    # OpenAI; Anthropic, the second as 400; Gemini, as 400; Bedrock; Groq
    _codes(_C.CREDENTIAL, "invalid_api_key account_deactivated unsupported_country_region_territory"),
    _codes(_C.CREDENTIAL, "authentication_error organization_on_hold"),
    _codes(_C.CREDENTIAL, "api_key_invalid api_key_expired api_key_service_blocked unauthenticated"),
    _codes(_C.CREDENTIAL, "expiredtokenexception unrecognizedclientexception invalidsignatureexception"),
    _codes(_C.CREDENTIAL, "organization_restricted"),
    # OpenAI; Azure; Groq, as 400 and 403; Mistral, as 400
    _codes(_C.MODEL_GONE, "model_not_found"),
    _codes(_C.MODEL_GONE, "deploymentnotfound operationnotsupported"),
    _codes(_C.MODEL_GONE, "model_decommissioned model_terms_required model_permission_blocked_org"),
    _codes(_C.MODEL_GONE, "invalid_model 1500", "mistral"),
    # Groq, as 400: what the model itself got wrong while generating; an attempt elsewhere may well succeed.
    _codes(_C.BAD_ANSWER, "tool_use_failed json_validate_failed output_parse_failed"),
    # Gemini's own wire: reasons to finish, as its dialect tells them. Their messages quote the model.
    _codes(_C.BAD_ANSWER, "finish_malformed_function_call finish_malformed_response finish_missing_thought_signature"),
    _codes(_C.BAD_ANSWER, "finish_unexpected_tool_call finish_too_many_tool_calls finish_no_image finish_other"),
    _codes(_C.CREDENTIAL, "finish_pup_limited_disabled"),
    # Anthropic; Gemini; Bedrock
    _codes(_C.TIMEOUT, "timeout_error deadline_exceeded modeltimeoutexception"),
    # OpenAI; Anthropic, also inside streams; Gemini; OpenRouter; Groq's flex tier, as 498; llama.cpp while it loads
    _codes(_C.OVERLOADED, "server_is_overloaded service_unavailable_error engine_overloaded"),
    _codes(_C.OVERLOADED, "overloaded_error"),
    _codes(_C.OVERLOADED, "unavailable"),
    _codes(_C.OVERLOADED, "provider_overloaded provider_unavailable"),
    _codes(_C.OVERLOADED, "capacity_exceeded", "groq"),
    _codes(_C.OVERLOADED, "unavailable_error"),
    # Bedrock: the first as 429, the second as 424
    _codes(_C.OVERLOADED, "modelnotreadyexception modelerrorexception serviceunavailableexception"),
    _codes(_C.OVERLOADED, "modelstreamerrorexception internalserverexception"),
    # llama.cpp, as 501: it was started for something else than what is asked for
    _codes(_C.NOT_CARRIED, "not_supported_error"),
    # OpenAI: things that the client refers to, not the model
    _codes(_C.CALLER_FAULT, "previous_response_not_found file_not_found"),
)
"""Rules that read codes, asked first. Codes that are too vague to decide are among the last of `_WORDING`."""

_REFUSALS = (400, 401, 402, 403, 404, 422, 429, NO_STATUS)
_GATEWAY = (403, NO_STATUS)

_WORDING: tuple[Rule, ...] = (
    _wording(_C.RATE_LIMITED, (), "exceeded your current quota", names="resource_exhausted"),  # Gemini says so of both
    _wording(
        _C.QUOTA,
        _REFUSALS,
        "credit balance is too low",  # Anthropic, as 400 (litellm#37592)
        "specified api usage limits",  # Anthropic, as 400: the limit that the customer set
        "exceeded your current quota",  # OpenAI through gateways that lose the code
        "insufficient balance",  # DeepSeek, 402
        "insufficient credits",  # OpenRouter, 402
        "requires more credits",  # OpenRouter, 402
        "ran out of credits",  # xAI, 403 or 429
        "used all available credits",  # xAI
        "have any credits",  # xAI, 403, of new accounts
        "credits are depleted",  # Gemini, prepaid
        "enable billing",  # Gemini, 400 FAILED_PRECONDITION
        "spend limit",  # Groq, OpenAI
        "spending limit",  # xAI
        "monthly .. limit",  # Mistral, 429
        "out of call volume quota",  # Azure API Management, 403
        "usage limit",  # Ollama's cloud
    ),
    # After the quota's wording: gateways send these codes with both.
    _codes(_C.RATE_LIMITED, "rate_limit_exceeded rate_limit_error slow_down ramp_limit_exceeded"),  # OpenAI, Anthropic
    _codes(_C.RATE_LIMITED, "resource_exhausted throttlingexception too_many_requests"),  # Gemini, Bedrock
    _codes(_C.RATE_LIMITED, "1300 3505 service_tier_capacity_exceeded", "mistral"),
    _wording(
        _C.CREDENTIAL,
        (400, NO_STATUS),
        "incorrect api key",  # xAI, as 400
        "api key not valid",  # Gemini, as 400
        "invalid api key",
        "api key expired",  # Gemini
        "organization has been disabled",  # Anthropic, as 400
        "user location is not supported",  # Gemini, 400 FAILED_PRECONDITION
    ),
    _wording(
        _C.CONTEXT_TOO_LONG,
        (400, 413, 422, 500, NO_STATUS),
        "prompt is too long",  # Anthropic, Bedrock
        "exceed context limit",  # Anthropic
        "input is too long",  # Bedrock
        "too many input tokens",  # Bedrock
        "input tokens exceed",  # OpenAI
        "input token count .. exceeds the maximum number of tokens",  # Gemini
        "maximum context length",  # OpenAI, DeepSeek, vLLM, Mistral (litellm#31557)
        "maximum prompt length is",  # xAI
        "longer than the model's context length",  # sglang (litellm#10793)
        "exceeds the available context size",  # llama.cpp
        "increase the physical batch size",  # llama.cpp, as 500: a text to embed is read in one go
        "exceeds the context length",  # Ollama with truncate: false
        "exceeds the context window",
        "reduce the length of the messages",  # Groq
    ),
    # llama.cpp, which calls most of it an error of its own
    _wording(
        _C.NOT_CARRIED,
        (400, 500, NO_STATUS),
        "need to provide the mmproj",  # images and sound
        "unsupported content[].type",  # files
        "failed to parse tools",  # custom tools
    ),
    _wording(_C.CALLER_FAULT, (500,), "failed to parse messages"),
    _wording(
        _C.NOT_CARRIED,
        (400, 403, 404, 500, 501),
        "not allowed to generate embeddings from this model",  # OpenAI, as 403, of models that chat
        "does not support embeddings",  # Ollama, as 500
        "only supported in v1/responses",  # OpenAI, as 404, of a model that others ask at another path
        "not supported in the v1/chat/completions",  # OpenAI, as 404
        "not supported in the v1/completions",  # OpenAI, as 404
        "not supported with the responses api",  # OpenAI, as 400
    ),
    _wording(
        _C.CONTENT_REFUSED,
        (400, 403, 422, NO_STATUS),
        "content filtering policy",  # Anthropic
        "content management policy",  # Azure
        "safety system",  # OpenAI
        "violating our usage policy",  # OpenAI (litellm#5225)
        "content exists risk",  # DeepSeek
        "usage guidelines",  # xAI
        "content moderation",  # xAI
        "requires moderation",  # OpenRouter, 403
        "input was flagged",  # OpenRouter, 403
    ),
    _wording(_C.CONTENT_REFUSED, (403,), "moderation"),  # Mistral
    _wording(_C.CALLER_FAULT, (404,), "response with id .. not found", "conversation with id .. not found"),  # vLLM
    _wording(
        _C.MODEL_GONE,
        (400, 403, 404, 422, NO_STATUS),
        "model not exist",  # DeepSeek, as 400
        "is not a valid model id",  # OpenRouter, as 400
        "model .. does not exist",  # OpenAI, vLLM
        "try pulling it first",  # Ollama
        "access to the model",  # Bedrock, as 403: the key is good for other models
    ),
    _wording(
        _C.OVERLOADED,
        (400, 422, 429, NO_STATUS),
        "is overloaded",  # "Decode server is overloaded" as 400 (cc-switch#2140), Gemini's "The model is overloaded"
        "currently overloaded",
        "server busy",  # Ollama
        "service is temporarily unavailable",
        "loading model",  # llama.cpp
    ),
    _wording(_C.RATE_LIMITED, _GATEWAY, "rate limit", "too many requests"),
    _wording(_C.TIMEOUT, (NO_STATUS,), "timed out", "timeout"),
    # Too vague to overrule wording or a status, but all that there is inside a 200.
    Rule(_C.OVERLOADED, frozenset({"server_error", "api_error", "internal"}), statuses=frozenset({NO_STATUS})),
    Rule(_C.MODEL_GONE, frozenset({"not_found_error", "notfounderror"}), statuses=frozenset({NO_STATUS})),
    Rule(_C.CALLER_FAULT, frozenset({"invalid_request_error", "validationexception"}), statuses=frozenset({NO_STATUS})),
    # Groq's 413 is a request larger than the tokens per minute of the account, not than the window. Only a rate limit's
    # verdict fits: any next deployment may serve it, whatever its window, and nothing is charged.
    Rule(_C.RATE_LIMITED, statuses=frozenset({413}), kinds=frozenset({"groq"})),
)
"""Rules that read the error's message, with the codes that must yield to a message between them."""

_STATUSES: Mapping[int, FailureClass] = {
    401: _C.CREDENTIAL,
    402: _C.QUOTA,
    403: _C.CREDENTIAL,
    404: _C.MODEL_GONE,  # on a path that always exists: the model, or an address that has no such path at all
    405: _C.MODEL_GONE,  # the address is not a chat endpoint: as lasting, and as much the deployment's, as a 404
    408: _C.TIMEOUT,
    409: _C.OVERLOADED,  # a conflict or a too early request is none of the client's doing: try again
    410: _C.MODEL_GONE,
    413: _C.CONTEXT_TOO_LONG,
    424: _C.OVERLOADED,
    425: _C.OVERLOADED,
    429: _C.RATE_LIMITED,
    498: _C.OVERLOADED,  # Groq
    499: _C.UNKNOWN,  # "the client left", said to a client that has not left
    501: _C.UNKNOWN,  # waiting does not help, but nor is it the model's end
    504: _C.TIMEOUT,
    524: _C.TIMEOUT,  # Cloudflare
}
"""What a status means where nothing else is known; other 4xx are the client's fault, other 5xx an overload."""

_IN_BAND_STATUSES = frozenset({401, 402, 403, 404, 408, 413, 429, 498})
"""Statuses below 500 that a code inside a 200 may stand for. A bare 400 does not blame the client there: the request
had been accepted, and one more attempt elsewhere finds out."""


def class_by_code(kind: str, status: int, names: frozenset[str]) -> FailureClass | None:
    """What the types and codes of an error say outright; None where they leave it open.

    `kind` is the provider kind (`registry.py`), "" if unknown; `names` are in lower case.
    """
    return _first(_CODES, kind, status, names, "")


def class_by_wording(kind: str, status: int, names: frozenset[str], words: str) -> FailureClass | None:
    """What the wording says, and the codes that must yield to it; None where they leave it open.

    `words` is as much of the message as is the provider's own, in lower case.
    """
    return _first(_WORDING, kind, status, names, words)


def class_by_status(status: int) -> FailureClass:
    """What the status alone says. That is always enough."""
    if known := _STATUSES.get(status):
        return known
    if 400 <= status < 500:
        return _C.CALLER_FAULT
    # What is left below 400 is a redirect, which is never followed: a key must not travel.
    return _C.OVERLOADED if 500 <= status < 600 else _C.UNKNOWN


def class_by_named_status(status: int | None) -> FailureClass:
    """What the status says that an error inside a 200 names itself, if it names one."""
    if status is None or (status < 500 and status not in _IN_BAND_STATUSES):
        return _C.BAD_ANSWER
    return class_by_status(status)


def _first(rules: tuple[Rule, ...], kind: str, status: int, names: frozenset[str], words: str) -> FailureClass | None:
    for rule in rules:
        if (
            (not rule.names or rule.names & names)
            and (not rule.statuses or status in rule.statuses)
            and (not rule.kinds or kind in rule.kinds)
            and (not rule.words or any(_says(words, wording) for wording in rule.words))
        ):
            return rule.kind
    return None


def _says(message: str, wording: str) -> bool:
    place = 0
    for part in wording.split(" .. "):
        place = message.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return True
