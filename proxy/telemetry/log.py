"""The log: one canonical line per request, and a line for each notable event, through structlog.

JSON for machines, aligned text for a terminal. What the lines say stands in `lines.py`.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, BinaryIO, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from proxy.core.event import Happening, RequestEnded
from proxy.telemetry.floods import Floods
from proxy.telemetry.line_writer import LineWriter, Writer
from proxy.telemetry.lines import LINES, Fields, request_level, request_line

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_LEVEL_NAMES = {number: name for name, number in _LEVELS.items()}
_encode = msgspec.json.Encoder(enc_hook=repr).encode


class Log:
    """The process's log, and a listener of its events."""

    hears = frozenset(LINES)

    def __init__(
        self,
        log_format: str = "auto",
        level: str = "info",
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        worker: int | None = None,
        writer: Callable[[BinaryIO], Writer] = LineWriter,
    ) -> None:
        """`log_format` is `auto` (text on a terminal, else json), `text` or `json`. Every line names the `worker`."""
        self._stream = stream or sys.stderr
        self._fields: Fields = {} if worker is None else {"worker": worker}
        self._worker = worker
        self._writer = writer(self._stream.buffer)
        self._floods = Floods(self._tell, clock)
        self._bridge: _Bridge | None = None
        self.change(log_format, level)

    def change(self, log_format: str, level: str) -> None:
        """Write in another form, or more or less, from the next line on."""
        terminal = self._stream.isatty()
        self.as_text = log_format == "text" or (log_format == "auto" and terminal)
        self._level = _LEVELS[level]
        always: list[Processor] = [_with(self._fields)] if self._fields else []
        processors = always + _processors(colours=self.as_text and terminal, as_text=self.as_text)
        self._logger = structlog.wrap_logger(
            _Lines(self._writer),
            processors=processors,
            wrapper_class=structlog.make_filtering_bound_logger(self._level),
            cache_logger_on_first_use=True,
        )
        root = logging.getLogger()
        if self._bridge is not None:
            root.removeHandler(self._bridge)
        self._bridge = _Bridge(processors, self._writer)
        root.addHandler(self._bridge)
        root.setLevel(max(self._level, logging.WARNING))

    def info(self, event: str, **fields: Any) -> None:
        """Log a line of the proxy's own."""
        self._logger.info(event, **fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Log a line that wants somebody's eye."""
        self._logger.warning(event, **fields)

    def close(self) -> None:
        """Write what is waiting and stop."""
        self._floods.settle(ends=True)
        if self._bridge is not None:
            logging.getLogger().removeHandler(self._bridge)
        self._writer.close()

    def __call__(self, event: Happening) -> None:
        """Listen to one event."""
        self._floods.settle()
        line = LINES.get(event.__class__)
        if line is None:
            return
        level = line.level if isinstance(line.level, int) else line.level(event)
        if level < self._level:
            return
        tell = self._floods.tell if line.floods else self._tell
        tell(level, line.name, {name: value for name, value in line.fields(event).items() if value is not None})

    def hear_all(self, events: Iterable[Happening]) -> None:
        """Listen to all events of one moment. The line that there is one of for each request goes no way round."""
        if self.as_text:
            for event in events:
                self(event)
            return
        self._floods.settle()
        ts = ""
        for event in events:
            if not isinstance(event, RequestEnded):
                self(event)
                # It took a time of its own, and what comes next must not be before it.
                ts = ""
                continue
            level = request_level(event)
            if level >= self._level:
                ts = ts or _timestamp(time.time())
                self._writer.write(_encode(request_line(event, ts, _LEVEL_NAMES[level], self._worker)))

    def _tell(self, level: int, name: str, fields: Fields) -> None:
        self._logger.log(level, name, **fields)


def _processors(*, colours: bool, as_text: bool) -> list[Processor]:
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.format_exc_info,
    ]
    if as_text:
        return [
            *shared,
            _trail_as_text,
            structlog.dev.ConsoleRenderer(colors=colours, timestamp_key="ts", pad_event_to=0),
        ]
    return [*shared, _as_json]


def _timestamp(now: float) -> str:
    """As structlog's own: ISO 8601 in UTC, with microseconds."""
    second = int(now)
    return f"{_until_second(second)}.{int((now - second) * 1e6):06d}Z"


@lru_cache(maxsize=1)
def _until_second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _with(always: Fields) -> Processor:
    def add(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
        return {**fields, **always}

    return add


def _as_json(_logger: WrappedLogger, _method: str, fields: EventDict) -> str:
    ordered = {"ts": fields.pop("ts"), "level": fields.pop("level"), "event": fields.pop("event")}
    return _encode({**ordered, **fields}).decode()


def _trail_as_text(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    attempts = fields.get("attempts")
    if isinstance(attempts, list):
        fields["attempts"] = " > ".join(
            f"{each['deployment']} {each['outcome']} {each['ms']:.0f} ms" for each in attempts
        )
    return fields


class _Lines:
    """What structlog writes its rendered lines to."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def write(self, line: str) -> None:
        self._writer.write(line.encode(errors="replace"))

    debug = info = warning = error = write


class _Bridge(logging.Handler):
    """Brings what libraries log into the same lines."""

    def __init__(self, processors: list[Processor], writer: Writer) -> None:
        super().__init__()
        self._processors = processors
        self._line_writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        fields: Any = {"event": record.getMessage(), "logger": record.name, "exc_info": record.exc_info}
        if fields["exc_info"] is None:
            del fields["exc_info"]
        method = record.levelname.lower()
        for processor in self._processors:
            fields = processor(None, method, fields)
        self._line_writer.write(str(fields).encode(errors="replace"))
