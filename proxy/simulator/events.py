"""How events are spelled as bytes: server-sent events in the ways that the standard allows, and lines of JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

Document: TypeAlias = dict[str, Any]

JSON_TYPE = {"Content-Type": "application/json"}
SSE_TYPE = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
NDJSON_TYPE = {"Content-Type": "application/x-ndjson"}
HTML_TYPE = {"Content-Type": "text/html; charset=utf-8"}
DONE = "[DONE]"


class Event(NamedTuple):
    """One event of a stream: its data, and its name in languages that name events."""

    data: str
    name: str | None = None


Spelling: TypeAlias = "Callable[[Event], bytes]"
"""Makes one event's bytes."""


def dumps(value: object) -> str:
    """Compact JSON in plain characters, as providers send it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def encoded(text: str) -> bytes:
    """UTF-8; a lone surrogate that a request smuggled in becomes a question mark."""
    return text.encode("utf-8", "replace")


def named(document: Document) -> Event:
    """An event whose name is the `type` of its document."""
    return Event(dumps(document), str(document["type"]))


def sse(event: Event) -> bytes:
    """One event as everybody writes it."""
    if event.name is None:
        # Nearly all events of nearly all runs pass here.
        return encoded(f"data: {event.data}\n\n")
    return _lines(event, "\n")


def sse_crlf(event: Event) -> bytes:
    """One event with CRLF line ends."""
    return _lines(event, "\r\n")


def sse_cr(event: Event) -> bytes:
    """One event with bare CR line ends."""
    return _lines(event, "\r")


def sse_comments(event: Event) -> bytes:
    """One event after a comment, with the fields that nobody needs, and without the space after `data:`."""
    name = event.name or "message"
    return encoded(f": keep-alive\n\n:\nid: 7\nretry: 3000\nevent: {name}\ndata:{event.data}\nunknown: field\n\n")


def sse_multiline(event: Event) -> bytes:
    """One event whose JSON is spread over several data lines."""
    text = event.data if event.data == DONE else json.dumps(json.loads(event.data), ensure_ascii=False, indent=1)
    return encoded(_name_line(event, "\n") + "".join(f"data: {line}\n" for line in text.split("\n")) + "\n")


def ndjson(event: Event) -> bytes:
    """One event as a line of JSON."""
    return encoded(event.data + "\n")


def surrogates_escaped(event: Event) -> Event:
    """The event with its lone surrogates as JSON escapes, as servers write them that count in UTF-16 units."""
    return event._replace(data=re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", event.data))


def _lines(event: Event, end: str) -> bytes:
    return encoded(f"{_name_line(event, end)}data: {event.data}{end}{end}")


def _name_line(event: Event, end: str) -> str:
    return f"event: {event.name}{end}" if event.name else ""
