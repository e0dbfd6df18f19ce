"""The last events, numbered."""

import json

from proxy.core.event import AttemptEnded, RequestEnded, RetryRefused
from proxy.core.names import DeploymentId
from proxy.telemetry.bus import Bus
from proxy.telemetry.feed import Feed

A = DeploymentId("a", "m")


def test_numbers_and_what_came_after() -> None:
    feed = Feed()
    for _ in range(3):
        feed(RetryRefused(A))

    assert 3 == feed.last
    assert [2, 3] == [told.number for told in feed.after(1)]
    assert [] == feed.after(3)


def test_memory_is_bounded_and_gaps_show() -> None:
    feed = Feed()
    for _ in range(5000):
        feed(RetryRefused(A))

    assert [4001, 5000] == [told.number for told in feed.after(0)][::999]


def test_events_are_one_line_of_json() -> None:
    feed = Feed()
    feed(AttemptEnded(A, "http_503", 0.5, 503))
    feed(RequestEnded("id", "chat", "evil\nmodel", stream=True, usage=b"{}", attempts=(AttemptEnded(A, "ok", 1.0),)))
    first, second = (told.as_json() for told in feed.after(0))

    assert ("AttemptEnded", "a/m", 503) == (
        json.loads(first)["event"],
        json.loads(first)["deployment"],
        json.loads(first)["status"],
    )
    assert b"\n" not in second
    assert "usage" not in json.loads(second)


def test_a_listener_that_fails_disturbs_nobody() -> None:
    heard: list[object] = []

    def broken(_event: object) -> None:
        raise RuntimeError("a bug in a listener")

    bus = Bus()
    bus.listen(broken)
    bus.listen(heard.append)
    bus.emit(RetryRefused(A))
    bus.emit(RetryRefused(A))

    assert 2 == len(heard)
