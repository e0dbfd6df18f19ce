"""The same bytes through both doors: what a client hears over a raw socket, in a form that can be compared."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from tests.support.fleet import ROUTES, Fleet, fleet
from tests.support.raw import hang_up
from tests.support.virtual_time import run_virtual

_T = TypeVar("_T")
Headers: TypeAlias = tuple[tuple[str, str], ...]
HALF_CLOSE: Final = "half-close"
RESET: Final = "reset"
OPEN: Final = "open"
CLOSED: Final = "closed"
STATUS_LINE = re.compile(rb"HTTP/[0-9]\.[0-9] ([0-9]{3}) [^\r\n]*")
_CHANGING: Final[tuple[tuple[str, str], ...]] = (
    (r"req_[0-9a-f]{32}", "ID"),
    (r"chatcmpl-[0-9A-Za-z]+", "ID"),
    (r"(?:msg|resp|cmpl)[_-][0-9a-f]{24}", "ID"),
    (r'"created(?:_at)?": *[0-9]+', "CREATED"),
    (r"ms=[0-9]+", "MS"),
    (r"after [0-9.]+ m?s", "AFTER"),
    (r"dur=[0-9.]+", "DUR"),
)
"""What differs from one run to the next."""


@dataclass(frozen=True)
class Answer:
    """One answer; `headers` sorted, without what differs from one run to the next."""

    status: int
    headers: Headers
    body: bytes
    whole: bool = True
    """The body came to its end."""


@dataclass
class Heard:
    """What came back over one connection."""

    answers: list[Answer] = field(default_factory=list)
    rest: bytes = b""
    """What is no answer."""
    end: str = OPEN
    """`OPEN`, `CLOSED` or `RESET`, when the patience was over."""
    seconds: float = 0.0
    """Until the connection ended."""

    @property
    def statuses(self) -> list[int]:
        return [answer.status for answer in self.answers]


async def talk(running: Fleet, *pieces: bytes | float | str, patience: float = 1.0) -> Heard:
    """Send pieces: numbers are seconds to pause, `HALF_CLOSE` ends the client's side. What came back by the time that
    `patience` seconds have passed since the last piece."""
    clock = asyncio.get_running_loop().time
    reader, writer = await asyncio.open_connection("127.0.0.1", running.proxy.port)
    received, heard = bytearray(), Heard()
    started = clock()

    async def read() -> None:
        try:
            while data := await reader.read(65536):
                received.extend(data)
            heard.end = CLOSED
        except ConnectionError:
            heard.end = RESET
        heard.seconds = clock() - started

    reading = asyncio.ensure_future(read())
    try:
        for piece in pieces:
            if isinstance(piece, float):
                await asyncio.sleep(piece)
            elif isinstance(piece, str):
                writer.write_eof()
            elif heard.end == OPEN:
                writer.write(piece)
                await writer.drain()
        await asyncio.wait([reading], timeout=patience)
    except (ConnectionError, OSError):
        await asyncio.wait([reading], timeout=patience)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await hang_up(writer)
    heard.answers, heard.rest = answers_in(bytes(received))
    return heard


def answers_in(received: bytes) -> tuple[list[Answer], bytes]:
    """The answers that some bytes are, and what follows them."""
    answers = []
    while received:
        head, blank, rest = received.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        found = STATUS_LINE.fullmatch(first)
        if not blank or found is None:
            return answers, received
        pairs = [line.decode("latin-1").split(": ", 1) for line in lines]
        assert all(len(pair) == 2 for pair in pairs), lines
        fields = {name.lower(): value for name, value in pairs}
        assert len(fields) == len(pairs), f"a header twice: {lines}"
        status = int(found[1])
        body, received, whole = _body(status, fields, rest)
        headers = tuple(sorted((name, blanked(value)) for name, value in fields.items() if name != "date"))
        if "content-length" in fields:
            # Numbers of milliseconds have more digits or less.
            headers = tuple(pair for pair in headers if pair[0] != "content-length")
        answers.append(Answer(status, headers, blanked(body.decode("latin-1")).encode("latin-1"), whole))
    return answers, b""


def _body(status: int, fields: dict[str, str], rest: bytes) -> tuple[bytes, bytes, bool]:
    """The body, what follows it, and whether it is whole."""
    if status < 200 or status == 204:
        return b"", rest, True
    if fields.get("transfer-encoding") == "chunked":
        assert "content-length" not in fields
        return _unchunked(rest)
    if "content-length" not in fields:
        return rest, b"", True
    length = int(fields["content-length"])
    return rest[:length], rest[length:], len(rest) >= length


def _unchunked(rest: bytes) -> tuple[bytes, bytes, bool]:
    body = b""
    while True:
        size, line_end, rest = rest.partition(b"\r\n")
        if not line_end:
            return body, b"", False
        length = int(size, 16)
        piece, after, rest = rest[:length], rest[length : length + 2], rest[length + 2 :]
        body += piece
        if after != b"\r\n":
            assert len(after) < 2, "a chunk without its end"
            return body, b"", False
        if not length:
            return body, rest, True


def blanked(text: str) -> str:
    """A text without what differs from one run to the next."""
    for pattern, word in _CHANGING:
        text = re.sub(pattern, word, text)
    return text


def left(running: Fleet) -> tuple[int, int]:
    """The requests that still run, and the attempts in flight."""
    return len(running.proxy.lifecycle.running), sum(each.in_flight for each in running.proxy.pool.deployments())


def routes_of(routes: str, *, front_lane: bool) -> str:
    """A routes.yaml with the lane on or off."""
    assert "server: {port: 0" in routes
    return routes.replace("server: {port: 0", f"server: {{port: 0, front_lane: {str(front_lane).lower()}")


def through_both(scenario: Callable[[Fleet], Awaitable[_T]], routes: str = ROUTES) -> tuple[_T, _T]:
    """What a scenario gives with the lane on, and with it off, each on a proxy of its own and in virtual time."""

    async def one(*, front_lane: bool) -> _T:
        async with fleet(routes_of(routes, front_lane=front_lane)) as running:
            for upstream in running.simulator.upstreams.values():
                upstream.voice.pace = 0.0
            return await scenario(running)

    return run_virtual(one(front_lane=True)), run_virtual(one(front_lane=False))


def cut(data: bytes, *places: int) -> list[bytes]:
    """Bytes cut at some places."""
    return [data[a:b] for a, b in zip((0, *places), (*places, len(data)), strict=True)]


def apart(pieces: Sequence[bytes], pause: float = 0.001) -> list[bytes | float]:
    """Pieces that do not arrive together."""
    return [each for piece in pieces for each in (piece, pause)]
