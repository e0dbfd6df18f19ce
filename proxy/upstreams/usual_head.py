"""Heads of answers that are plainly what they are, so that the parser need not look at them.

A usual head is whole, and has one form of each thing: a final status of HTTP/1.1 that has a body, `Name: value` of
visible characters and blanks, one Content-Length or one `Transfer-Encoding: chunked`, and not more than one Connection.
Everything else (half a head, interim answers, other spellings) is for the parser. Upstreams send hardly anything else
than usual heads.
"""

from __future__ import annotations

import re
from typing import Final

_MOST: Final = 16 * 1024
_MOST_LINES: Final = 128
"""Bytes and lines of a usual head, well below what is too much."""
# What is said of the body and the connection is found by name wherever it stands, but only once. The first letter of a
# name is looked at by itself, as it tells most names from those.
_OTHERS: Final = rb"""(?:
    (?! [CPTcpt] (?i:ontent-(?:length|encoding)|onnection|roxy-connection|ransfer-encoding) : )
    [!#$%&'*+.^_`|~0-9A-Za-z-]+ :[ ] [!-~] [ -~]* \r\n
)*+"""
_CONNECTION: Final = rb"(?: (?i:connection) :[ ] ((?i:keep-alive|close)) \r\n" + _OTHERS + rb")?+"
_HEAD: Final = re.compile(
    rb"HTTP/1\.1[ ] (?!204|304) ([2-9][0-9][0-9]) [ ] [ -~]* \r\n"
    + _OTHERS
    + _CONNECTION
    + rb"(?: (?i:content-length) :[ ] ([0-9]{1,12}) | (?i:transfer-encoding) :[ ] (?i:chunked) ) \r\n"
    + _OTHERS
    + _CONNECTION
    + rb"\r\n",
    re.VERBOSE,
)

UsualHead = tuple[int, int, int | None, bool]
"""The status; how long the head is; how long the body is, None if it comes in chunks; and whether the connection is
kept alive."""


def usual_head(data: bytes) -> UsualHead | None:
    """The head that these bytes begin with, if it is a usual one."""
    found = _HEAD.match(data, 0, _MOST)
    if found is None or data.count(b"\n", 0, found.end()) > _MOST_LINES:
        return None
    status, before, length, behind = found.groups()
    if before is not None and behind is not None:
        return None
    connection = before or behind
    kept_alive = connection is None or connection.lower() == b"keep-alive"
    return int(status), found.end(), None if length is None else int(length), kept_alive
