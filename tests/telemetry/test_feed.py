"""The last events, numbered."""

import asyncio
import json
from typing import Any

import pytest

from proxy.core.event import AttemptEnded, BudgetRefused, RequestEnded, Resume
from proxy.core.names import DeploymentId
from proxy.telemetry.bus import Bus
from proxy.telemetry.feed import Feed
from tests.support.happenings import CLASSES, names_of, one_of

A = DeploymentId("a", "m")
REFUSED = BudgetRefused(A, "retry")


def test_numbers_and_what_came_after() -> None:
    feed = Feed()
    for _ in range(3):
        feed(REFUSED)

    assert 3 == feed.last
    assert [1, 2, 3] == [told.number for told in feed.after(0)]
    assert [2, 3] == [told.number for told in feed.after(1)]
    assert [] == feed.after(3)
    assert [] == feed.after(9)


def test_those_of_one_moment_have_one_time_and_a_number_each(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([10.0, 20.0])
    monkeypatch.setattr("proxy.telemetry.feed.time.time", lambda: next(moments))
    feed, large = Feed(), RequestEnded("id", "chat", "m", stream=True, usage=b" " * 1_000_000)
    feed.hear_all(iter([REFUSED, large]))
    feed.hear_all(iter([REFUSED]))
    feed(REFUSED, 30.0)

    assert [(1, 10.0), (2, 10.0), (3, 20.0), (4, 30.0)] == [(told.number, told.at) for told in feed.after(0)]
    assert None is getattr(feed.after(1)[0].event, "usage", "none such")
    assert [4] == [told.number for told in feed.after(3)]


def test_memory_is_bounded_and_gaps_show() -> None:
    feed = Feed()
    for _ in range(5000):
        feed(REFUSED)

    assert [4001, 5000] == [told.number for told in feed.after(0)][::999]
    assert [4999, 5000] == [told.number for told in feed.after(4998)]


def test_an_upstreams_json_is_not_kept() -> None:
    feed = Feed()
    record = RequestEnded("id", "chat", "m", stream=True, usage=b" " * 1_000_000)
    feed(record)
    (told,) = feed.after(0)

    assert isinstance(told.event, RequestEnded) and told.event.usage is None
    assert record.usage


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_event_is_one_line_of_json(cls: type) -> None:
    feed = Feed()
    feed(one_of(cls))
    (told,) = feed.after(0)
    line = json.loads(told.as_json())

    assert b"\n" not in told.as_json()
    assert cls.__name__ == line.pop("event")
    assert line.pop("at") > 0
    assert set(names_of(cls)) - {"usage"} == set(line)


def test_deployments_are_written_as_everywhere_else() -> None:
    feed = Feed()
    feed(AttemptEnded(A, "http_503", 0.5, 503))
    feed(RequestEnded("id", "chat", "evil\nmodel", stream=True, usage=b"{}", attempts=(AttemptEnded(A, "ok", 1.0),)))
    first, second = (json.loads(told.as_json()) for told in feed.after(0))

    assert ("AttemptEnded", "a/m", 503) == (first["event"], first["deployment"], first["status"])
    assert ["a/m"] == [attempt["deployment"] for attempt in second["attempts"]]
    assert None is second["deployment"]


def test_where_a_stream_was_gone_on_with_is_told() -> None:
    feed = Feed()
    resumes = (Resume(A, DeploymentId("b", "m"), "cut", "prefill"),)
    feed(RequestEnded("id", "chat", "m", stream=True, resumes=resumes))
    (told,) = feed.after(0)

    expected = {"source": "a/m", "target": "b/m", "cause": "cut", "mode": "prefill"}
    assert [expected] == json.loads(told.as_json())["resumes"]


def test_many_at_once_push_the_oldest_out_as_one_by_one() -> None:
    feed, single = Feed(), Feed()
    for first in range(0, 1300, 130):
        events = [RequestEnded(str(first + number), "chat", "m", stream=False) for number in range(130)]
        feed.hear_all(iter(events))
        for event in events:
            single(event)

    assert [told[:2] + told[3:] for told in single.after(0)] == [told[:2] + told[3:] for told in feed.after(0)]
    assert (1300, 301) == (feed.last, feed.after(0)[0].number)


def test_who_follows_is_woken_and_who_waits_in_vain_is_let_go() -> None:
    async def scenario() -> tuple[bool, ...]:
        feed = Feed()
        followers = [asyncio.create_task(feed.wait(0, 5.0)) for _ in range(3)]
        await asyncio.sleep(0)
        feed(REFUSED)
        return (*await asyncio.gather(*followers), await feed.wait(1, 0.01))

    assert (True, True, True, False) == asyncio.run(scenario())


def test_a_listener_that_fails_disturbs_nobody() -> None:
    heard: list[Any] = []

    def broken(_event: object) -> None:
        raise RuntimeError("a bug in a listener")

    bus = Bus()
    bus.listen(broken)
    bus.listen(heard.append)
    bus.emit(REFUSED)
    bus.emit(REFUSED)

    assert 2 == len(heard)
