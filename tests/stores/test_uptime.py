"""Ages by a clock that nobody can set."""

import math
import time
import uuid
from pathlib import Path

import pytest

from proxy.stores.uptime import Moment, _boot_identity, age, boot_clock


def test_this_boot_is_known_and_time_goes_forward() -> None:
    (boot, then), (same_boot, now) = boot_clock(), boot_clock()

    assert boot == same_boot
    assert now >= then >= 0


@pytest.mark.skipif(not Path("/proc/sys/kernel/random/boot_id").exists(), reason="this system does not name its boots")
def test_the_identity_is_the_systems_own() -> None:
    assert Path("/proc/sys/kernel/random/boot_id").read_text().strip() == boot_clock()[0]


def test_the_wall_clock_has_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    _, then = boot_clock()
    monkeypatch.setattr(time, "time", lambda: 0.0)

    assert boot_clock()[1] >= then


def test_elsewhere_the_seconds_count_from_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    first, second = boot_clock()[1], boot_clock()[1]

    assert second >= first


@pytest.mark.parametrize("content", [b"", b"unknown\n", b"\xff\xfe", str(uuid.UUID(int=0)).encode(), None])
def test_no_trustworthy_identity(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "boot_id"
    if content is not None:
        path.write_bytes(content)

    assert _boot_identity(path) is None


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        (Moment("a", 100.0), Moment("a", 160.0), 60.0),
        (Moment("a", 100.0), Moment("a", 100.0), 0.0),
        (Moment("a", 100.0), Moment("b", 160.0), None),
        (Moment(None, 100.0), Moment(None, 160.0), None),
        (Moment("a", 160.0), Moment("a", 100.0), None),
        (Moment("a", -math.inf), Moment("a", 100.0), None),
        (Moment("a", math.inf), Moment("a", 100.0), None),
        (Moment("a", math.nan), Moment("a", 100.0), None),
    ],
)
def test_age(then: Moment, now: Moment, expected: float | None) -> None:
    assert expected == age(then, now)
