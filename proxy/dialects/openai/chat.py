"""OpenAI's chat wire: the request as an upstream wants it, and what its answers and events say.

Sans-IO and sparing: of a request only the top level is decoded (values stay the bytes that the client sent), of an
answer only what tells whether it is one, and what was received is forwarded as it is unless a quirk of the provider
demands an edit. Facts are from the providers' documentation and SDKs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cache, partial

import msgspec
from msgspec import Raw, Struct

from proxy.core.failure import Failure
from proxy.dialects.error_text import read_error
from proxy.dialects.failures import classify_in_band
from proxy.dialects.no_answer import bad_answer, no_answer, without_bom
from proxy.dialects.openai.edits import calls_tools, edited, finish_reason
from proxy.dialects.openai.history import edited_messages, plain_tools
from proxy.dialects.openai.shapes import Document, call_indexes, calls_something, read_document, says_something
from proxy.dialects.raw_json import NULL
from proxy.dialects.registry import Quirks
from proxy.streams.event_view import SAYS, EventKind, EventView

_TRUE = Raw(b"true")
_USAGE_ASKED = Raw(b'{"include_usage":true}')
_NO_EFFORT = Raw(b'"none"')
_LARGE = 32 * 1024
"""Bytes of a value that is worth not copying."""
_CAPS = ("max_tokens", "max_completion_tokens")
_FAILED = frozenset({"error", "malformed_function_call", "malformed_response", "missing_thought_signature"})
"""Finish reasons that say that the upstream failed: OpenRouter's and Mistral's, and Gemini's."""
_MAY_BE_EMPTY = frozenset({"length", "content_filter", "model_length"})
"""Finish reasons that explain an answer without content; the last is Mistral's."""

Pieces = tuple[bytes | memoryview, ...]
"""A body, to be sent one piece after the other."""

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


def write_request(
    fields: Mapping[str, Raw], model: str, quirks: Quirks, without: Collection[str] = (), *, ask_usage: bool = True
) -> tuple[Pieces, tuple[str, ...]]:
    """The upstream's request body in pieces, and the names of the client's fields that it lacks.

    `fields` is the client's request, top level decoded; the order and the bytes of values are kept. `without` names
    fields that this model has refused; a refused token cap goes under its other name. With `ask_usage` a stream is
    asked for its usage, where the provider knows how. A renamed field is not reported as lacking.
    """
    added = _added(fields, quirks) if ask_usage else {}
    if not without and quirks.passes_all:
        return pieces({**fields, "model": model, **added}), ()
    caps = _token_caps(fields, quirks, without)
    body: dict[str, Raw | str] = {}
    lacking = []
    for name, value in fields.items():
        if name == "model":
            body[name] = model
        elif name in _CAPS:
            if name in caps:
                body[caps[name]] = value
            else:
                lacking.append(name)
        elif name in quirks.drop or name in without:
            lacking.append(name)
        elif name == "messages":
            body[name] = edited_messages(value, quirks, thinks=_thinks(fields))
        elif name == "tools" and quirks.plain_messages:
            body[name] = plain_tools(value)
        else:
            body[quirks.rename.get(name, name)] = value
    if "stream_options" not in without:
        body |= added
    return pieces(body), tuple(lacking)


def _added(fields: Mapping[str, Raw], quirks: Quirks) -> dict[str, Raw]:
    """What a stream is asked for beside what its client asks: its usage."""
    if not quirks.stream_usage or fields.get("stream") != _TRUE:
        return {}
    return {"stream_options": _asking_usage(fields.get("stream_options", NULL))}


def pieces(body: Mapping[str, Raw | str], large: str = "messages") -> Pieces:
    """An object as JSON. A `large` member is not copied, if it is, but stands as a piece of its own."""
    value = body.get(large)
    if value is None or len(value) < _LARGE or not isinstance(value, Raw):
        return (_encode(body),)
    names = list(body)
    place = names.index(large)
    before = _encode({name: body[name] for name in names[:place]})[:-1]
    behind = _encode({name: body[name] for name in names[place + 1 :]})[1:]
    opening = before + (b"," if place else b"") + b'"%b":' % large.encode()
    return opening, memoryview(value), b"," + behind if len(behind) > 1 else behind


def _token_caps(fields: Mapping[str, Raw], quirks: Quirks, without: Collection[str]) -> dict[str, str]:
    """Which of the client's caps on output tokens are sent, and under which names."""
    given = [name for name in _CAPS if name in fields]
    usable = [name for name in _CAPS if name not in without]
    # A cap that the model has refused counts for more than what is known of its provider.
    wanted = [name for name in usable if quirks.token_cap in {"any", name}] or usable
    kept = {name: name for name in given if name in wanted}
    if kept or not given or not wanted:
        return kept
    return {given[0]: wanted[0]}


def _asking_usage(options: Raw) -> Raw:
    """`stream_options` with `include_usage`; its other members stay, and so does what is no object."""
    if options == NULL:
        return _USAGE_ASKED
    try:
        members = _decode_object(options)
    except (ValueError, RecursionError):
        return options
    if members.get("include_usage") == _TRUE:
        return options
    return Raw(_encode({**members, "include_usage": _TRUE}))


