"""What Ollama answers, whole or line by line, and what of it goes into a chat completion."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from proxy.core.failure import Failure
from proxy.dialects.chat_events import chat_completion, tool_call, usage_of
from proxy.dialects.dialect import Reading
from proxy.dialects.lenient_json import decoded_or_none
from proxy.dialects.no_answer import unreadable
from proxy.dialects.raw_json import NULL

_CLOSED: Final = Raw(b"{}")


class Function(Struct, gc=False):
    """What is called."""

    name: str = ""
    arguments: Raw = _CLOSED


class Call(Struct, gc=False):
    """A call of a tool; it is always whole."""

    id: str | None = None
    function: Function | None = None


class Message(Struct, gc=False):
    """A message, or a piece of one."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: list[Call] | None = None


class Answer(Struct, gc=False):
    """An answer, or a line of one that is streamed."""

    model: str | None = None
    message: Message | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    """Missing where all of the prompt was still known from before."""
    eval_count: int | None = None
    logprobs: list[dict[str, Any]] | None = None
    error: Raw = NULL


read_line = partial(decoded_or_none, msgspec.json.Decoder(Answer).decode)
"""An answer or a line of it; None for anything else."""


def read_answer(body: bytes, reading: Reading) -> bytes | Failure:
    """A whole answer as a chat completion, or the failure that it is. Never raises."""
    answer = read_line(body)
    if answer is None or answer.message is None or not answer.done or answer.error != NULL:
        # An answer has a message, too, which elsewhere is that of an error.
        return unreadable(body, "a chat answer of Ollama's", may_be_error=b'"error"' in body)
    said, calls = answer.message, written_calls(answer.message.tool_calls or (), reading, 0)
    message: dict[str, Any] = {"content": said.content or None}
    if said.thinking:
        message["reasoning_content"] = said.thinking
    if calls:
        message["tool_calls"] = calls
    return chat_completion(
        reading.id,
        reading.created,
        answer.model or reading.model,
        message,
        finish_reason(answer, called=bool(calls)),
        usage(answer),
        logprobs(answer),
    )


def written_calls(calls: Sequence[Call], reading: Reading, before: int) -> list[dict[str, Any]]:
    """Calls as chat has them; those without an id get one. `before` counts the calls of earlier lines."""
    random = reading.id.rpartition("-")[2]
    return [
        tool_call(
            call.id or f"call_{random}_{index}",
            reading.names.get(call.function.name, call.function.name),
            _arguments(call.function.arguments),
        )
        for index, call in enumerate((call for call in calls if call.function is not None), before)
        if call.function is not None
    ]


def _arguments(arguments: Raw) -> str:
    """Arguments as the JSON of an object; gateways send them as a string that already is."""
    data = bytes(arguments)
    try:
        if data[:1] == b'"':
            return msgspec.json.decode(data, type=str) or "{}"
        return "{}" if data == b"null" else data.decode()
    except ValueError:
        return data.decode("utf-8", "replace")


def finish_reason(answer: Answer, *, called: bool) -> str:
    """Ollama says `stop` after calls, too. `load` and `unload` stand with an answer that says nothing."""
    if answer.done_reason == "length":
        return "length"
    return "tool_calls" if called else "stop"


def usage(answer: Answer) -> dict[str, Any] | None:
    """The usage, if there is any word of it."""
    prompt, completion = answer.prompt_eval_count, answer.eval_count
    if prompt is None and completion is None:
        return None
    return usage_of(max(prompt or 0, 0), max(completion or 0, 0))


def logprobs(answer: Answer) -> dict[str, Any] | None:
    """How likely the tokens were, as chat has it: with the bytes of each token, and its alternatives."""
    if not answer.logprobs:
        return None
    return {"content": [_likely(token) for token in answer.logprobs], "refusal": None}


def _likely(token: dict[str, Any]) -> dict[str, Any]:
    text = token.get("token")
    others = token.get("top_logprobs")
    told = {
        "token": text,
        "bytes": token.get("bytes", list(text.encode("utf-8", "replace")) if isinstance(text, str) else None),
        "logprob": token.get("logprob"),
    }
    alternatives = [other for other in others if isinstance(other, dict)] if isinstance(others, list) else []
    return {**told, "top_logprobs": [_likely_other(other) for other in alternatives]}


def _likely_other(token: dict[str, Any]) -> dict[str, Any]:
    likely = _likely({**token, "top_logprobs": None})
    del likely["top_logprobs"]
    return likely
