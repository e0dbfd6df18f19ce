"""One line per request, for machines or for eyes, and never a forged one."""

import io
import json
import logging
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from proxy.core.event import (
    AttemptEnded,
    BreakerChanged,
    BudgetRefused,
    Controlled,
    Degraded,
    Ejected,
    FailedOver,
    Hedged,
    ProbeEnded,
    RampStarted,
    Recovered,
    RequestEnded,
    RestCleared,
    Rested,
    Resume,
    ResumeEnded,
    Shed,
    StoreRecovered,
    StoreTrouble,
    StreamInterrupted,
    TrendChanged,
)
from proxy.core.names import DeploymentId
from proxy.telemetry.bus import Bus
from proxy.telemetry.log import Log
from tests.support.happenings import CLASSES, one_of

A, B = DeploymentId("openai", "gpt-4o"), DeploymentId("claude", "sonnet")


class Written:
    """A log and what came out of it."""

    def __init__(self, log_format: str, level: str = "debug", clock: Callable[[], float] = time.monotonic) -> None:
        self.raw = io.BytesIO()
        self.stream = io.TextIOWrapper(self.raw)
        self.log = Log(log_format, level, self.stream, clock)

    def lines(self) -> list[str]:
        self.log.close()
        return self.raw.getvalue().decode().splitlines()


@pytest.fixture
def record() -> RequestEnded:
    return RequestEnded(
        "req-1",
        "chat",
        "gpt-4o",
        stream=True,
        status=200,
        deployment=B,
        attempts=(AttemptEnded(A, "http_503", 0.312, 503), AttemptEnded(B, "ok", 0.845, 200)),
        duration=1.2,
        waited_for_others=1.157,
        first_token=0.4,
        usage=b'{"usage":{"prompt_tokens":5,"completion_tokens":9}}',
    )


def test_json_line(record: RequestEnded) -> None:
    written = Written("json")
    written.log(record)
    (line,) = written.lines()
    fields = json.loads(line)

    assert ["ts", "level", "event"] == list(fields)[:3]
    assert "resumes" not in fields
    assert ("info", "request", "req-1", "chat", "claude", "sonnet", 200, "ok", True) == tuple(
        fields[name]
        for name in ("level", "event", "request_id", "route", "upstream", "model", "status", "outcome", "stream")
    )
    assert [("openai/gpt-4o", "http_503", 312.0), ("claude/sonnet", "ok", 845.0)] == [
        (each["deployment"], each["outcome"], each["ms"]) for each in fields["attempts"]
    ]
    assert (1.2, 0.4, 5, 9) == (fields["duration_s"], fields["ttft_s"], fields["tokens_in"], fields["tokens_out"])
    assert pytest.approx(0.043) == fields["overhead_s"]


def test_json_line_of_a_stream_that_was_finished_elsewhere(record: RequestEnded) -> None:
    record.resumes = (Resume(A, B, "idle_timeout", "prefill"),)
    (line,) = told(record)

    expected = {"from": "openai/gpt-4o", "to": "claude/sonnet", "cause": "idle_timeout", "mode": "prefill"}
    assert [expected] == line["resumes"]


def test_nobody_left_to_go_on_is_told_without_a_target() -> None:
    (line,) = told(ResumeEnded("chat", A, None, "cut", "none", "given_up", 2.0))

    assert ("warning", "none", "given_up") == (line["level"], line["mode"], line["outcome"])
    assert "target" not in line


def test_text_line(record: RequestEnded) -> None:
    written = Written("text")
    written.log(record)
    (line,) = written.lines()

    assert "openai/gpt-4o http_503 312 ms > claude/sonnet ok 845 ms" in line


def test_failed_requests_are_warnings(record: RequestEnded) -> None:
    record.status, record.outcome, record.flag = 502, "upstream_error", "UE"
    written = Written("json", level="warning")
    written.log(record)
    (line,) = written.lines()

    assert ("warning", "UE") == (json.loads(line)["level"], json.loads(line)["flag"])


def test_level_silences(record: RequestEnded) -> None:
    written = Written("json", level="warning")
    written.log(record)

    assert [] == written.lines()


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_forged_lines(record: RequestEnded, form: str) -> None:
    record.tags = 'evil\n{"event":"forged"}\x1b[31m'
    written = Written(form)
    written.log(record)

    assert 1 == len(written.lines())


