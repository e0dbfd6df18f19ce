"""JSON that strict decoders refuse, though most others take it: with halves of surrogate pairs, or with broken UTF-8.

Both come from those who cut texts by UTF-16 units or by bytes. What passes through as it came is only looked into
(`peek`); what somebody gets who refuses halves has U+FFFD in their place (`decoded`); and where both halves of a pair
may still come together, as in the pieces of a stream, they stay as they are (`read_json`, `converted`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw

_T = TypeVar("_T")
_HALVES: Final = re.compile("[\ud800-\udfff]")
_ESCAPED_HALVES: Final = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_decode: Final = msgspec.json.decode
_decode_object: Final = msgspec.json.Decoder(dict[str, Raw]).decode


def mended(data: bytes) -> bytes:
    """JSON with what a strict decoder refuses inside strings replaced by U+FFFD: broken UTF-8, halves of surrogates.

    Only for looking into: whole pairs that are escaped are replaced as well.
    """
    return _ESCAPED_HALVES.sub(rb"\\ufffd", data.decode("utf-8", "replace").encode())


def peek(decode: Callable[[bytes], _T], data: bytes) -> _T | None:
    """What `decode` makes of JSON that passes through as it came; None if it is none, or not UTF-8 throughout."""
    try:
        if not data.isascii():
            data.decode()  # skipped strings are not checked by the decoder
        return decode(data)
    except UnicodeDecodeError:
        return None
    except (ValueError, RecursionError):
        pass
    try:
        return decode(mended(data)) if b"\\u" in data else None
    except (ValueError, RecursionError):
        return None


def decoded(decode: Callable[[bytes], _T], data: bytes) -> _T:
    """What `decode` makes of the JSON; halves of surrogate pairs become U+FFFD. Raises ValueError or RecursionError."""
    try:
        return decode(data)
    except ValueError:
        if b"\\u" not in data:
            raise
    return decode(_without_halves(data))


def decoded_or_none(decode: Callable[[bytes], _T], data: bytes) -> _T | None:
    """The same; None if it cannot be decoded."""
    try:
        return decode(data)
    except (ValueError, RecursionError):
        pass
    try:
        return decode(_without_halves(data)) if b"\\u" in data else None
    except (ValueError, RecursionError):
        return None


def read_json(data: bytes) -> Any:
    """What the JSON says; halves of surrogate pairs stay. Raises ValueError or RecursionError."""
    try:
        return _decode(data)
    except ValueError:
        if b"\\u" not in data:
            raise
    return json.loads(data)


def converted(decode: Callable[[bytes], _T], type_: type[_T], data: bytes, *, strict: bool = True) -> _T | None:
    """What `decode`, the decoder of `type_`, makes of the JSON; halves of surrogate pairs stay. None if it is none.

    `strict` is that of msgspec's `convert`: without it a number may stand there as a text.
    """
    try:
        return decode(data)
    except (ValueError, RecursionError):
        pass
    try:
        return msgspec.convert(json.loads(data), type_, strict=strict)
    except (ValueError, RecursionError):
        return None


def text_at(document: object, name: str) -> str:
    """A text of an object; "" where there is none."""
    found = document.get(name) if isinstance(document, dict) else None
    return found if isinstance(found, str) else ""


def number_at(document: dict[str, Any], name: str) -> int | None:
    """A number of an object that counts something; None where there is none."""
    found = document.get(name)
    return found if type(found) is int and found >= 0 else None


def object_in(text: str) -> Raw | None:
    """The JSON object that a text is, byte for byte if there are no halves of surrogate pairs; None if it is none."""
    if text.lstrip()[:1] != "{":
        return None
    try:
        return decoded(_object, text.encode())
    except (ValueError, RecursionError):
        return None


def arguments_object(arguments: object) -> object:
    """The arguments of a call of a tool as an object; what the model wrote instead stays readable under `_raw`.

    They are a text by rule, and from some clients the object itself.
    """
    if isinstance(arguments, str):
        if not arguments.strip():
            return {}
        found = object_in(arguments)
        return {"_raw": arguments} if found is None else found
    if arguments is None:
        return {}
    return arguments if isinstance(arguments, dict) else {"_raw": arguments}


def _without_halves(data: bytes) -> bytes:
    whole = json.dumps(json.loads(data), ensure_ascii=False, separators=(",", ":"))
    return _HALVES.sub("\ufffd", whole).encode()


def _object(data: bytes) -> Raw:
    _decode_object(data)
    return Raw(data)
