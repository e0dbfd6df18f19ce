"""Ollama's stream: one JSON object in each line, the last of which is `done`."""

from __future__ import annotations

from proxy.dialects.chat_events import DONE, MALFORMED, ChatEvents, error_event
from proxy.dialects.dialect import Reading
from proxy.dialects.ollama.answer import Answer, finish_reason, logprobs, read_line, usage, written_calls
from proxy.dialects.raw_json import NULL
from proxy.streams.sse import MAX_EVENT


class OllamaTranslator:
    """Turns one stream into chat events; see `dialect.py: Translator`."""

    __slots__ = ("_calls", "_ended", "_events", "_pieces", "_reading", "_size")

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._events: ChatEvents | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._calls = 0
        self._ended = False

    def feed(self, data: bytes) -> bytes:
        """The events that these bytes complete."""
        if self._ended:
            return b""
        *lines, rest = data.split(b"\n")
        if lines and self._pieces:
            lines[0] = b"".join((*self._pieces, lines[0]))
            self._pieces.clear()
            self._size = 0
        events = [self._line(line) for line in lines]
        if rest:
            self._pieces.append(rest)
            self._size += len(rest)
            if self._size > MAX_EVENT and not self._ended:
                events.append(self._malformed())
        return b"".join(events)

    def end(self) -> bytes:
        """What a last line without its line end says."""
        line = b"".join(self._pieces)
        self._pieces.clear()
        # A line that was cut off says nothing: it is the marker that is missing, not the line that is wrong.
        return self._line(line) if read_line(line) is not None else b""

    def _line(self, line: bytes) -> bytes:
        if self._ended or not line or line.isspace():
            return b""
        answer = read_line(line)
        if answer is None:
            return self._malformed()
        if answer.error != NULL:
            self._ended = True
            return error_event(line.strip().replace(b"\r", b" "))
        return self._answer(answer)

    def _malformed(self) -> bytes:
        self._ended = True
        self._pieces.clear()
        return MALFORMED

    def _answer(self, answer: Answer) -> bytes:
        events = self._events
        if events is None:
            reading = self._reading
            events = self._events = ChatEvents(reading.id, reading.created, answer.model or reading.model)
            said = events.role() + self._message(answer, events)
        else:
            said = self._message(answer, events)
        if not answer.done:
            return said
        self._ended = True
        told = usage(answer)
        finish = events.finish(finish_reason(answer, called=self._calls > 0))
        return said + finish + (b"" if told is None else events.usage(told)) + DONE

    def _message(self, answer: Answer, events: ChatEvents) -> bytes:
        message = answer.message
        if message is None:
            return b""
        likely = logprobs(answer)
        written = events.reasoning(message.thinking) if message.thinking else b""
        if likely is not None:
            written += events.delta({"content": message.content or ""}, likely)
        elif message.content:
            written += events.text(message.content)
        for call in written_calls(message.tool_calls or (), self._reading, self._calls):
            function = call["function"]
            written += events.call(self._calls, call["id"], function["name"], function["arguments"])
            self._calls += 1
        return written
