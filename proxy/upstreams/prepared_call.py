"""One deployment, asked for one chat completion in OpenAI's words, without waiting for anything.

What `client.py` works out for each call is worked out here once. The same bytes are sent, and of the same answers the
same is made; whatever is not whole, or needs a closer look, is left as it is, for the client to read. Of a stream it
is the head that has to be there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from proxy.config.settings import UpstreamSettings
from proxy.core.failure import Failure, FailureClass
from proxy.core.request import ModelRequest
from proxy.core.wire import Wire
from proxy.dialects.caps import CAPS, within
from proxy.dialects.openai.chat import Completion, pieces, read_answer, write_request
from proxy.dialects.openai.families import refused_by
from proxy.upstreams.error_answer import failure_of, masked
from proxy.upstreams.exchange import Exchange
from proxy.upstreams.headers import media_type, notable
from proxy.upstreams.replies import EVENT_STREAM, StreamReply
from proxy.upstreams.transport import Target, Transport, UnderWay
from proxy.upstreams.ways import Ask, Letter, chat_splice, way_of

_CAPS: Final = frozenset(CAPS[Wire.CHAT])


class PreparedCall:
    """The call of one deployment. It holds as long as what is known of its model stays the same."""

    __slots__ = ("_as_it_came", "_kind", "_model", "_most", "_targets", "_transport", "_upstream", "price")

    def __init__(self, transport: Transport, upstream: UpstreamSettings, model: str, targets: Sequence[Target]) -> None:
        """`targets` are those of the upstream's keys, one where it has none."""
        facts = upstream.facts(model)
        self.price = facts.price
        self._transport = transport
        self._upstream = upstream
        self._kind = upstream.kind
        self._model = model
        self._targets = targets
        self._as_it_came = upstream.kind.quirks.passes_all and not refused_by(model)
        """Requests go on as they came, but for the model's name and a cap that is too high."""
        self._most = facts.max_output

    def send(self, request: ModelRequest, key: int) -> UnderWay | None:
        """Send a request, or knock for a connection; None if something must be left out of it, or nothing can be begun
        without waiting. Raises TransportError if there is no connection to be had."""
        fields = request.fields
        if self._as_it_came:
            if self._most is not None and not _CAPS.isdisjoint(fields):
                fields = within(fields, Wire.CHAT, self._most)
            if request.stream:
                body, _ = write_request(fields, self._model, self._kind.quirks)
            else:
                body = pieces({**fields, "model": self._model})
            return self._transport.begin(self._targets[key], body)
        ask = Ask(request)
        sent = way_of(self._kind, ask).write(Letter(ask, fields, self._upstream, self._model))
        return None if sent.dropped else self._transport.begin(self._targets[key], sent.body)

    def read(self, exchange: Exchange) -> Completion | Failure | None:
        """The whole answer, or how there is none; None where that is still to be read, or found out."""
        answer, kind = exchange.answer, self._kind
        if answer.packed:
            return None
        if answer.failure is not None and answer.status in {0, 200}:
            # A kept connection that was dead all the time is no failure of the upstream's.
            return None if answer.failure.kind is FailureClass.RESET else answer.failure
        if (body := exchange.whole()) is None:
            return None
        if answer.status == 200:
            read = read_answer(body, kind.quirks, kind.name, time.time())
        else:
            read = failure_of(kind.name, exchange, body)
        if not isinstance(read, Failure):
            return read
        if read.kind is FailureClass.PARAMETER_UNSUPPORTED:
            # Whether it was sent at all, and may be left out, is the client's to know.
            answer.put_back(body)
            return None
        return masked(read, self._upstream)

    def stream(self, exchange: Exchange, ask: Ask) -> StreamReply | None:
        """The stream that has begun, of which nothing is read yet; None where that is no plain one, or over already."""
        answer = exchange.answer
        if answer.status != 200 or answer.over or answer.packed:
            return None
        if media_type(answer) != EVENT_STREAM:
            return None
        passed, limits = notable(answer)
        answer.forget_head()
        return StreamReply(exchange, chat_splice(self._kind, ask), passed, limits, (), Wire.CHAT)
