"""Answers and events of an upstream that speaks the responses wire: good or bad, and no more.

What is good passes through as it came, so only those members are decoded that tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Raw, Struct

from proxy.core.failure import Failure
from proxy.dialects.chat_events import to_json
from proxy.dialects.error_text import read_error
from proxy.dialects.failures import classify_in_band
from proxy.dialects.lenient_json import peek
from proxy.dialects.no_answer import bad_answer, no_answer, without_bom
from proxy.dialects.openai.chat import Completion
from proxy.dialects.openai.shapes import is_filled
from proxy.dialects.raw_json import NULL
from proxy.dialects.responses.usage import chat_usage_of
from proxy.streams.event_view import SAYS, EventKind, EventView

_FAILED = frozenset({"failed", "cancelled"})
_UNFINISHED = frozenset({"queued", "in_progress"})
"""The states of a response that is made in the background."""
_CALLS = frozenset({"function_call", "custom_tool_call"})


class _Part(Struct, gc=False):
    text: str | None = None
    refusal: str | None = None


class Item(Struct, gc=False):
    """An item of a response, as far as it tells whether anything was said."""

    type: str | None = None
    content: list[_Part] | None = None
    summary: list[_Part] | None = None


class _Response(Struct, gc=False):
    object: str | None = None
    status: str | None = None
    error: Raw = NULL
    output: list[Item] | None = None


class _Event(Struct, gc=False):
    type: str = ""
    delta: Raw = NULL
    error: Raw = NULL
    output_index: int | None = None
    item: Item | None = None


class _Ending(Struct, gc=False):
    response: _Response | None = None


class _Failing(Struct, gc=False):
    error: Raw = NULL
    message: Raw = NULL
    code: Raw = NULL
    param: Raw = NULL
    response: _Failing | None = None


_decode_response = msgspec.json.Decoder(_Response).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_ending = msgspec.json.Decoder(_Ending).decode
_decode_failing = msgspec.json.Decoder(_Failing).decode

_MALFORMED = EventView(EventKind.MALFORMED)
_ERROR = EventView(EventKind.ERROR)
_NOTHING = EventView(EventKind.NO_CONTENT, (0,))
_ASIDE = EventView(EventKind.NO_CONTENT)
_END = EventView(EventKind.DONE, (0,), (0,))
_END_MAY_BE_EMPTY = EventView(EventKind.DONE, (0,), (0,), may_be_empty=True)


def read_response(body: bytes, kind: str, now: float) -> Completion | Failure:
    """A whole answer, or the failure that it is. Never raises.

    The codes are those of `no_answer`, and `empty_answer`: nothing was said, and no limit explains it.
    """
    body = without_bom(body)
    response = peek(_decode_response, body)
    if response is None:
        return no_answer(body, "a response", kind, now)
    if response.status in _FAILED or response.error != NULL:
        return classify_in_band(kind, body, now) if response.error != NULL else _ended(response.status)
    if response.output is None or (response.object or "response") != "response":
        return no_answer(body, "a response", kind, now)
    if not says_something(response.output) and response.status not in {"incomplete", *_UNFINISHED}:
        return bad_answer("empty_answer", "the answer holds no content")
    usage = chat_usage_of(body)
    return Completion(body, None if usage is None else to_json(usage))


def says_something(output: Sequence[Item]) -> bool:
    """Whether any item of an output is anything of an answer."""
    return any(map(_is_filled, output))


def _is_filled(item: Item) -> bool:
    if item.type in {"message", "reasoning"}:
        return any(part.text or part.refusal for part in (*(item.content or ()), *(item.summary or ())))
    return item.type is not None


def _ended(status: str | None) -> Failure:
    return bad_answer("in_band_error", f"the upstream ended its answer as {status}")


def failure_of(data: bytes, kind: str, now: float) -> Failure:
    """The failure that the data of an error event is: of `error`, or of `response.failed`. Never raises."""
    event = peek(_decode_failing, data)
    if event is None:
        return classify_in_band(kind, data, now)
    holder = event.response or event
    if holder.error != NULL:
        return classify_in_band(kind, b'{"error":%b}' % holder.error, now)
    if event.message != NULL:
        error = b'{"error":{"message":%b,"code":%b,"param":%b}}' % (event.message, event.code, event.param)
        return classify_in_band(kind, error, now)
    return classify_in_band(kind, data, now)


def event_reader() -> Callable[[bytes], EventView]:
    """What the stream machine needs to know of each event's data, for one stream."""
    said = False

    def read(data: bytes) -> EventView:
        nonlocal said
        view = read_event(data, said=said)
        said = said or view.kind is EventKind.CONTENT
        return view

    return read


def read_event(data: bytes, *, said: bool = False) -> EventView:
    """One event. `said` tells that the stream has said something before.

    The last event ends the stream: it is the terminal marker and finishes the answer. Where nothing came before, it may
    hold the whole of it.
    """
    event = peek(_decode_event, data)
    if event is None:
        return _MALFORMED
    name = event.type
    if name.endswith(".delta"):
        return _delta(event) if is_filled(event.delta) else _NOTHING
    if name in {"error", "response.failed"} or event.error != NULL:
        return _ERROR
    if name in {"response.completed", "response.incomplete"}:
        return _ending(data, name, said=said)
    if name in {"response.output_item.added", "response.output_item.done"}:
        return _item(event, whole=name.endswith("done"))
    if "_call." in name or name.startswith("response.mcp_"):
        return SAYS  # a tool that the upstream runs is at work
    if name.startswith("response."):
        return _NOTHING
    return _ASIDE if name else (_ERROR if read_error(data).told else _MALFORMED)


def _delta(event: _Event) -> EventView:
    if event.type.startswith(("response.function_call_", "response.custom_tool_")):
        return EventView(EventKind.CONTENT, (0,), calls=(event.output_index or 0,))
    return SAYS


def _item(event: _Event, *, whole: bool) -> EventView:
    """An item that begins, or is told whole. Empty messages and hidden thoughts say nothing."""
    item = event.item
    if item is None:
        return _NOTHING
    if item.type in _CALLS:
        return EventView(EventKind.CONTENT, (0,), calls=(event.output_index or 0,))
    if item.type in {"message", "reasoning"} and not whole:
        return _NOTHING
    return SAYS if _is_filled(item) else _NOTHING


def _ending(data: bytes, name: str, *, said: bool) -> EventView:
    if name == "response.incomplete":
        return _END_MAY_BE_EMPTY
    if said:
        return _END
    ending = peek(_decode_ending, data)
    if ending is None:
        return _MALFORMED
    response = ending.response
    if response is not None and response.output and says_something(response.output):
        return _END_MAY_BE_EMPTY  # all in one: not empty, although nothing came before
    return _END


def broken(message: str, code: str, *, reason: str, retryable: bool) -> bytes:
    """The event that ends a stream whose events passed through.

    It is of the wire's own type, and holds an `error` besides, on which official SDKs raise.
    """
    told = {"message": message, "type": "upstream_error", "param": None, "code": code}
    event = {
        "type": "error",
        "sequence_number": 0,  # how far the upstream had counted is not known here
        "code": code,
        "message": message,
        "param": None,
        "error": {**told, "reason": reason, "retryable": retryable},
    }
    return b"event: error\ndata: " + to_json(event) + b"\n\n"
