"""What happens as it happens, as server-sent events.

What followers may rely on: every event has an `id`, and a follower that comes back with `Last-Event-ID` gets what came
after it, as far as it is remembered; the ids that a new follower starts from, and that a filtered one has reached, are
told without an event. Lines end in LF, an event is below 64 KB, its data is one line of JSON, and a comment comes at
least every 15 s.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Final, get_args

import msgspec
from aiohttp import web

from proxy.control.context import Control, operator
from proxy.core.errors import bad_request
from proxy.core.event import Happening
from proxy.telemetry.feed import Told

TYPES: Final = tuple(event.__name__ for event in get_args(Happening))
"""The kinds of events that there are."""
_PING_S = 15.0
_LARGEST = 60 * 1024


async def events(request: web.Request) -> web.StreamResponse:
    """Follow. `types` in the query names the kinds of events that are wanted, with commas between them."""
    control = operator(request)
    wanted = _wanted(request.query.getall("types", []))
    seen = _seen(request, control)
    headers = {"content-type": "text/event-stream", "cache-control": "no-cache", "x-accel-buffering": "no"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    await response.write(b"retry: 1000\nid: %d\n\n" % seen)
    with control.feed.followed():
        while True:
            for told in control.feed.after(seen):
                seen = told.number
                if wanted(told.name):
                    data = _line(told)
                    await response.write(b"id: %d\nevent: %s\ndata: %s\n\n" % (seen, told.name.encode(), data))
            if not await control.feed.wait(seen, _PING_S):
                await response.write(b": ping\nid: %d\n\n" % seen)


def _wanted(queries: list[str]) -> Callable[[str], bool]:
    names = {name.strip() for query in queries for name in query.split(",") if name.strip()}
    for name in sorted(names.difference(TYPES)):
        near = get_close_matches(name[:100], TYPES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(TYPES)}."
        raise bad_request(f"types: no event is named {name[:100]!r}; {hint}", param="types")
    return names.__contains__ if names else lambda _name: True


def _seen(request: web.Request, control: Control) -> int:
    """The number of the last event that the follower has seen."""
    last = request.headers.get("Last-Event-ID", "")
    seen = int(last) if last.isascii() and last.isdecimal() and len(last) < 19 else control.feed.last
    # A number of the process before this one: everything that is remembered is news.
    return seen if seen <= control.feed.last else 0


def _line(told: Told) -> bytes:
    line = told.as_json()
    if len(line) <= _LARGEST:
        return line
    # A request over a chain of hundreds of steps: its attempts were told one by one.
    members = msgspec.json.decode(line)
    short = {name: value for name, value in members.items() if not isinstance(value, list | dict)}
    short = {name: value[:1000] if isinstance(value, str) else value for name, value in short.items()}
    return msgspec.json.encode({**short, "cut": True})
