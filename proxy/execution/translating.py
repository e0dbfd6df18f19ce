"""A stream for a client that does not speak chat: on its way out, and what passed through of it in its own language.

Chat events are encoded into the client's language by one encoder for the whole answer. Where an upstream speaks that
language itself its events pass through untouched, and nobody reads them; should the stream break, what was sent is
translated into chat events, so that it is known what was said, and shown to the encoder, so that it can go on from
there with the same ids and places as if it had written all of it.
"""

from __future__ import annotations

import random
import time

from proxy.core.request import ModelRequest
from proxy.core.wire import Wire
from proxy.dialects.client_wire import Encoder, Speaking
from proxy.dialects.dialect import Reading, Translator
from proxy.dialects.languages import CLIENT_WIRES
from proxy.dialects.openai.said import condense
from proxy.execution.outlet import Outlet
from proxy.streams.transcript import Said


class Encoding:
    """An outlet that takes chat events, in front of one that takes the client's own."""

    def __init__(self, outlet: Outlet, encoder: Encoder) -> None:
        self._outlet = outlet
        self._encoder = encoder
        self._encoded: bytes | None = None
        """Of what could not be sent at once; it comes again by `write`, and an encoder reads everything once."""

    def push(self, data: bytes, chunk: bytes | None = None) -> bool:
        """As of an `Outlet`."""
        del chunk
        encoded = self._encoder.feed(data)
        if not encoded or self._outlet.push(encoded):
            return True
        self._encoded = encoded
        return False

    def line(self) -> None:
        """None: all of it is looked at here."""

    async def write(self, data: bytes) -> None:
        """As of an `Outlet`."""
        encoded = self._encoder.feed(data) if self._encoded is None else self._encoded
        self._encoded = None
        if encoded:
            await self._outlet.write(encoded)


class Overheard:
    """What was sent of one answer, in whichever language."""

    __slots__ = ("_encoder", "_request", "_translator")

    def __init__(self, request: ModelRequest) -> None:
        self._request = request
        self._translator: Translator | None = None
        self._encoder: Encoder | None = None

    @property
    def encoder(self) -> Encoder:
        """The encoder of the answer, as if it had written all that was sent so far."""
        if self._encoder is None:
            speaking = Speaking(self._request, f"{random.getrandbits(96):024x}", int(time.time()))
            self._encoder = CLIENT_WIRES[self._request.wire].encoder(speaking)
        return self._encoder

    def begins(self, wire: Wire) -> None:
        """What is sent from here on is in this language."""
        if wire is Wire.CHAT:
            self._translator = None
        else:
            reading = Reading(self._request.model, f"chatcmpl-{random.getrandbits(96):024x}", int(time.time()))
            self._translator = CLIENT_WIRES[wire].to_chat_events(reading)

    def condense(self, block: bytes, said: Said) -> None:
        """Read whole events into what was said."""
        if self._translator is not None:
            self.encoder.adopt(block)
            block = self._translator.feed(block)
        condense(block, said)
