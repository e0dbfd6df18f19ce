"""JSON out of requests and answers, as strict as Messages and as patient as its users need."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec
from msgspec import Raw

_HALVES: Final = re.compile("[\ud800-\udfff]")
_decode = msgspec.json.decode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


def read_json(data: bytes | memoryview) -> Any:
    """What the JSON says, with halves of surrogate pairs as they are. Raises ValueError."""
    try:
        return _decode(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError:
        # Upstreams that cut texts by UTF-16 units write halves of surrogate pairs, and clients' decoders take them.
        return _patiently(bytes(data))


def read_asked(data: bytes | memoryview) -> Any:
    """What the JSON of a request says; halves of surrogate pairs, for which Messages refuses all of it, are U+FFFD.

    Raises ValueError.
    """
    try:
        return _decode(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError:
        return _decode(_whole_text(bytes(data)))


def object_in(text: str) -> Raw | None:
    """The JSON object that a text is, byte for byte where Messages takes it so; None if it is none."""
    data = text.encode()
    try:
        _decode_object(data)
    except RecursionError:
        return None
    except ValueError:
        try:
            data = _whole_text(data)
            _decode_object(data)
        except ValueError:
            return None
    return Raw(data)


def _whole_text(data: bytes) -> bytes:
    value = _patiently(data)
    return _HALVES.sub("\ufffd", json.dumps(value, ensure_ascii=False, separators=(",", ":"))).encode()


def _patiently(data: bytes) -> Any:
    if b"\\u" not in data:
        raise ValueError("not valid JSON")
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None
