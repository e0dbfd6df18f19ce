"""Gemini's whole answers as chat completions."""

from __future__ import annotations

from typing import Any

from proxy.core.failure import Failure, FailureClass
from proxy.dialects.chat_events import chat_completion, tool_call
from proxy.dialects.dialect import Reading
from proxy.dialects.gemini.shapes import (
    Candidate,
    arguments_of,
    call_id,
    extra_of,
    failure_of,
    finish_of,
    image_of,
    read_response,
    usage_of_metadata,
)
from proxy.dialects.raw_json import NULL


def read_answer(body: bytes, reading: Reading) -> bytes | Failure:
    """The answer as a chat completion; an error, or what cannot be understood, as it came. Never raises."""
    response = read_response(body)
    if response is None or response.error != NULL:
        return body
    candidate = response.candidates[0] if response.candidates else None
    failure = failure_of(response, candidate)
    if failure is not None or candidate is None:
        return failure or body
    try:
        message = _message(candidate, reading)
    except (ValueError, RecursionError):
        return Failure(FailureClass.BAD_ANSWER, "wrong_schema", "the arguments of a tool's call are not valid")
    # A whole body is no answer that was cut, so what does not say why it ends has ended.
    called = "tool_calls" in message
    reason = finish_of(candidate, called=called) or ("tool_calls" if called else "stop")
    if reason == "content_filter" and candidate.finishMessage:
        message["refusal"] = candidate.finishMessage
    return chat_completion(
        response.responseId or reading.id,
        reading.created,
        response.modelVersion or reading.model,
        message,
        reason,
        usage_of_metadata(response.usageMetadata),
    )


def _message(candidate: Candidate, reading: Reading) -> dict[str, Any]:
    said: list[str] = []
    thought: list[str] = []
    calls: list[dict[str, Any]] = []
    parts = candidate.content.parts if candidate.content is not None else None
    for part in parts or ():
        if part.functionCall is not None:
            call = part.functionCall
            id_ = call_id(call, reading, len(calls))
            name = reading.names.get(call.name, call.name)
            calls.append({**tool_call(id_, name, arguments_of(call)), **extra_of(part)})
        elif part.text:
            (thought if part.thought else said).append(part.text)
        elif (image := image_of(part)) is not None:
            said.append(image)
    message: dict[str, Any] = {"content": "".join(said) or None}
    if thought:
        message["reasoning_content"] = "".join(thought)
    if calls:
        message["tool_calls"] = calls
    return message
