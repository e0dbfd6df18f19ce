import pytest

from proxy.config.units import UnitError, parse_duration, parse_share, parse_size, show_duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30),
        ("5m", 300),
        ("1.5h", 5400),
        ("1d", 86400),
        (" 3 s ", 3),
        (0, 0),
        (0.0, 0),
        ("0s", 0),
    ],
)
def test_durations(written: object, seconds: float) -> None:
    assert parse_duration(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written", [30, "30", "abc", "-1s", "1e3s", "1m30s", None, True, False, [], "31d", "9" * 400 + "s"]
)
def test_not_durations(written: object) -> None:
    with pytest.raises(UnitError):
        parse_duration(written)


@pytest.mark.parametrize(
    ("written", "size"), [("512KB", 524288), ("32MB", 33554432), ("1.5 gb", 1610612736), ("10b", 10), ("1GB", 1024**3)]
)
def test_sizes(written: str, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize("written", [0, 32, "32", "32TB", "MB", None, True, "9" * 400 + "GB", "2000GB"])
def test_not_sizes(written: object) -> None:
    with pytest.raises(UnitError):
        parse_size(written)


@pytest.mark.parametrize(("written", "share"), [(0.6, 0.6), ("60%", 0.6), (0, 0), (1, 1), ("100%", 1), (" 5 % ", 0.05)])
def test_shares(written: object, share: float) -> None:
    assert parse_share(written) == pytest.approx(share)


@pytest.mark.parametrize("written", [1.1, -0.1, "0.6", "101%", True, None, float("nan"), "x"])
def test_not_shares(written: object) -> None:
    with pytest.raises(UnitError):
        parse_share(written)


def test_a_unit_error_repeats_the_value_for_people_and_keeps_it_apart_for_findings() -> None:
    error = UnitError("abc", "is not a size")
    assert str(error) == "'abc' is not a size"
    assert error.problem == "is not a size"


@pytest.mark.parametrize(("seconds", "shown"), [(0.312, "312ms"), (4.5, "4.5s"), (120, "2m"), (90, "90s"), (0, "0ms")])
def test_shown_durations(seconds: float, shown: str) -> None:
    assert show_duration(seconds) == shown