def told(*events: Any, level: str = "debug") -> list[dict[str, Any]]:
    """The lines of some events."""
    written = Written("json", level)
    for event in events:
        written.log(event)
    return [json.loads(line) for line in written.lines()]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_event_has_its_line(cls: type) -> None:
    lines = told(one_of(cls))

    assert (cls is not AttemptEnded) == len(lines)
    assert None not in [value for line in lines for value in line.values()]


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_event_forges_a_line(form: str) -> None:
    written = Written(form)
    evil = 'evil\n{"event":"forged"}\x1b[31m'
    written.log(Controlled(DeploymentId("a", evil), "drain", evil, 5.0))
    written.log(StoreTrouble(evil))

    assert 2 == len(written.lines())


@pytest.mark.parametrize(
    ("event", "level", "fields"),
    [
        (
            BreakerChanged(A, "closed", "open", "error_rate", 60.12345),
            "warning",
            {"event": "breaker", "deployment": "openai/gpt-4o", "source": "closed", "target": "open",
             "cause": "error_rate", "for_s": 60.123},
        ),
        (BreakerChanged(A, "open", "half_open", "time"), "debug", {"target": "half_open"}),
        (BreakerChanged(A, "open", "half_open", "panic"), "debug", {"cause": "panic"}),
        (BreakerChanged(A, "half_open", "open", "probe_failed", 120.0), "warning", {"cause": "probe_failed"}),
        (BreakerChanged(A, "half_open", "closed", "probes_succeeded"), "info", {"target": "closed"}),
        (ProbeEnded(A, "ok", 0.25, "interval"), "debug", {"event": "probe", "outcome": "ok", "duration_s": 0.25}),
        (ProbeEnded(A, "cancelled", 0.25, "interval"), "debug", {"outcome": "cancelled"}),
        (ProbeEnded(A, "http_500", 0.25, "interval"), "warning", {"outcome": "http_500", "cause": "interval"}),
        (ProbeEnded(A, "http_500", 0.25, "operator"), "warning", {"cause": "operator"}),
        (ProbeEnded(A, "http_500", 0.25, "suspicion"), "info", {"cause": "suspicion"}),
        (Hedged("chat", A, B, 1.5), "debug", {"event": "hedge", "target": "claude/sonnet", "after_s": 1.5}),
        (FailedOver("chat", A, B, "http_503"), "debug", {"event": "failover", "reason": "http_503"}),
        (Degraded("chat", None, "last_resort", None), "debug", {"event": "degraded", "reason": "last_resort"}),
        (
            Controlled(A, "drain", "maintenance", 600.0),
            "info",
            {"event": "control", "deployment": "openai/gpt-4o", "action": "drain", "reason": "maintenance",
             "for_s": 600.0},
        ),
        (Controlled(None, "reset"), "info", {"deployment": "all", "action": "reset"}),
        (StoreTrouble("disk full"), "warning", {"event": "state store trouble", "problem": "disk full"}),
        (StoreRecovered(), "info", {"event": "state store recovered"}),
        (RampStarted(A, 30.0), "info", {"event": "ramp", "for_s": 30.0}),
        (Recovered(A, 95.5), "info", {"event": "recovered", "after_s": 95.5}),
        (Ejected(A, "chat", "latency", 30.0), "warning", {"event": "ejected", "reason": "latency", "for_s": 30.0}),
        (TrendChanged(A, "errors", 0.4), "warning", {"event": "trend", "reason": "errors", "moved_ratio": 0.4}),
        (TrendChanged(A, None, 0.0), "info", {"event": "trend", "moved_ratio": 0.0}),
        (Rested(A, 0, True, "http_401", 300.0), "warning", {"event": "rest", "target": "openai", "key": 0}),
        (Rested(A, None, False, "http_404", 300.0), "warning", {"target": "openai/gpt-4o", "for_s": 300.0}),
        (RestCleared(A, 0, True, "probe"), "info", {"event": "rest cleared", "target": "openai", "cause": "probe"}),
        (StreamInterrupted(A, "cut"), "warning", {"event": "stream interrupted", "code": "cut"}),
        (
            ResumeEnded("chat", A, B, "cut", "prefill", "continued", 0.31),
            "info",
            {"event": "resume", "route": "chat", "source": "openai/gpt-4o", "target": "claude/sonnet", "cause": "cut",
             "mode": "prefill", "outcome": "continued", "after_s": 0.31},
        ),
        (ResumeEnded("chat", A, B, "cut", "prefill", "refused", 0.1), "warning", {"outcome": "refused"}),
        (ResumeEnded("chat", A, B, "cut", "instruct", "failed", 0.1), "warning", {"outcome": "failed"}),
        (BudgetRefused(A, "hedge"), "warning", {"event": "budget used up", "upstream": "openai", "purpose": "hedge"}),
        (Shed("chat"), "warning", {"event": "shed", "route": "chat", "times": 1}),
    ],
)  # fmt: skip
def test_lines(event: Any, level: str, fields: dict[str, Any]) -> None:
    (line,) = told(event)

    assert level == line["level"]
    assert fields == {name: line[name] for name in fields}


