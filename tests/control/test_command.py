"""What a command's body may say."""

import json
import math

import pytest

from proxy.control.command import ACTIONS, Command, read_command
from proxy.core.errors import ClientError


def refused(action: str, body: bytes) -> tuple[str, str | None]:
    with pytest.raises(ClientError) as caught:
        read_command(action, body)
    assert 400 == caught.value.status
    assert len(caught.value.message) < 600
    return caught.value.message, caught.value.param


@pytest.mark.parametrize("body", [b"", b"  \n", b"{}", b'{"reason": null}', b'{"reason": ""}'])
def test_nothing_needs_to_be_said(body: bytes) -> None:
    for action in ACTIONS:
        if action != "weight":
            assert Command() == read_command(action, body)


@pytest.mark.parametrize(
    ("given", "seconds"), [('"10m"', 600.0), ('"250ms"', 0.25), ("90", 90.0), ("0.5", 0.5), ('"30d"', 2_592_000.0)]
)
def test_a_duration(given: str, seconds: float) -> None:
    body = f'{{"for": {given}, "reason": "new disk"}}'.encode()
    assert Command("new disk", seconds) == read_command("open", body)


@pytest.mark.parametrize(
    "given",
    [
        "0",
        "-1",
        '"0s"',
        '"ten"',
        '"10"',
        "true",
        "[]",
        "{}",
        "2592001",
        '"31d"',
        "1" + "0" * 400,
        '"' + "9" * 999 + 'd"',
    ],
)
def test_no_duration(given: str) -> None:
    assert "for" == refused("open", f'{{"for": {given}}}'.encode())[1]


@pytest.mark.parametrize("given", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_no_number_of_json(given: str) -> None:
    refused("open", f'{{"for": {given}}}'.encode())
    refused("weight", f'{{"value": {given}}}'.encode())


@pytest.mark.parametrize("action", ["reset", "enable", "probe"])
def test_what_happens_at_once_takes_no_duration(action: str) -> None:
    message, param = refused(action, b'{"for": "10m"}')
    assert ("for", True) == (param, f"means nothing to {action}" in message)


@pytest.mark.parametrize(
    "reason", [1, True, [], {}, "x" * 201, "x" * 100_000, "two\nlines", "\x1b[2J", "\u202e", "\x00", "\ud800"]
)
def test_no_reason(reason: object) -> None:
    refused("open", json.dumps({"reason": reason}).encode())


def test_the_longest_reason() -> None:
    assert "ö" * 200 == read_command("open", json.dumps({"reason": "ö" * 200}).encode()).reason


@pytest.mark.parametrize(("given", "value"), [("0", 0.0), ("1.5", 1.5), ("7", 7.0), ("null", None)])
def test_a_weight(given: str, value: float | None) -> None:
    assert Command(None, None, value) == read_command("weight", f'{{"value": {given}}}'.encode())


@pytest.mark.parametrize("given", ["-1", '"2"', "true", "[1]", "{}", "1" + "0" * 400, "-1e-9"])
def test_no_weight(given: str) -> None:
    assert "value" == refused("weight", f'{{"value": {given}}}'.encode())[1]


def test_a_weight_has_to_be_said() -> None:
    assert "value" == refused("weight", b"{}")[1]
    assert "for" == refused("weight", b'{"value": null, "for": "10m"}')[1]


def test_the_nearest_member_is_named() -> None:
    assert ("Unknown member 'reson'; did you mean 'reason'?", "reson") == refused("open", b'{"reson": "x"}')
    assert "open takes 'reason' and 'for'" in refused("open", b'{"xyzzy": 1}')[0]
    assert "'value'" in refused("open", b'{"value": 1}')[0]
    refused("open", json.dumps({"k" * 60_000: 1}).encode())


@pytest.mark.parametrize(
    "body",
    [b"[]", b"1", b'"open"', b"null", b"{", b"\xff\xfe", b"{'reason': 1}", b"[" * 60_000, b'{"a":' * 10_000, b"\0"],
)
def test_no_object(body: bytes) -> None:
    refused("open", body)


def test_numbers_are_finite() -> None:
    assert math.isfinite(read_command("weight", b'{"value": 1e308}').value or 0.0)
