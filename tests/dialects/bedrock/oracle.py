"""Amazon's own description of Bedrock: what is written is checked against it, and frames are made and read by it."""

import re
import struct
from typing import Any
from zlib import crc32

import botocore.session
from botocore.eventstream import EventStreamBuffer
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.validate import ParamValidator

_SERVICE = botocore.session.Session().get_service_model("bedrock-runtime")
_REQUEST = _SERVICE.operation_model("Converse").input_shape
_ANSWER = _SERVICE.operation_model("Converse").output_shape
_EVENTS = _SERVICE.shape_for("ConverseStreamOutput").members


def check_request(model: str, body: dict[str, Any]) -> None:
    _check(_REQUEST, {"modelId": model, **body})


def check_answer(body: dict[str, Any]) -> None:
    _check(_ANSWER, body)


def _check(shape: Shape, value: Any) -> None:
    report = ParamValidator().validate(value, shape)
    assert not report.has_errors(), report.generate_report()
    _check_values(shape, value, shape.name)


def _check_values(shape: Shape, value: Any, where: str) -> None:
    """What Amazon's client leaves to the server: words, patterns and lengths."""
    if getattr(shape, "is_document_type", False):
        return
    if isinstance(shape, StructureShape):
        for name, member in value.items():
            _check_values(shape.members[name], member, f"{where}.{name}")
    elif isinstance(shape, ListShape):
        for item in value:
            _check_values(shape.member, item, f"{where}[]")
    elif isinstance(shape, MapShape):
        for item in value.values():
            _check_values(shape.value, item, where)
    elif shape.type_name == "string":
        assert not getattr(shape, "enum", None) or value in shape.enum, (where, value)
        pattern = shape.metadata.get("pattern")
        assert pattern is None or re.fullmatch(pattern, value), (where, value)
        assert len(value) <= shape.metadata.get("max", len(value)), (where, value)
    elif shape.type_name in {"float", "integer"}:
        assert value <= shape.metadata.get("max", value), (where, value)


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """A message of an event stream; Amazon's own reader must take it."""
    told = b"".join(
        bytes((len(name.encode()),)) + name.encode() + b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(told) + len(payload), len(told))
    message = prelude + struct.pack(">I", crc32(prelude)) + told + payload
    whole = message + struct.pack(">I", crc32(message))
    assert [(headers, payload)] == read_frames(whole)
    return whole


def read_frames(data: bytes) -> list[tuple[dict[str, Any], bytes]]:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [(message.headers, message.payload) for message in buffer]


def event(name: str, payload: dict[str, Any], encoded: bytes) -> bytes:
    """An event as the stream of Converse has it."""
    _check(_EVENTS[name], payload)
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, encoded)
