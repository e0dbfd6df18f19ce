from json import loads
from typing import get_args

import pytest

from proxy.cli.words import span, subject, words
from proxy.core.event import (
    AttemptEnded,
    BreakerChanged,
    BudgetRefused,
    Controlled,
    Degraded,
    Ejected,
    FailedOver,
    Happening,
    Hedged,
    ProbeEnded,
    RampStarted,
    Recovered,
    Reloaded,
    RequestEnded,
    RestCleared,
    Rested,
    ResumeEnded,
    Shed,
    StoreRecovered,
    StoreTrouble,
    StreamInterrupted,
    TrendChanged,
)
from proxy.core.names import DeploymentId
from proxy.telemetry.feed import Told

U, V = DeploymentId("u", "m"), DeploymentId("v", "m")
REQUEST = RequestEnded("id", "chat", "chat", stream=True, status=200, deployment=V, duration=0.31)
SAID: list[tuple[Happening, str, str]] = [
    (AttemptEnded(U, "ok", 0.3121), "u/m", "answered in 312 ms"),
    (AttemptEnded(U, "http_503", 1.25, 503), "u/m", "http_503 after 1.2 s"),
    (FailedOver("chat", U, V, "http_503"), "chat", "went on from u/m to v/m (http_503)"),
    (Rested(U, None, False, "quota", 300.0), "u/m", "rests for 5 min (quota)"),
    (Rested(U, 1, True, "quota", 7200.0), "u/m", "key 2 rests for 2.0 h (quota), for every model of its upstream"),
    (RestCleared(U, 1, True, "reload"), "u/m", "the rest of key 2 is over: the key is no longer configured"),
    (RestCleared(U, None, False, "probe"), "u/m", "its rest is over: a probe says so"),
    (RestCleared(U, 0, True, "operator"), "u/m", "the rest of key 1 is over: an operator says so"),
    (BreakerChanged(U, "closed", "open", "consecutive_failures", 60.0), "u/m",
     "breaker opened for 60 s: too many failures in a row"),
    (BreakerChanged(U, "open", "half_open", "time"), "u/m", "breaker half-open: its time is over"),
    (BreakerChanged(U, "half_open", "closed", "probes_succeeded"), "u/m",
     "breaker closed: its probes were answered well"),
    (Ejected(U, "chat", "errors", 30.0), "u/m", "left out for 30 s: its siblings do far better (errors)"),
    (TrendChanged(U, "latency", 0.2), "u/m", "it gets slower: 20% of its traffic is moved away"),
    (TrendChanged(U, None, 0.0), "u/m", "its trend is good again"),
    (RampStarted(U, 30.0), "u/m", "is back, and gets all its traffic back within 30 s"),
    (Recovered(U, 600.0), "u/m", "is well again, 10 min after its trouble began"),
    (ProbeEnded(U, "ok", 0.05, "interval"), "u/m", "probe answered in 50 ms (interval)"),
    (ProbeEnded(U, "http_500", 0.05, "operator"), "u/m", "probe failed after 50 ms: http_500 (an operator)"),
    (Hedged("chat", U, V, 0.8), "chat", "asked v/m, too: u/m was silent for 800 ms"),
    (BudgetRefused(U, "retry"), "u/m", "no retry: a budget is used up"),
    (Shed("chat"), "chat", "refused a request: every deployment is full, and so is the queue"),
    (Degraded("chat", V, "failover", 0.6), "chat", "answered by v/m, below its first choice (failover, quality 0.6)"),
    (Degraded("chat", None, "last_resort", None), "chat",
     "answered by the last resort, below its first choice (last_resort)"),
    (Controlled(U, "drain", "new disk", 60.0), "u/m", "drained by an operator: no new requests for 60 s (new disk)"),
    (Controlled(None, "reset"), "all", "reset by an operator: breakers, rests, orders"),
    (StreamInterrupted(U, "idle_timeout"), "u/m", "a stream broke off (idle_timeout)"),
    (ResumeEnded("chat", U, V, "cut", "prefill", "continued", 0.31), "chat",
     "u/m broke off (cut); v/m went on by prefill after 310 ms"),
    (ResumeEnded("chat", U, V, "cut", "prefill", "refused", 0.05), "chat",
     "u/m broke off (cut); v/m could not go on by prefill after 50 ms"),
    (ResumeEnded("chat", U, V, "cut", "restart", "failed", 4.0), "chat",
     "u/m broke off (cut); v/m failed to go on by restart after 4.0 s"),
    (ResumeEnded("chat", U, None, "idle_timeout", "none", "given_up", 4.0), "chat",
     "u/m broke off (idle_timeout), and nobody could go on"),
    (Reloaded("ok", "file", 0, 1, None, 0.01), "proxy", "another configuration is in force"),
    (Reloaded("ok", "signal", 0, 1, "takes effect at a restart: server.port", 0.01), "proxy",
     "another configuration is in force (takes effect at a restart: server.port)"),
    (Reloaded("refused", "operator", 2, 0, "routes.yaml:3:1: unknown key", 0.01), "proxy",
     "the new configuration was refused, nothing has changed: routes.yaml:3:1: unknown key"),
    (StoreTrouble("disk full"), "proxy", "state is not kept: disk full"),
    (StoreRecovered(), "proxy", "state is kept again"),
    (REQUEST, "chat", "answered by v/m in 310 ms"),
    (RequestEnded("id", "chat", "chat", stream=True, status=503, outcome="no_healthy_upstream"), "chat",
     "503 no_healthy_upstream after 0 ms"),
]  # fmt: skip


@pytest.mark.parametrize(("event", "about", "said"), SAID, ids=lambda each: type(each).__name__)
def test_in_words(event: Happening, about: str, said: str) -> None:
    shown = loads(Told(1, type(event).__name__, 1.0, event).as_json())
    assert (about, said) == (subject(shown), words(shown))


def test_every_event_has_its_words() -> None:
    assert set(get_args(Happening)) == {type(event) for event, _, _ in SAID}


def test_what_is_not_known_is_shown_as_it_is() -> None:
    assert "size=3" == words({"event": "New", "at": 1.0, "deployment": "u/m", "size": 3})
    assert "proxy" == subject({"event": "New"})
    assert "outcome=\\x1b[2J" == words({"event": "AttemptEnded", "outcome": "\x1b[2J"})


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 ms"), (0.312, "312 ms"), (0.9996, "1.0 s"), (4.24, "4.2 s"), (9.96, "10 s"), (60, "60 s"), (99.4, "99 s"),
     (100, "2 min"), (600, "10 min"), (3600, "60 min"), (12_600, "3.5 h"), (1_000_000, "12 d")],
)  # fmt: skip
def test_spans(seconds: float, said: str) -> None:
    assert said == span(seconds)
