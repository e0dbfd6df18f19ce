"""The log: one canonical line per request, and a line for each notable event, through structlog.

JSON for machines, aligned text for a terminal. Numbers carry their unit in the field's name. Never prompt text, never
keys; messages of upstreams are not logged either, since they may echo both.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from proxy.core.event import FailedOver, Happening, RequestEnded, Rested, RetryRefused, StreamInterrupted
from proxy.telemetry.line_writer import LineWriter
from proxy.telemetry.usage import read_usage

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_encoder = msgspec.json.Encoder(enc_hook=repr)


class Log:
    """The process's log, and a listener of its events."""

    def __init__(self, log_format: str = "auto", level: str = "info", stream: TextIO | None = None) -> None:
        """`log_format` is `auto` (text on a terminal, else json), `text` or `json`."""
        stream = stream or sys.stderr
        self.as_text = log_format == "text" or (log_format == "auto" and stream.isatty())
        self._writer = LineWriter(stream.buffer)
        processors = _processors(colours=self.as_text and stream.isatty(), as_text=self.as_text)
        self._logger = structlog.wrap_logger(
            _Lines(self._writer),
            processors=processors,
            wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
            cache_logger_on_first_use=True,
        )
        self._bridge = _Bridge(processors, self._writer)
        root = logging.getLogger()
        root.addHandler(self._bridge)
        root.setLevel(max(_LEVELS[level], logging.WARNING))

    def info(self, event: str, **fields: Any) -> None:
        """Log a line of the proxy's own."""
        self._logger.info(event, **fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Log a line that wants somebody's eye."""
        self._logger.warning(event, **fields)

    def close(self) -> None:
        """Write what is waiting and stop."""
        logging.getLogger().removeHandler(self._bridge)
        self._writer.close()

    def __call__(self, event: Happening) -> None:
        """Listen to one event."""
        if isinstance(event, RequestEnded):
            fields = _request_fields(event)
            (self._logger.info if event.status < 500 else self._logger.warning)("request", **fields)
        elif isinstance(event, Rested):
            where = event.deployment.upstream if event.whole_upstream else str(event.deployment)
            self._logger.warning(
                "rest", target=where, key=event.key, reason=event.reason, for_s=round(event.duration, 3)
            )
        elif isinstance(event, FailedOver):
            self._logger.debug("failover", source=str(event.source), target=str(event.target), reason=event.reason)
        elif isinstance(event, RetryRefused):
            self._logger.warning("retry budget used up", deployment=str(event.deployment))
        elif isinstance(event, StreamInterrupted):
            self._logger.warning("stream interrupted", deployment=str(event.deployment), code=event.code)


def _request_fields(record: RequestEnded) -> dict[str, Any]:
    tokens = read_usage(record.usage)
    fields: dict[str, Any] = {
        "request_id": record.request_id,
        "route": record.route,
        "model_asked": record.model_asked,
        "upstream": record.deployment.upstream if record.deployment else None,
        "model": record.deployment.model if record.deployment else None,
        "status": record.status,
        "outcome": record.outcome,
        "flag": record.flag or None,
        "stream": record.stream,
        "attempts": [
            {
                "deployment": str(attempt.deployment),
                "outcome": attempt.outcome,
                "status": attempt.status,
                "ms": round(attempt.duration * 1000, 1),
            }
            for attempt in record.attempts
        ],
        "ttft_s": _rounded(record.first_token),
        "duration_s": _rounded(record.duration),
        "overhead_s": _rounded(max(0.0, record.duration - record.waited_for_others)),
        "tokens_in": tokens.prompt,
        "tokens_out": tokens.completion,
        "degraded": record.degraded,
        "client": record.client,
        "client_retry": record.client_retry or None,
        "tags": record.tags,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


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


def _as_json(_logger: WrappedLogger, _method: str, fields: EventDict) -> str:
    ordered = {"ts": fields.pop("ts"), "level": fields.pop("level"), "event": fields.pop("event")}
    return _encoder.encode({**ordered, **fields}).decode()


def _trail_as_text(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    attempts = fields.get("attempts")
    if isinstance(attempts, list):
        fields["attempts"] = " > ".join(
            f"{each['deployment']} {each['outcome']} {each['ms']:.0f} ms" for each in attempts
        )
    return fields


class _Lines:
    """What structlog writes its rendered lines to."""

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer

    def write(self, line: str) -> None:
        self._writer.write(line.encode(errors="replace"))

    debug = info = warning = error = write


class _Bridge(logging.Handler):
    """Brings what libraries log into the same lines."""

    def __init__(self, processors: list[Processor], writer: LineWriter) -> None:
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
