"""Reading the configuration again: checked as a whole, then taken as a whole, or not at all."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from proxy.config.finding import Finding, as_json
from proxy.config.load import Loaded
from proxy.config.settings import Settings
from proxy.control.source import Mark, Source
from proxy.core.event import Happening, Reloaded

_EVERY_S = 1.0
"""Seconds between two looks at the file."""
_STABLE_S = 0.3
"""Seconds for which a changed file must stay as it is: whoever writes it may not be at the end."""

_logger = logging.getLogger("holdfast.control")


class RefusedError(Exception):
    """A configuration without errors that this process cannot take; the message says why."""


@dataclass(frozen=True, slots=True)
class Reload:
    """What came of reading it once."""

    cause: str
    """`operator`, `signal` or `file`."""
    loaded: Loaded
    settings: Settings | None
    """Those that are in force since; None when nothing has changed, because of errors."""
    findings: tuple[Finding, ...]
    restart: tuple[str, ...]
    """Keys whose new values take effect at the next start only."""
    at: float
    """The wall clock, in seconds, when it was over."""
    duration: float
    """Seconds."""

    @property
    def ok(self) -> bool:
        """Whether it was taken."""
        return self.settings is not None

    def count(self, severity: str) -> int:
        """How many findings there are of a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    @property
    def message(self) -> str | None:
        """The first error with its place; without one, what takes a restart."""
        error = next((finding for finding in self.findings if finding.severity == "error"), None)
        if error is not None:
            return f"{error.file}:{error.line}:{error.column}: {error.message}" if error.line else error.message
        return f"takes effect at a restart: {', '.join(self.restart)}" if self.restart else None

    def summary(self) -> dict[str, object]:
        """In short, as plain data."""
        return {
            "outcome": "ok" if self.ok else "refused",
            "at": round(self.at, 3),
            "cause": self.cause,
            "errors": self.count("error"),
            "warnings": self.count("warning"),
            "message": self.message,
        }

    def document(self) -> dict[str, object]:
        """In full: `text` is a finding as `holdfast check` prints it."""
        findings = [{**as_json(finding), "text": self.loaded.as_text(finding)} for finding in self.findings]
        restart = list(self.restart)
        return {**self.summary(), "duration_s": round(self.duration, 4), "restart": restart, "findings": findings}


class Reloader:
    """Reads the configuration again, one time after another."""

    def __init__(
        self,
        source: Source,
        take: Callable[[Settings, Loaded], Awaitable[Sequence[Finding]]],
        emit: Callable[[Happening], None],
        told: Callable[[Reload], None],
    ) -> None:
        """`take` puts settings in force and returns what takes a restart; it raises RefusedError, and has then changed
        nothing. `told` hears what came of each time."""
        self.last: Reload | None = None
        self.last_elsewhere: Mapping[str, object] | None = None
        """Where several processes serve: what came, in short, of the last time that another one of them read it."""
        self._source = source
        self._take = take
        self._emit = emit
        self._told = told
        self._one_at_a_time = asyncio.Lock()

    def summary(self) -> Mapping[str, object] | None:
        """What came of the last time, in short."""
        return self.last_elsewhere if self.last is None else self.last.summary()

    @property
    def mark(self) -> Mark | None:
        """That of the file as it was last read, here or, where several processes serve, by another one of them."""
        return self._source.read

    @mark.setter
    def mark(self, mark: Mark | None) -> None:
        self._source.read = mark

    async def reload(self, cause: str, reason: str | None = None) -> Reload:
        """Read it now, for a cause, and for an operator's reason.

        Whoever asks while that is under way gets a reading of their own after it.
        """
        async with self._one_at_a_time:
            clock = asyncio.get_running_loop().time
            started = clock()
            reload = replace(await self._read(cause), at=time.time(), duration=clock() - started)
            self.last = reload
            self._told(reload)
            outcome = "ok" if reload.ok else "refused"
            errors, warnings = reload.count("error"), reload.count("warning")
            self._emit(Reloaded(outcome, cause, errors, warnings, reload.message, reload.duration, reason))
            return reload

    async def watch(self, wanted: Callable[[], bool]) -> None:
        """Read it whenever the file has changed, as long as that is wanted. Runs until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                if wanted() and await self._has_changed():
                    await self.reload("file")
            except Exception:
                # A bug in one reading must not end the watch over the next.
                _logger.exception("a bug of the proxy, in watching its configuration")

    async def _has_changed(self) -> bool:
        """Whether there is another file than the one that was read, and nobody is writing it."""
        seen: Mark | None = await self._source.look()
        while seen is not None and seen != self._source.read:
            await asyncio.sleep(_STABLE_S)
            before, seen = seen, await self._source.look()
            if before == seen:
                return seen != self._source.read
        # What is gone may be on its way back; until then the configuration that is in force will do.
        return False

    async def _read(self, cause: str) -> Reload:
        loaded, settings = await self._source.load_again()
        read = Reload(cause, loaded, settings, loaded.findings, (), 0.0, 0.0)
        if settings is None:
            return read
        try:
            lasting = await self._take(settings, loaded)
        except RefusedError as refused:
            finding = Finding("error", str(refused), 0, 0, "", str(self._source.path))
            return replace(read, settings=None, findings=(*loaded.findings, finding))
        restart = tuple(finding.path for finding in lasting)
        return replace(read, findings=(*loaded.findings, *lasting), restart=restart)
