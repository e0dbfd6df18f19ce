"""What is decoded of Gemini's answers and events, and what their words mean on the chat wire."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from proxy.dialects.chat_events import to_json, usage_of
from proxy.dialects.dialect import Reading
from proxy.dialects.lenient_json import decoded_or_none
from proxy.dialects.raw_json import NULL

_BLOCKED: Final = "content_filter"
FINISHES: Final = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": _BLOCKED,
    "RECITATION": _BLOCKED,
    "LANGUAGE": _BLOCKED,
    "BLOCKLIST": _BLOCKED,
    "PROHIBITED_CONTENT": _BLOCKED,
    "SPII": _BLOCKED,
    "ESCALATION": _BLOCKED,
    "MODEL_ARMOR": _BLOCKED,
    "IMAGE_SAFETY": _BLOCKED,
    "IMAGE_PROHIBITED_CONTENT": _BLOCKED,
    "IMAGE_RECITATION": _BLOCKED,
    "IMAGE_OTHER": _BLOCKED,
}
"""Reasons to finish, as the chat wire has them. Whatever is in neither table is a stop."""
FAILURES: Final = frozenset(
    {
        "MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE", "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS", "NO_IMAGE", "OTHER", "PUP_LIMITED_DISABLED",
    }
)  # fmt: skip
"""Reasons to finish that say that the upstream failed: another attempt may well succeed."""
_UNFINISHED: Final = "FINISH_REASON_UNSPECIFIED"
_MOST: Final = 2**53
"""Tokens beyond which a count is none."""


class FunctionCall(Struct, gc=False):
    """A call of a tool, whole."""

    name: str = ""
    id: str | None = None
    args: Raw = NULL


class Blob(Struct, gc=False):
    """A file in the answer."""

    mimeType: str | None = None  # noqa: N815
    data: str | None = None


class Part(Struct, gc=False):
    """A piece of what the model says."""

    text: str | None = None
    thought: bool | None = None
    functionCall: FunctionCall | None = None  # noqa: N815
    thoughtSignature: str | None = None  # noqa: N815
    inlineData: Blob | None = None  # noqa: N815


class Content(Struct, gc=False):
    """What the model says."""

    parts: list[Part] | None = None


class Candidate(Struct, gc=False):
    """One answer; only one is ever asked for."""

    content: Content | None = None
    finishReason: str | None = None  # noqa: N815
    finishMessage: str | None = None  # noqa: N815


class Feedback(Struct, gc=False):
    """What Gemini thinks of the prompt."""

    blockReason: str | None = None  # noqa: N815
    blockReasonMessage: str | None = None  # noqa: N815


class Response(Struct, gc=False):
    """An answer, or one event of its stream."""

    candidates: list[Candidate] | None = None
    promptFeedback: Feedback | None = None  # noqa: N815
    usageMetadata: Raw = NULL  # noqa: N815
    modelVersion: str | None = None  # noqa: N815
    responseId: str | None = None  # noqa: N815
    error: Raw = NULL


read_response = partial(decoded_or_none, msgspec.json.Decoder(Response).decode)
"""The answer or event; None if the bytes are no JSON, or if a member has a type that the wire rules out."""
_decode_counts = msgspec.json.Decoder(dict[str, Any]).decode


def failure_of(response: Response, candidate: Candidate | None) -> bytes | None:
    """The error that an answer or event is, though it does not look like one, as JSON with a top-level `error`."""
    if candidate is None:
        feedback = response.promptFeedback
        if feedback is None or not feedback.blockReason:
            return None
        told = feedback.blockReasonMessage or "the prompt was refused"
        return _error(f"Gemini: {told} ({feedback.blockReason})", _BLOCKED)
    reason = candidate.finishReason
    if reason not in FAILURES:
        return None
    told = f": {candidate.finishMessage}" if candidate.finishMessage else ""
    return _error(f"Gemini ended its answer with {reason}{told}", f"finish_{reason.lower()}")


def _error(message: str, code: str) -> bytes:
    return to_json({"error": {"message": message, "type": "upstream_error", "param": None, "code": code}})


def finish_of(candidate: Candidate, *, called: bool) -> str | None:
    """The finish reason on the chat wire; None if the candidate goes on. `called`: a tool was called."""
    reason = candidate.finishReason
    if not reason or reason == _UNFINISHED:
        return None
    known = FINISHES.get(reason, "stop")
    return "tool_calls" if called and known == "stop" else known


def call_id(call: FunctionCall, reading: Reading, place: int) -> str:
    """The id of a call; made of the answer's where Gemini gives none."""
    return call.id or f"call_{reading.id.removeprefix('chatcmpl-')}_{place}"


def arguments_of(call: FunctionCall) -> str:
    """A call's arguments as compact JSON, otherwise as they came. Raises ValueError or RecursionError."""
    return "{}" if call.args == NULL else msgspec.json.format(bytes(call.args), indent=-1).decode()


def extra_of(part: Part) -> dict[str, Any]:
    """What a call has besides what the chat wire knows: the thought signature, which must come back with it."""
    if not part.thoughtSignature:
        return {}
    return {"extra_content": {"google": {"thought_signature": part.thoughtSignature}}}


def image_of(part: Part) -> str | None:
    """An image in the answer as text, since the chat wire has no better place: Markdown with a data URL."""
    blob = part.inlineData
    if blob is None or not blob.data or not (blob.mimeType or "").startswith("image/"):
        return None
    return f"![image](data:{blob.mimeType};base64,{blob.data})"


def usage_of_metadata(metadata: Raw) -> dict[str, Any] | None:
    """The usage on the chat wire; None if there is none."""
    try:
        counts = _decode_counts(metadata)
    except (ValueError, RecursionError):
        return None
    prompt, tools = _count(counts, "promptTokenCount"), _count(counts, "toolUsePromptTokenCount")
    said, thought = _count(counts, "candidatesTokenCount"), _count(counts, "thoughtsTokenCount")
    if prompt is None and said is None and thought is None:
        return None
    return usage_of(
        (prompt or 0) + (tools or 0),
        (said or 0) + (thought or 0),
        cached=_count(counts, "cachedContentTokenCount"),
        thought=thought,
    )


def _count(counts: dict[str, Any], name: str) -> int | None:
    value = counts.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST else None
