"""Writes GGUF, the file format of llama.cpp's models: as much of version 3 as a small model needs."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

VERSION: Final = 3
ALIGNMENT: Final = 32
"""Tensors begin at multiples of this many bytes."""
FLOAT_32: Final = 0
"""The code of a tensor's numbers."""

Value = bool | int | float | str | Sequence[str] | Sequence[float] | Sequence[int]


@dataclass(frozen=True)
class Tensor:
    """Numbers in rows, the innermost dimension first."""

    name: str
    shape: tuple[int, ...]
    numbers: array[float]


def document(metadata: Mapping[str, Value], tensors: Sequence[Tensor]) -> bytes:
    """A whole model file."""
    head = [b"GGUF", struct.pack("<IQQ", VERSION, len(tensors), len(metadata))]
    head += [_text(key) + _typed(value) for key, value in metadata.items()]
    data = []
    offset = 0
    for tensor in tensors:
        raw = _padded(tensor.numbers.tobytes())
        shape = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        head.append(_text(tensor.name) + shape + struct.pack("<IQ", FLOAT_32, offset))
        data.append(raw)
        offset += len(raw)
    return _padded(b"".join(head)) + b"".join(data)


def _padded(raw: bytes) -> bytes:
    return raw + bytes(-len(raw) % ALIGNMENT)


def _text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def _typed(value: Value) -> bytes:
    code, raw = _scalar(value) if not isinstance(value, list) else (9, _array(value))
    return struct.pack("<I", code) + raw


def _array(values: Sequence[str | float | int]) -> bytes:
    """Whole numbers are without a sign where they stand alone, and with one in an array: llama.cpp looks at that."""
    code = 5 if isinstance(values[0], int) else _scalar(values[0])[0]
    return struct.pack("<IQ", code, len(values)) + b"".join(_scalar(value)[1] for value in values)


def _scalar(value: Value) -> tuple[int, bytes]:
    """The code of its type, and the value."""
    match value:
        case bool():
            return 7, struct.pack("<?", value)
        case int():
            return 4, struct.pack("<I", value)
        case float():
            return 6, struct.pack("<f", value)
        case str():
            return 8, _text(value)
    raise TypeError(value)
