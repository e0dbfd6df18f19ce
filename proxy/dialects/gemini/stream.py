"""Gemini's streams as chat events.

Every event is an answer of its own, with what is new. There is no terminal marker: a stream is whole if some event told
a finish reason and the upstream then ended it; the usage comes with every event, the last one counts, and it may come
behind the finish reason.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from proxy.dialects.chat_events import DONE, MALFORMED, ChatEvents, error_event
from proxy.dialects.dialect import Reading
from proxy.dialects.gemini.lines import Documents
from proxy.dialects.gemini.shapes import (
    Candidate,
    Part,
    Response,
    arguments_of,
    call_id,
    extra_of,
    failure_of,
    finish_of,
    image_of,
    read_response,
    usage_of_metadata,
)
from proxy.dialects.raw_json import NULL
from proxy.streams.sse import EventTooLargeError

_decode_list = msgspec.json.Decoder(list[Raw]).decode


class GeminiTranslator:
    """Turns one stream into chat events; see `dialects/dialect.py: Translator`."""

    __slots__ = ("_calls", "_documents", "_events", "_finished", "_over", "_reading", "_usage")

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._documents = Documents()
        self._events: ChatEvents | None = None
        """Made when the first event tells the answer's id and model."""
        self._calls = 0
        """Calls of tools so far, over all events: the index of the next one (litellm#16194)."""
        self._finished = False
        self._usage: Raw = NULL
        self._over = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes as received, split anywhere; returns the chat events that they complete. Never raises."""
        if self._over:
            return b""
        try:
            documents = self._documents.feed(data)
        except EventTooLargeError:
            self._over = True
            return MALFORMED
        if len(documents) == 1:
            return self._document(documents[0])
        return b"".join(map(self._document, documents))

    def end(self) -> bytes:
        """The upstream has ended its body: the usage and `[DONE]`, if the answer was finished."""
        if self._over:
            return b""
        documents, last, bare = self._documents.end()
        # What has no blank line behind it may have been cut.
        if last and read_response(last) is not None:
            documents.append(last)
        out = [self._document(document) for document in documents]
        if bare and not self._over:
            out.append(self._bare(bare))
        if self._finished and not self._over:
            usage = usage_of_metadata(self._usage)
            if usage is not None and self._events is not None:
                out.append(self._events.usage(usage))
            out.append(DONE)
        self._over = True
        return b"".join(out)

    def _document(self, data: bytes) -> bytes:
        """The chat events for one event's data."""
        if self._over:
            return b""
        response = read_response(data)
        if response is None:
            return self._bare(data)
        if response.error != NULL:
            self._over = True
            return error_event(data)
        candidate = response.candidates[0] if response.candidates else None
        failure = failure_of(response, candidate)
        if failure is not None:
            self._over = True
            return error_event(failure)
        if response.usageMetadata != NULL:
            self._usage = response.usageMetadata
        if candidate is None:
            return b""
        try:
            return self._candidate(response, candidate)
        except (ValueError, RecursionError):
            self._over = True
            return MALFORMED

    def _bare(self, data: bytes) -> bytes:
        """An error without an event around it, or in a list; anything else is not understood."""
        try:
            items = _decode_list(data)
        except (ValueError, RecursionError):
            items = [Raw(data)]
        self._over = True
        for item in items:
            response = read_response(bytes(item))
            if response is not None and response.error != NULL:
                return error_event(bytes(item).replace(b"\r", b" "))
        return MALFORMED

    def _candidate(self, response: Response, candidate: Candidate) -> bytes:
        out = []
        events = self._events
        if events is None:
            reading = self._reading
            id_, model = response.responseId or reading.id, response.modelVersion or reading.model
            events = self._events = ChatEvents(id_, reading.created, model)
            out.append(events.role())
        for part in (candidate.content.parts if candidate.content is not None else None) or ():
            if part.functionCall is not None:
                out.append(self._call(events, part))
            elif part.text:
                out.append(events.reasoning(part.text) if part.thought else events.text(part.text))
            elif part.inlineData is not None and (image := image_of(part)) is not None:
                out.append(events.text(image))
        if candidate.finishReason is not None and not self._finished:
            reason = finish_of(candidate, called=self._calls > 0)
            if reason is not None:
                self._finished = True
                refused = reason == "content_filter" and candidate.finishMessage
                out.append(events.finish(reason, {"refusal": candidate.finishMessage} if refused else None))
        return b"".join(out)

    def _call(self, events: ChatEvents, part: Part) -> bytes:
        call = part.functionCall
        if call is None:
            return b""
        place = self._calls
        self._calls += 1
        name = self._reading.names.get(call.name, call.name)
        id_ = call_id(call, self._reading, place)
        return events.call(place, id_, name, arguments_of(call), **extra_of(part))
