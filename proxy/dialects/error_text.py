"""The words of an upstream's error, whatever shape it wraps them in.

Every provider has its own wrapping, and gateways in front of them (load balancers, content networks) send HTML or plain
text. `read_error` undoes the wrapping and judges nothing; what the words mean is decided in `failures.py`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from proxy.dialects.lenient_json import mended

MAX_MESSAGE = 2048
"""Characters of a message that are kept for classification."""

_MAX_DOCUMENT = 2 * 1024 * 1024
"""Bytes of JSON that are decoded; validation errors echo whole prompts, more than this is not worth reading."""
_MAX_MARKUP = 16 * 1024
"""Bytes of a page that are searched for text: styles come before the words."""
_MAX_ITEMS = 32
"""Details, violations or validation errors that are looked at; real errors have a handful."""
_MAX_WORD = 120
"""Characters of a type, code or param; longer ones are prose or hostile."""

_NAMES = ("error_code", "reason", "error_type", "provider_code", "code", "type")
"""Where details, metadata and the like carry types and codes."""
_SPANS = {"PerDay": "quota_per_day", "PerMinute": "quota_per_minute"}
"""Parts of Gemini's quota ids, and the names that they are given here."""

_SCRIPTS = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_TAGS = re.compile(r"<[!/?]?[A-Za-z-][^<>]*>")


@dataclass(frozen=True, slots=True)
class ErrorText:
    """What an error says of itself, unwrapped. Strings are one line, without markup or control characters."""

    message: str = ""
    type: str | None = None
    code: str | None = None
    param: str | None = None
    names: frozenset[str] = frozenset()
    """Every type, code, status word and reason that the error carries, in lower case."""
    status: int | None = None
    """The HTTP status that the error names in its body (an integer `code` or `status`), 400 to 599."""
    told: bool = False
    """Whether the text is that of an error object. Of a page or a strange document only the status can be trusted."""
    facts: tuple[Mapping[str, object], ...] = ()
    """The error's objects as decoded: itself, its details and metadata, the document. For wait hints."""


def read_error(body: bytes, amazon_type: str = "") -> ErrorText:
    """Unwrap an error body. Never raises, whatever the bytes.

    `amazon_type` is the header `x-amzn-errortype`, which carries the type where the body has only a message. The order
    of the shapes is from the most to the least telling.
    """
    document = _document(body)
    if isinstance(document, list) and len(document) == 1:
        document = document[0]  # Gemini's OpenAI-compatible endpoint
    if not isinstance(document, dict):
        return ErrorText(clean(body[:_MAX_MARKUP].decode("utf-8", "replace"))[:MAX_MESSAGE])
    amazon = amazon_type or _string(document.get("__type"))
    # `ThrottlingException:http://...` in the header, `com.amazonaws...#ThrottlingException` in the body.
    amazon = amazon.rsplit("#", 1)[-1].split(":", 1)[0]
    return _unwrap(document, amazon)


def clean(text: str) -> str:
    """The text as one printable line: entities resolved, markup and control characters gone, spaces collapsed."""
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _TAGS.sub(" ", _SCRIPTS.sub(" ", text))
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(text.split())


def _document(body: bytes) -> object:
    data = body.strip().removeprefix(b"\xef\xbb\xbf").lstrip()
    if data.startswith((b"data:", b"event:")):
        # Some upstreams answer a request for a stream with an error status and an event stream all the same.
        lines = (line[5:] for line in data.splitlines() if line.startswith(b"data:"))
        data = next(lines, b"").strip()
    if len(data) > _MAX_DOCUMENT or not data.startswith((b"{", b"[")):
        return None
    try:
        return msgspec.json.decode(data)
    except (ValueError, RecursionError):
        pass
    try:
        return msgspec.json.decode(mended(data))
    except (ValueError, RecursionError):
        return None


def _unwrap(document: dict[str, object], amazon: str) -> ErrorText:
    error = document.get("error")
    errors = document.get("errors")
    if not error and isinstance(errors, list) and errors:
        error = errors[0]
    if isinstance(error, dict):
        return _from_object(error, document, amazon)
    if isinstance(error, str):
        return _from_object({**document, "message": error}, document, amazon)  # xAI, Ollama, vLLM's 401
    for member in ("message", "Message", "msg"):
        if document.get(member) and (member != "message" or "choices" not in document):
            return _from_object({**document, "message": document[member]}, document, amazon)  # Mistral, Bedrock
    if document.get("detail"):
        return _from_object({**document, "message": document["detail"]}, document, amazon)  # FastAPI
    told = document.get("object") == "error" or bool(amazon)
    # What is left may be anything, an answer included: it is shown to nobody but in the bounds of a message.
    return ErrorText(type=amazon or None, names=_names([amazon]), told=told, facts=(document,))


