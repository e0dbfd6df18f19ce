"""One line per request, for machines or for eyes, and never a forged one."""

import io
import json
import logging

import pytest

from proxy.core.event import AttemptEnded, FailedOver, RequestEnded, Rested, RetryRefused, StreamInterrupted
from proxy.core.names import DeploymentId
from proxy.telemetry.log import Log

A, B = DeploymentId("openai", "gpt-4o"), DeploymentId("claude", "sonnet")


class Written:
    """A log and what came out of it."""

    def __init__(self, log_format: str, level: str = "debug") -> None:
        self.raw = io.BytesIO()
        self.stream = io.TextIOWrapper(self.raw)
        self.log = Log(log_format, level, self.stream)

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
    assert ("info", "request", "req-1", "chat", "claude", "sonnet", 200, "ok", True) == tuple(
        fields[name]
        for name in ("level", "event", "request_id", "route", "upstream", "model", "status", "outcome", "stream")
    )
    assert [("openai/gpt-4o", "http_503", 312.0), ("claude/sonnet", "ok", 845.0)] == [
        (each["deployment"], each["outcome"], each["ms"]) for each in fields["attempts"]
    ]
    assert (1.2, 0.4, 5, 9) == (fields["duration_s"], fields["ttft_s"], fields["tokens_in"], fields["tokens_out"])
    assert pytest.approx(0.043) == fields["overhead_s"]


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


def test_other_events() -> None:
    written = Written("json")
    for event in (
        Rested(A, 0, True, "http_401", 300.0),
        Rested(A, None, False, "http_404", 300.0),
        FailedOver("chat", A, B, "http_503"),
        RetryRefused(A),
        StreamInterrupted(A, "cut"),
    ):
        written.log(event)
    fields = [json.loads(line) for line in written.lines()]

    assert ["rest", "rest", "failover", "retry budget used up", "stream interrupted"] == [
        each["event"] for each in fields
    ]
    assert ["openai", "openai/gpt-4o"] == [each["target"] for each in fields[:2]]


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
