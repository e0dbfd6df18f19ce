"""What the supervisor needs of what is around it: the log, and the service manager."""

from __future__ import annotations

from typing import Any, Protocol


class Says(Protocol):
    """The log."""

    def info(self, event: str, **fields: Any) -> None:
        """A line."""

    def warning(self, event: str, **fields: Any) -> None:
        """A line that wants somebody's eye."""


class Notifies(Protocol):
    """The service manager."""

    patience: float | None
    """Seconds within which it wants a sign of life; None where it wants none."""

    def ready(self) -> None:
        """It serves."""

    def reloading(self) -> None:
        """It reads its configuration again."""

    def stopping(self) -> None:
        """It is on its way out."""

    def alive(self) -> None:
        """A sign of life."""