def _from_object(error: dict[str, object], document: dict[str, object], amazon: str) -> ErrorText:
    """Read an error object. `document` is what it came in; the two share members where the wrapping is flat."""
    message, items = _message(error.get("message") or error.get("detail"))
    details = _objects(error.get("details"))
    metadata = _objects(error.get("metadata"))
    inner = _objects(error.get("innererror"))  # Azure
    code = _word(error.get("code")) or _word(document.get("code")) or _first(items, "type")
    status = _word(_string(error.get("status")))  # Gemini's word; Azure has the number there
    kind = _word(error.get("type")) or status or _first(metadata, "error_type") or amazon
    told = [code, kind, amazon, status]
    for part in (*details, *metadata, *inner, *items):
        told += [_word(part.get(name)) for name in _NAMES]
    told += _quotas(details)
    raw = read_error(raw_text.encode("utf-8", "replace")) if (raw_text := _first_text(metadata, "raw")) else None
    if raw is not None:
        # OpenRouter passes the provider's own body on as text; its own message only says that there is one.
        message = f"{message}: {raw.message}"
    return ErrorText(
        message=message[:MAX_MESSAGE],
        type=kind or None,
        code=code or None,
        param=_word(error.get("param")) or _path(items) or None,
        names=_names(told) | (raw.names if raw is not None else frozenset()),
        status=_status(error, document),
        told=True,
        facts=(error, *details, *metadata, document),
    )


def _message(value: object) -> tuple[str, list[dict[str, object]]]:
    """The text of a message, and the items of a list of validation errors (FastAPI; Mistral wraps one in a message)."""
    for _ in range(3):  # deeper nesting is not of this world
        if isinstance(value, dict):
            value = value.get("detail") or value.get("message") or value.get("msg")
    if isinstance(value, list):
        items = _objects(value)
        told = [f"{_path([item])}: {_string(item.get('msg'))}" for item in items[:3]]
        return clean("; ".join(told) or " ".join(text for text in value if isinstance(text, str))), items
    return clean(_string(value)[:_MAX_MARKUP]), []


def _path(items: list[dict[str, object]]) -> str:
    """The request field that a validation error is about: `["body", "messages", 0, "role"]` is `messages.0.role`."""
    loc = items[0].get("loc") if items else None
    if not isinstance(loc, list):
        return ""
    steps = [str(step) for step in loc if isinstance(step, str | int)]
    return _word(".".join(steps[1:] if steps[:1] == ["body"] else steps))


def _quotas(details: list[dict[str, object]]) -> list[str]:
    """The spans of the quotas that Gemini names: a quota per day and one per minute arrive under the same code."""
    ids = [_string(item.get("quotaId")) for part in details for item in _objects(part.get("violations"))]
    return [name for span, name in _SPANS.items() if any(span in quota for quota in ids)]


def _status(*parts: Mapping[str, object]) -> int | None:
    for part in parts:
        for name in ("code", "status", "status_code"):
            value = part.get(name)
            text = str(value) if isinstance(value, int | str) else ""
            if len(text) == 3 and text.isascii() and text.isdigit() and text[0] in "45":
                return int(text)
    return None


def _objects(value: object) -> list[dict[str, object]]:
    items = value[:_MAX_ITEMS] if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, dict)]


def _first(parts: list[dict[str, object]], name: str) -> str:
    return next((word for part in parts if (word := _word(part.get(name)))), "")


def _first_text(parts: list[dict[str, object]], name: str) -> str:
    return next((text for part in parts if (text := _string(part.get(name)))), "")


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _word(value: object) -> str:
    """A type, code or param as text; "" for anything else. Codes may be numbers (vLLM, llama.cpp, OpenRouter)."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return clean(_string(value)[:_MAX_WORD])


def _names(words: Iterable[str]) -> frozenset[str]:
    return frozenset(word.lower() for word in words if word)
