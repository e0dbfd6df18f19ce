"""What a whole answer is that could not be read as one in an upstream's language."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from proxy.core.failure import Failure, FailureClass
from proxy.dialects.error_text import clean, read_error


def unreadable(body: bytes, *, may_be_error: bool = True) -> bytes | Failure:
    """The failure, with the codes of `openai/chat.py: read_answer`; an error in disguise goes back as it came.

    `may_be_error` is False where what looks like an error is known to be none.
    """
    if not body.strip():
        return Failure(FailureClass.BAD_ANSWER, "empty_body", "the answer has no body")
    if may_be_error and read_error(body).told:
        return body
    try:
        body.decode()
        msgspec.json.decode(body, type=Raw)
    except (ValueError, RecursionError):
        page = clean(body[:4096].decode("utf-8", "replace"))[:200] if body.lstrip()[:1] not in {b"{", b"["} else ""
        return Failure(FailureClass.BAD_ANSWER, "invalid_json", "the answer is not valid JSON" + (page and f": {page}"))
    return Failure(FailureClass.BAD_ANSWER, "wrong_schema", "the answer is not one of this upstream's language")