def _thinks(fields: Mapping[str, Raw]) -> bool:
    """Whether a model that thinks unless it is told otherwise is not."""
    return fields.get("reasoning_effort") != _NO_EFFORT and b'"disabled"' not in bytes(fields.get("thinking", NULL))


class Completion(Struct, frozen=True):
    """A complete JSON answer that is one."""

    body: bytes
    """The bytes to forward: those received, the same object, unless something had to be edited."""
    usage: bytes | None
    """The JSON of the usage as received; None if the answer tells none."""


def read_answer(body: bytes, quirks: Quirks, kind: str = "", now: float = 0.0) -> Completion | Failure:
    """A complete JSON answer, or the failure that it is. Never raises, whatever the bytes.

    `kind` and `now` are those of `classify`, for errors in disguise. The codes are `empty_body`, `invalid_json`,
    `wrong_schema` (JSON, but no chat answer), `empty_answer` (nothing was said, and no finish reason explains it) and
    `in_band_error`.
    """
    # A byte order mark breaks clients; blank lines before the JSON (DeepSeek's keep-alive) do not.
    body = without_bom(body)
    document = read_document(body)
    if document is None:
        return no_answer(body, "a chat completion", kind, now)
    if (document.error is not NULL and document.error != NULL) or (not document.choices and read_error(body).told):
        return classify_in_band(kind, body, now)
    choices = document.choices or []
    if len(choices) == 1 and not quirks.edits_answers:
        # Nearly always, and nothing to be looked at twice.
        message, reason = choices[0].message, choices[0].finish_reason
        if message is not None and reason not in _FAILED and says_something(message):
            return Completion(body, None if document.usage is NULL or document.usage == NULL else bytes(document.usage))
    called = calls_tools(document)
    reasons = tuple(finish_reason(choice, quirks, called=called) for choice in choices)
    if any(reason in _FAILED for reason in reasons):
        return classify_in_band(kind, body, now)
    said = any(choice.message is not None and says_something(choice.message) for choice in choices)
    if not said and not any(reason in _MAY_BE_EMPTY for reason in reasons):
        return bad_answer("empty_answer", "the answer holds no content")
    usage = bytes(document.usage) if document.usage != NULL else None
    change = edited(body, document, "message", quirks, called=called) if quirks.edits_answers else None
    return Completion(body if change is None else change, usage)


_MALFORMED = EventView(EventKind.MALFORMED)
_ERROR = EventView(EventKind.ERROR)
_DONE = EventView(EventKind.DONE)
_USAGE = EventView(EventKind.USAGE)
_NOTHING = EventView(EventKind.NO_CONTENT)
_FIRST = [0]
_FIRST_SAYS_NOTHING = EventView(EventKind.NO_CONTENT, (0,))


@cache
def _plain_reader(quirks: Quirks) -> Callable[[bytes], EventView]:
    return partial(read_event, quirks=quirks)


def event_reader(quirks: Quirks) -> Callable[[bytes], EventView]:
    """`read_event` for the events of one stream, with the memory that the provider's quirks need."""
    if quirks.empty_finish_reason is None:
        return _plain_reader(quirks)
    called = False

    def read(data: bytes) -> EventView:
        nonlocal called
        if not called and b"_call" in data:
            document = read_document(data)
            called = document is not None and calls_tools(document)
        return read_event(data, quirks, called=called)

    return read


def read_event(data: bytes, quirks: Quirks, *, called: bool = False) -> EventView:
    """What the stream machine needs to know of one event: `data` is its joined data lines.

    `called` says that tools were called in the stream so far, this event included; only `Quirks.empty_finish_reason`
    needs it. An event that is no valid JSON, or whose `choices` is no list of objects, is malformed; one with an
    `error` that is not null is an error.
    """
    document = read_document(data)
    if document is None:
        return _DONE if data == b"[DONE]" else _MALFORMED
    if document.error is not NULL and document.error != NULL:
        return _ERROR
    if not document.choices:
        return _view_without_choices(data, document, quirks)
    started = []
    finished = []
    calls: tuple[int, ...] = ()
    content = may_be_empty = False
    for choice in document.choices:
        index = choice.index or 0
        started.append(index)
        if choice.delta is not None:
            content = content or says_something(choice.delta)
            if (choice.delta.tool_calls or choice.delta.function_call is not None) and calls_something(choice.delta):
                calls += call_indexes(choice.delta)
        if choice.finish_reason is not None and (reason := finish_reason(choice, quirks, called=called)):
            if reason in _FAILED:
                return _ERROR
            finished.append(index)
            may_be_empty = may_be_empty or reason in _MAY_BE_EMPTY
    change = edited(data, document, "delta", quirks, called=called) if quirks.edits_answers else None
    if not finished and not calls and change is None and started == _FIRST:
        return SAYS if content else _FIRST_SAYS_NOTHING
    kind = EventKind.CONTENT if content else EventKind.NO_CONTENT
    return EventView(kind, tuple(started), tuple(finished), may_be_empty, change, calls)


def _view_without_choices(data: bytes, document: Document, quirks: Quirks) -> EventView:
    if document.usage != NULL:
        change = edited(data, document, "delta", quirks, called=False) if quirks.edits_answers else None
        return _USAGE if change is None else EventView(EventKind.USAGE, edited=change)
    if document.choices is not None:
        return _NOTHING  # Azure's first event: only the results of its prompt filter
    return _ERROR if read_error(data).told else _MALFORMED
