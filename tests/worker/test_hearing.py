"""What a worker is told is heard in the order in which it was said, but for what can be heeded at any time."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from proxy.worker.hearing import Hearing
from proxy.workers.frames import SUPERVISOR
from proxy.workers.link import Message


class Worker:
    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.hearing = Hearing(self._at_once, self._heed, self._hear, lambda: self.heard.append("batch"))

    def _at_once(self, message: Message) -> bool:
        if message[0] != "stop":
            return False
        self.heard.append(message)
        return True

    def _heed(self, *said: Any) -> None:
        self.heard.append(("supervisor", *said))

    def _hear(self, kind: str, *said: Any) -> None:
        if kind == "nonsense":
            raise KeyError(kind)
        self.heard.append(("other", kind, *said))


def test_what_came_early_is_kept_and_heard_first() -> None:
    worker = Worker()
    worker.hearing(1, [("event", 1)])
    worker.hearing(SUPERVISOR, [("lead",), ("stop",)])
    assert [("stop",)] == worker.heard

    worker.hearing.begin()
    worker.hearing(2, [("event", 2)])
    assert [
        ("other", "event", 1),
        "batch",
        ("supervisor", "lead"),
        "batch",
        ("other", "event", 2),
        "batch",
    ] == worker.heard[1:]


def test_one_message_that_makes_no_sense_does_not_cost_the_others(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker()
    worker.hearing.begin()
    with caplog.at_level(logging.ERROR):
        worker.hearing(1, [("nonsense",), ("event", 1)])

    assert [("other", "event", 1), "batch"] == worker.heard
    assert ["a bug of the proxy, in what a worker was told (nonsense)"] == [
        each.getMessage() for each in caplog.records
    ]
