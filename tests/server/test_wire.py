"""Headers in and out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import ClientError
from proxy.core.event import AttemptEnded
from proxy.core.names import DeploymentId
from proxy.routing.plan import Wishes
from proxy.server.wire import read_tags, read_wishes, request_id, retry_count, safe, trail


def test_the_clients_request_id_is_kept() -> None:
    assert "abc-123" == request_id({"x-request-id": "abc-123"})


@pytest.mark.parametrize("bad", ["", "a b", "a\nb", "é", "x" * 129, "\x7f"])
def test_an_insane_request_id_is_replaced(bad: str) -> None:
    made = request_id({"x-request-id": bad})

    assert made.startswith("req_")
    assert made != request_id({"x-request-id": bad})


@pytest.mark.parametrize(
    ("headers", "wishes"),
    [
        ({}, Wishes()),
        ({"x-holdfast-timeout": "2.5"}, Wishes(timeout=2.5)),
        ({"x-holdfast-fallback": "OFF"}, Wishes(fallback=False)),
        ({"x-holdfast-upstream": "a"}, Wishes(upstream="a")),
        ({"x-holdfast-explain": "1"}, Wishes(explain=True)),
        ({"x-stainless-read-timeout": "600"}, Wishes(timeout=600)),
        ({"x-stainless-read-timeout": "600", "x-holdfast-timeout": "5"}, Wishes(timeout=5)),
        ({"x-stainless-read-timeout": "3", "x-holdfast-timeout": "5"}, Wishes(timeout=3)),
        ({"x-stainless-read-timeout": "never"}, Wishes()),
        ({"x-stainless-read-timeout": "-1"}, Wishes()),
        ({"x-stainless-read-timeout": "nan"}, Wishes()),
    ],
)
def test_wishes(headers: dict[str, str], wishes: Wishes) -> None:
    assert wishes == read_wishes(headers, {"a", "b"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-holdfast-timeout", "0"),
        ("x-holdfast-timeout", "-1"),
        ("x-holdfast-timeout", "soon"),
        ("x-holdfast-timeout", "nan"),
        ("x-holdfast-timeout", "inf"),
        ("x-holdfast-timeout", "1e9"),
        ("x-holdfast-fallback", "maybe"),
        ("x-holdfast-upstream", "c"),
    ],
)
def test_wishes_that_make_no_sense(name: str, value: str) -> None:
    with pytest.raises(ClientError) as caught:
        read_wishes({name: value}, {"a", "b"})

    assert 400 == caught.value.status
    assert name in caught.value.message


@pytest.mark.parametrize(("value", "count"), [("2", 2), ("0", 0), ("x", 0), ("-1", 0), ("99999", 0), ("", 0)])
def test_retry_count(value: str, count: int) -> None:
    assert count == retry_count({"x-stainless-retry-count": value})


def test_trail() -> None:
    ended = [AttemptEnded(DeploymentId("a", "m"), "http_503", 0.3121)]

    assert "a/m;o=http_503;ms=312, b/m;o=ok;ms=845" == trail(ended, (DeploymentId("b", "m"), 0.845))


@given(st.text())
def test_header_values_are_safe(text: str) -> None:
    value = safe(text)

    assert value.isascii()
    assert value.isprintable() or not value
    assert len(value) <= 2000


def test_tags() -> None:
    assert read_tags({}) is None
    assert "team=a?b" == read_tags({"x-holdfast-tags": "team=a\nb"})
    assert 256 == len(read_tags({"x-holdfast-tags": "x" * 1000}) or "")
