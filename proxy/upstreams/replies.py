"""What a call brings that is no failure: a whole answer, or a stream that has begun."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from proxy.core.wire import Wire
from proxy.dialects.openai.chat import Completion
from proxy.streams.splice import Splice
from proxy.upstreams.exchange import Exchange

EVENT_STREAM: Final = "text/event-stream"
"""The media type of nearly all streams."""


class JsonReply(Struct, frozen=True):
    """A whole, checked answer. `body` is what the client gets."""

    completion: Completion
    headers: Mapping[str, str]
    """What the client may see of the upstream's headers."""
    limits: Mapping[str, str]
    """What they tell of limits."""
    dropped: tuple[str, ...]
    """Fields of the request that this deployment does not take and that were left out."""
    wire: Wire = Wire.CHAT
    """The language in which it was given; what the client gets is in the client's."""


class StreamReply(Struct, frozen=True):
    """A stream that has begun: its head is in, none of its events is read yet."""

    exchange: Exchange
    splice: Splice
    headers: Mapping[str, str]
    """As in `JsonReply`."""
    limits: Mapping[str, str]
    dropped: tuple[str, ...]
    wire: Wire
    """The language of its events: the client's, or chat."""
