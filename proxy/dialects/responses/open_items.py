"""Items of a response while they are being told: what was said of each so far, and the bytes that its deltas share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from proxy.dialects.chat_events import to_json
from proxy.dialects.responses.document import call_item, item_id, message_item, reasoning_item, refusal_part, text_part
from proxy.dialects.responses.freeform import freeform_item, input_of

_EVENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "output_text": "response.output_text",
        "refusal": "response.refusal",
        "summary_text": "response.reasoning_summary_text",
    }
)
"""What the events of a part are called, by its kind: `.delta` and `.done` are added."""


def _head(name: str) -> bytes:
    return b'event: %b\ndata: {"type":"%b","delta":' % (name.encode(), name.encode())


def _tail(members: Mapping[str, Any]) -> bytes:
    return b"," + to_json(members)[1:-1] + b',"sequence_number":'


class Part:
    """A part of an item, which grows by texts."""

    __slots__ = ("delta", "done", "head", "kind", "pieces", "tail", "where")

    def __init__(self, kind: str, where: Mapping[str, Any]) -> None:
        self.kind = kind
        self.where = where
        """The members that say what an event is about."""
        self.pieces: list[str] = []
        self.head = _head(_EVENTS[kind] + ".delta")
        """What comes before a delta; `tail` comes behind it, up to the number."""
        self.tail = _tail({**where, "logprobs": []} if kind == "output_text" else where)
        self.delta = _EVENTS[kind] + ".delta"
        """The name of the event that adds to it."""
        self.done = _EVENTS[kind] + ".done"
        """The name of the event that tells it whole."""

    def told(self) -> dict[str, Any]:
        """What that event tells."""
        text = "".join(self.pieces)
        if self.kind == "refusal":
            return {"refusal": text}
        return {"text": text, "logprobs": []} if self.kind == "output_text" else {"text": text}

    def document(self) -> dict[str, Any]:
        """The part itself."""
        text = "".join(self.pieces)
        if self.kind == "refusal":
            return refusal_part(text)
        return text_part(text) if self.kind == "output_text" else {"type": self.kind, "text": text}


class _Spoken:
    """An item that is told part by part."""

    __slots__ = ("_parts", "id", "place", "whole")

    PART_ADDED = ""
    PART_DONE = ""
    _ID = ""
    _INDEX = ""
    """The member that counts its parts."""

    def __init__(self, id_: str, place: int) -> None:
        self.id = item_id(self._ID, id_, place)
        self.place = place
        self.whole: bytes | None = None
        """Its JSON, once it is told whole."""
        self._parts: list[Part] = []

    def begin(self, kind: str) -> Part:
        """A new part."""
        where = {"item_id": self.id, "output_index": self.place, self._INDEX: len(self._parts)}
        self._parts.append(Part(kind, where))
        return self._parts[-1]


class Reasoning(_Spoken):
    """Thoughts."""

    __slots__ = ()

    PART_ADDED = "response.reasoning_summary_part.added"
    PART_DONE = "response.reasoning_summary_part.done"
    _ID = "rs"
    _INDEX = "summary_index"

    def document(self, status: str) -> dict[str, Any]:
        """The item itself."""
        return reasoning_item(self.id, ["".join(part.pieces) for part in self._parts], status)


class Message(_Spoken):
    """A message of the assistant."""

    __slots__ = ()

    PART_ADDED = "response.content_part.added"
    PART_DONE = "response.content_part.done"
    _ID = "msg"
    _INDEX = "content_index"

    def document(self, status: str) -> dict[str, Any]:
        """The item itself."""
        return message_item(self.id, [part.document() for part in self._parts], status)


class Call:
    """A call of a function, of which pieces come before it is known what it is called."""

    __slots__ = ("_random", "_told", "call_id", "freeform", "head", "id", "name", "pieces", "place", "tail", "whole")

    def __init__(self, id_: str) -> None:
        self._random = id_
        self.id = ""
        self.call_id = ""
        self.name = ""
        self.freeform = False
        """Whether it is one of a tool that takes any text. Such a call is told when it is whole."""
        self.pieces: list[str] = []
        self.place = -1
        self.whole: bytes | None = None
        """As in `Reasoning`."""
        self.head = _head("response.function_call_arguments.delta")
        self.tail = b""
        self._told = 0

    @property
    def begun(self) -> bool:
        """Whether the client knows of it."""
        return self.place >= 0

    @property
    def where(self) -> dict[str, Any]:
        """The members that say what an event is about."""
        return {"item_id": self.id, "output_index": self.place}

    @property
    def arguments(self) -> str:
        """All that came of them, as JSON."""
        return "".join(self.pieces)

    def begin(self, place: int, taken: set[str]) -> None:
        """It gets its place; `taken` are the ids of other calls, since clients refuse to hear of one twice."""
        self.place = place
        self.id = item_id("ctc" if self.freeform else "fc", self._random, place)
        if not self.call_id or self.call_id in taken:
            self.call_id = f"call_{self._random}{place}"
        self.tail = _tail(self.where)

    def untold(self) -> Iterator[str]:
        """Pieces of the arguments that the client has not been told; now they count as told."""
        if self.freeform:
            return
        pieces = self.pieces[self._told :]
        self._told = len(self.pieces)
        yield from pieces

    def document(self, status: str) -> dict[str, Any]:
        """The item itself."""
        arguments = "" if status == "in_progress" else self.arguments
        if self.freeform:
            return freeform_item(self.id, self.call_id, self.name, arguments and input_of(arguments), status)
        return call_item(self.id, self.call_id, self.name, arguments, status)


class Foreign:
    """An item that somebody else has told of, and that is none of the others."""

    __slots__ = ("_told", "id", "place", "whole")

    def __init__(self, told: Mapping[str, Any], place: int) -> None:
        self.id = ""
        self.place = place
        self.whole: bytes | None = None
        """As in `Reasoning`."""
        self._told = told

    def document(self, status: str) -> dict[str, Any]:
        """The item itself."""
        return {**self._told, "status": status}
