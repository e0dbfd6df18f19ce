"""Why a body of status 200 is no answer, whatever the wire it should have been one on."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from proxy.core.failure import Failure, FailureClass
from proxy.dialects.error_text import clean, read_error
from proxy.dialects.failures import classify_in_band

_BOM: Final = b"\xef\xbb\xbf"
_MOST_READ: Final = 4096
"""Bytes of a page that is told instead of an answer."""


def bad_answer(code: str, message: str) -> Failure:
    """A 200 that is no answer."""
    return Failure(FailureClass.BAD_ANSWER, code, message)


def no_answer(body: bytes, what: str, kind: str, now: float) -> Failure:
    """Why a body could not be read as `what`. Never raises; `kind` and `now` are those of `classify_in_band`.

    The codes are `empty_body`, `invalid_json`, `wrong_schema` and `in_band_error`.
    """
    why = unreadable(body, what)
    return why if isinstance(why, Failure) else classify_in_band(kind, why, now)


def unreadable(body: bytes, what: str, *, may_be_error: bool = True) -> bytes | Failure:
    """The same, but an error in disguise goes back as it came, for whoever classifies it.

    `may_be_error` is False where what looks like an error is known to be none.
    """
    data = body.strip()
    if not data:
        return bad_answer("empty_body", "the answer has no body")
    if may_be_error and read_error(body).told:
        return body
    try:
        body.decode()
        msgspec.json.decode(body, type=Raw)
    except (ValueError, RecursionError):
        # A page says what it is, while a piece of an answer is nobody's to read.
        page = clean(data[:_MOST_READ].decode("utf-8", "replace"))[:200] if data[:1] not in {b"{", b"["} else ""
        return bad_answer("invalid_json", f"the answer is not valid JSON{f': {page}' if page else ''}")
    return bad_answer("wrong_schema", f"the answer is not {what}")


def without_bom(body: bytes) -> bytes:
    """The body without a byte order mark, which breaks clients; the same object if there is none."""
    data = body.lstrip()
    return data.removeprefix(_BOM) if data.startswith(_BOM) else body
