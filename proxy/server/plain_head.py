"""Which heads are plain, so that the front lane may take them: one form of each thing, and nothing twice.

What two readers of HTTP could understand differently is never decided here: whatever is not of this one form is not
plain, and left to aiohttp. Clients send the same head with every request, the length of the body apart, so a head that
was looked at once is known by its bytes from then on.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from multidict import CIMultiDict

from proxy.server.door import PATHS, Head

REQUEST_LINES: Final = {f"POST {path} HTTP/1.1\r\n".encode(): wire for path, wire in PATHS.items()}
MAX_HEAD: Final = 16 * 1024
"""Bytes of a plain head."""
_MAX_HEADERS = 100
"""Of a head, its Content-Length included, as aiohttp counts them."""
_MOST_KNOWN = 256
"""Heads that are remembered. Clients whose every head is new gain nothing from it, and lose little."""
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)")
_HOST = re.compile(r"[A-Za-z0-9._-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")
_LENGTHS: Final = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
_MAX_DIGITS = 12
_NOT_PLAIN = frozenset(
    {
        "content-encoding", "content-length", "expect", "http2-settings", "keep-alive", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""What says how the message or the connection is to be read, and is not among the few forms that are known here."""


class Form(NamedTuple):
    """A plain head as one client writes it: what stands before the length of the body, and behind it."""

    head: Head
    before: bytes
    behind: bytes

    def read(self, data: bytes) -> tuple[int, int] | None:
        """The length of the body, and where it begins, if `data` begins with this head; only the length may differ."""
        before = self.before
        if not data.startswith(before):
            return None
        start = len(before)
        end = data.find(b"\r\n", start)
        digits = data[start:end]
        if not digits.isdigit() or len(digits) > _MAX_DIGITS or not data.startswith(self.behind, end):
            return None
        return int(digits), end + len(self.behind)


class PlainHead(NamedTuple):
    """A plain head, and how many bytes of body follow it."""

    head: Head
    length: int
    form: Form


def may_be_plain(data: bytes) -> bool:
    """Whether what has come of a head may be the beginning of a plain one."""
    return len(data) <= MAX_HEAD and any(data[: len(line)] == line[: len(data)] for line in REQUEST_LINES)


class PlainHeads:
    """The plain heads that were seen."""

    def __init__(self) -> None:
        self._known: dict[bytes, Form] = {}
        """By the head without its length."""

    def read(self, data: bytes) -> PlainHead | None:
        """A head without the blank line that ends it; None if it is not plain."""
        spelling = _LENGTHS[0]
        at = data.find(spelling)
        if at < 0:
            spelling = _LENGTHS[1]
            at = data.find(spelling)
            if at < 0:
                return None
        after = data.find(b"\r\n", at + 2)
        digits = data[at + len(spelling) :] if after < 0 else data[at + len(spelling) : after]
        if not digits.isdigit() or len(digits) > _MAX_DIGITS:
            return None
        rest = data[:at] if after < 0 else data[:at] + data[after:]
        start = at + len(spelling)
        before = data[:start]
        form = self._known.get(rest)
        if form is None:
            head = _read(rest)
            if head is None:
                return None
            if len(self._known) >= _MOST_KNOWN:
                del self._known[next(iter(self._known))]
            form = self._known[rest] = Form(head, before, data[start + len(digits) :] + b"\r\n\r\n")
        elif form.before != before:
            # The same lines, with the length at another place among them.
            form = Form(form.head, before, data[start + len(digits) :] + b"\r\n\r\n")
        return PlainHead(form.head, int(digits), form)


def _read(data: bytes) -> Head | None:
    """A head without its Content-Length; None if it is not plain."""
    first, _, rest = data.partition(b"\r\n")
    wire = REQUEST_LINES.get(first + b"\r\n")
    if wire is None or len(data) > MAX_HEAD:
        return None
    lines = rest.split(b"\r\n")
    headers: CIMultiDict[str] = CIMultiDict()
    for line in lines:
        found = _HEADER.fullmatch(line)
        if found is None:
            return None
        name, value = found[1].decode("ascii"), found[2].decode("ascii")
        if name in headers or name.lower() in _NOT_PLAIN:
            return None
        headers[name] = value
    if len(headers) >= _MAX_HEADERS or not _HOST.fullmatch(headers.get("host", "")):
        return None
    if headers.get("connection", "keep-alive").lower() != "keep-alive":
        return None
    return Head(headers, wire)
