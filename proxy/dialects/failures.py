"""What an upstream's error means: the only file that knows providers' status codes, error types, codes and wording.

The knowledge is data. `_CODES` and `_WORDING` are ordered lists of rules, `_STATUSES` says what a bare status means,
and `refused_field.py` which fields may be left out of a request, and how the beginning of an answer is refused. The
order in which they are asked is in `_class_of`: codes are exact, wording is less so (and may quote the prompt), the
status alone is always enough.

Sources: the providers' documentation and SDKs, and the public issues named at the rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.core.failure import Failure, FailureClass
from proxy.dialects.bound import BOUND, EXTENSIONS, IN_MESSAGES, misses_thoughts, refuses_bound, refuses_extensions
from proxy.dialects.context_hints import ContextHint, context_hint
from proxy.dialects.error_text import ErrorText, read_error
from proxy.dialects.refused_field import OPTIONAL_FIELDS, refused_field, refuses_prefill
from proxy.dialects.wait_hints import wait_of
from proxy.streams.resume import PREFILL

__all__ = ["IN_BAND", "OPTIONAL_FIELDS", "PREFILL", "classify", "classify_in_band"]

_C = FailureClass

IN_BAND = "in_band_error"
"""The trail code of an error inside a 200."""
_NO_STATUS = 0
"""Stands for the status in rules where the error came inside a 200."""
MAX_MESSAGE = 500
"""Characters of `Failure.message`."""


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

_REFUSALS = (400, 401, 402, 403, 404, 422, 429, _NO_STATUS)
_BAD = (400, 422, _NO_STATUS)
_PREFILL_REFUSALS = (*_BAD, 500)  # older llama.cpp calls it an error of the server's
_BOUND_REFUSALS = (*_BAD, 404)  # OpenAI, of items that it does not keep
_GATEWAY = (403, _NO_STATUS)

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
        (400, _NO_STATUS),
        "incorrect api key",  # xAI, as 400
        "api key not valid",  # Gemini, as 400
        "invalid api key",
        "api key expired",  # Gemini
        "organization has been disabled",  # Anthropic, as 400
        "user location is not supported",  # Gemini, 400 FAILED_PRECONDITION
    ),
    _wording(
        _C.CONTEXT_TOO_LONG,
        (400, 413, 422, 500, _NO_STATUS),
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
        (400, 500, _NO_STATUS),
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
        (400, 403, 422, _NO_STATUS),
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
        (400, 403, 404, 422, _NO_STATUS),
        "model not exist",  # DeepSeek, as 400
        "is not a valid model id",  # OpenRouter, as 400
        "model .. does not exist",  # OpenAI, vLLM
        "try pulling it first",  # Ollama
        "access to the model",  # Bedrock, as 403: the key is good for other models
    ),
    _wording(
        _C.OVERLOADED,
        (*_BAD, 429),
        "is overloaded",  # "Decode server is overloaded" as 400 (cc-switch#2140), Gemini's "The model is overloaded"
        "currently overloaded",
        "server busy",  # Ollama
        "service is temporarily unavailable",
        "loading model",  # llama.cpp
    ),
    _wording(_C.RATE_LIMITED, _GATEWAY, "rate limit", "too many requests"),
    _wording(_C.TIMEOUT, (_NO_STATUS,), "timed out", "timeout"),
    # Too vague to overrule wording or a status, but all that there is inside a 200.
    Rule(_C.OVERLOADED, frozenset({"server_error", "api_error", "internal"}), statuses=frozenset({_NO_STATUS})),
    Rule(_C.MODEL_GONE, frozenset({"not_found_error", "notfounderror"}), statuses=frozenset({_NO_STATUS})),
    Rule(
        _C.CALLER_FAULT, frozenset({"invalid_request_error", "validationexception"}), statuses=frozenset({_NO_STATUS})
    ),
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

_WAITS = frozenset({_C.RATE_LIMITED, _C.OVERLOADED, _C.QUOTA})
_TELLING = re.compile("limit|retry|reset|errortype", re.IGNORECASE)
"""In the names of headers that may say something about a failure."""
_MOST_KNOWN = 256
_MOST_KNOWN_BYTES = 2048
_known: dict[tuple[str, int, bytes], Failure] = {}
"""Failures that say nothing of time, by kind, status and body: the last few."""
_OF_THIS_REQUEST = re.compile(r"unsupported value|.{0,120}\bexpected [`'\"]?thinking\b", re.IGNORECASE)
"""A field that is refused for what else the request holds says nothing about other requests."""
_OF_ONE = frozenset({BOUND, IN_MESSAGES})
_QUOTE = re.compile(r"""(?<!\w)(["'`“])[^"'`”]*? [^"'`”]*? [^"'`”]*(?:["'`”]|$)""")
_OWN_WORDS = 240
"""Characters at the beginning of a refusal that are taken for the upstream's own words rather than the prompt's."""


def classify(kind: str, status: int, headers: Mapping[str, str], body: bytes, now: float) -> Failure:
    """The failure that an answer other than 2xx is. Never raises, whatever the bytes.

    `kind` is the provider kind (`registry.py`), "" if unknown. `headers` is case-insensitive, or has lower-case names.
    `now` is the wall clock in seconds since the epoch, for hints that are dates. The code is `http_<status>`.
    """
    known = _known.get((kind, status, body)) if len(body) <= _MOST_KNOWN_BYTES else None
    if known is not None and not any(map(_TELLING.search, headers)):
        # In an outage, thousands of refusals are the same to the byte.
        return known
    failure = _classified(kind, status, headers, body, now)
    if failure.wait is None and len(body) <= _MOST_KNOWN_BYTES and not any(map(_TELLING.search, headers)):
        if len(_known) >= _MOST_KNOWN:
            del _known[next(iter(_known))]
        _known[kind, status, body] = failure
    return failure


def _classified(kind: str, status: int, headers: Mapping[str, str], body: bytes, now: float) -> Failure:
    error = read_error(body, headers.get("x-amzn-errortype", ""))
    failure_class, field = _class_of(kind, status, error)
    if failure_class is _C.QUOTA and status == 402 and "retry-after" in headers:
        # OpenRouter: a budget of requests in flight, which frees itself. Credit that is used up names no wait.
        failure_class = _C.RATE_LIMITED
    wait = wait_of(headers, error, now) if failure_class in _WAITS else None
    return _failure(failure_class, f"http_{status}", status, error, field, _reset_of_day(error, wait, now))


def classify_in_band(kind: str, error: bytes, now: float) -> Failure:
    """The failure that an error inside a 200 is: `error` is the JSON of the whole event or body. Never raises.

    What is recognised gets its class, everything else is BAD_ANSWER; the code is `in_band_error` for all. The status is
    the one that the error names itself, since the real one is 200.
    """
    text = read_error(error)
    failure_class, field = _class_of(kind, _NO_STATUS, text)
    wait = wait_of({}, text, now) if failure_class in _WAITS else None
    if not text.told:
        text = ErrorText("the upstream ended its answer with an error")
    return _failure(failure_class, IN_BAND, text.status, text, field, _reset_of_day(text, wait, now))


def _class_of(kind: str, status: int, error: ErrorText) -> tuple[FailureClass, str | None]:
    """The class, and the optional field that was refused, or `PREFILL`, if it is PARAMETER_UNSUPPORTED.

    Codes before wording, since a message may quote the prompt ("429", "rate limit": litellm#11455); a refused field
    before wording, since its message names nothing else; wording before the status, since providers send 400 and 429
    for too many things; and only the wording of an error object, never that of a page.
    """
    if error.told:
        if found := _first(_CODES, kind, status, error.names, ""):
            return found, None
        if status in _PREFILL_REFUSALS and refuses_prefill(error):
            return _C.PARAMETER_UNSUPPORTED, PREFILL
        if status in _BAD and misses_thoughts(error):
            return _C.PARAMETER_UNSUPPORTED, IN_MESSAGES
        if status in _BOUND_REFUSALS and refuses_bound(error):
            return _C.PARAMETER_UNSUPPORTED, BOUND
        if status in _BAD and refuses_extensions(error):
            return _C.PARAMETER_UNSUPPORTED, EXTENSIONS
        if status in _BAD and (field := refused_field(error)):
            return _C.PARAMETER_UNSUPPORTED, field
    elif status == 403:
        # A page instead of an error: a firewall disliked one request, which says nothing about the key.
        return _C.UNKNOWN, None
    words = _own_words(error.message.lower(), status) if error.told else ""
    if found := _first(_WORDING, kind, status, error.names, words):
        return found, None
    return _class_of_status(error.status if status == _NO_STATUS else status, in_band=status == _NO_STATUS), None


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


def _own_words(message: str, status: int) -> str:
    """The part of a message that is the upstream's own: one that refuses the request itself may quote it."""
    return _QUOTE.sub(" ", message)[:_OWN_WORDS] if status in _BAD else message


def _class_of_status(status: int | None, *, in_band: bool) -> FailureClass:
    if status is None or (in_band and status < 500 and status not in _IN_BAND_STATUSES):
        return _C.BAD_ANSWER
    if known := _STATUSES.get(status):
        return known
    if 400 <= status < 500:
        return _C.CALLER_FAULT
    # What is left below 400 is a redirect, which is never followed: a key must not travel.
    return _C.OVERLOADED if 500 <= status < 600 else _C.UNKNOWN


def _reset_of_day(error: ErrorText, wait: float | None, now: float) -> float | None:
    """The wait; for Gemini's daily quotas at least until midnight in California, which its own hint ignores."""
    if "quota_per_day" not in error.names:
        return wait
    # 08:00 UTC; in summer an hour too late, which is harmless, since a probe may find out earlier.
    return max(wait or 0.0, (8 * 3600 - now) % 86400)


def _failure(
    kind: FailureClass, code: str, status: int | None, error: ErrorText, field: str | None, wait: float | None
) -> Failure:
    message = error.message[:MAX_MESSAGE].rstrip()
    hint = context_hint(error) if kind is _C.CONTEXT_TOO_LONG else ContextHint()
    return Failure(
        kind,
        code,
        message,
        status,
        wait,
        param=field or error.param,
        value_only=field in _OF_ONE or "unsupported_value" in error.names or bool(_OF_THIS_REQUEST.match(message)),
        error_type=error.type,
        error_code=error.code,
        prompt=hint.prompt,
        window=hint.window,
    )
