"""Events that a client was sent in its own language, read back by whoever has to go on with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from proxy.streams.sse import EventFramer, EventTooLargeError


def sent_events(data: bytes) -> Iterator[dict[str, Any]]:
    """The documents of whole events, as far as they are objects. Never raises."""
    try:
        events = EventFramer().feed(data)
    except EventTooLargeError:
        return
    for event in events:
        if event.data is None:
            continue
        try:
            document = json.loads(event.data)
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict):
            yield document