def test_what_is_below_the_level_is_not_told() -> None:
    events = (Hedged("chat", A, B, 1.5), Recovered(A, 95.5), Ejected(A, "chat", "latency", 30.0))

    assert ["ejected"] == [line["event"] for line in told(*events, level="warning")]


def test_of_a_flood_one_line_a_second_is_written_and_all_are_counted() -> None:
    now = 100.0
    written = Written("json", clock=lambda: now)
    for _ in range(50):
        written.log(Shed("chat"))
    now += 0.9
    written.log(Shed("chat"))
    written.log(Shed("other"))
    now += 0.2
    written.log(AttemptEnded(A, "ok", 1.0))  # an event without a line brings what is due, too
    for _ in range(7):
        written.log(Shed("chat"))
    now += 5.0
    written.log(Shed("chat"))
    now += 5.0
    written.log(Shed("chat"))
    lines = [json.loads(line) for line in written.lines()]

    assert [("chat", 1), ("other", 1), ("chat", 50), ("chat", 7), ("chat", 1), ("chat", 1)] == [
        (line["route"], line["times"]) for line in lines
    ]


REQUESTS = (
    RequestEnded("req-1", "chat", "gpt-4o", stream=False),
    RequestEnded("req-2", "chat", 'evil\n"model', stream=True, status=500, outcome="http_500", flag="UF", tags="a=b"),
    RequestEnded(
        "req-3",
        "chat",
        "gpt-4o",
        stream=True,
        status=200,
        client="team",
        client_retry=2,
        deployment=B,
        attempts=(AttemptEnded(A, "http_503", 0.31249, 503), AttemptEnded(B, "ok", 0.84555, 200, 0.123456789)),
        resumes=(Resume(A, B, "cut", "prefill"),),
        duration=1.2000005,
        first_token=0.4000004,
        waited_for_others=1.3,
        usage=b'{"usage":{"prompt_tokens":5,"completion_tokens":9}}',
        cost=0.123456789,
        degraded="reason=failover;quality=0.6",
    ),
)


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_many_at_once_have_the_lines_that_each_has_by_itself(form: str, level: str) -> None:
    events = [event for cls in CLASSES for event in (*REQUESTS, one_of(cls))]
    one_by_one, together = Written(form, level), Written(form, level)
    for event in events:
        one_by_one.log(event)
    together.log.hear_all(iter(events))

    expected, actual = one_by_one.lines(), together.lines()
    assert [without_time(line) for line in expected] == [without_time(line) for line in actual]
    assert sorted(map(time_of, actual)) == [time_of(line) for line in actual]


def time_of(line: str) -> str:
    found = re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line)
    assert found, line
    return found[0]


def without_time(line: str) -> str:
    return line.replace(time_of(line), "")


def test_the_line_that_cannot_be_written_costs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    written, bus = Written("json", "info"), Bus()
    bus.tell_later(lambda _seconds, _call: None)
    bus.listen(written.log)
    good, bad, better = (RequestEnded(name, "chat", "m", stream=False) for name in ("good", "bad", "better"))
    bad.duration = float("inf")
    for event in (good, bad, better):
        bus.emit(event)
    with caplog.at_level(logging.ERROR):
        bus.flush()
    told = [json.loads(line).get("request_id") for line in written.lines()]

    assert 1 == len(caplog.records)
    assert ["good", "better"] == [name for name in told if name is not None]


def test_of_a_flood_all_are_counted_when_many_are_told_at_once() -> None:
    now = 100.0
    written = Written("json", clock=lambda: now)
    written.log.hear_all(iter([Shed("chat")] * 50))
    now += 1.5
    written.log.hear_all(iter([REQUESTS[0]] * 2))
    lines = [json.loads(line) for line in written.lines()]

    assert [("shed", 1), ("shed", 49), ("request", None), ("request", None)] == [
        (line["event"], line.get("times")) for line in lines
    ]


def test_floods_below_the_level_cost_nothing() -> None:
    assert [] == told(*[Shed("chat")] * 9, level="error")


def test_libraries_log_into_the_same_lines() -> None:
    written = Written("json")
    error = ValueError("inside")
    logging.getLogger("some.library").error("it broke: %s", "badly", exc_info=error)
    (line,) = written.lines()
    fields = json.loads(line)

    assert ("error", "it broke: badly", "some.library") == (fields["level"], fields["event"], fields["logger"])
    assert "ValueError: inside" in fields["exception"]


def test_format_auto_is_json_where_nobody_looks() -> None:
    assert not Written("auto").log.as_text
