"""What a host's name or address says by itself."""

import pytest

from proxy.core.hosts import is_loopback, is_this_machine


@pytest.mark.parametrize(("host", "expected"), [
    ("localhost", True), ("localhost.example", False), ("127.0.0.1", True), ("128.0.0.1", False), ("::1", True),
    ("::2", False), ("10.0.0.1", False),
])  # fmt: skip
def test_whom_we_call(host: str, expected: bool) -> None:
    assert expected is is_this_machine(host)


@pytest.mark.parametrize(("host", "expected"), [
    ("127.0.0.1", True), ("127.8.8.8", True), ("localhost", True), ("::1", True), ("[::1]", True),
    ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("example.com", False), ("", False),  # noqa: S104
])  # fmt: skip
def test_where_we_listen(host: str, expected: bool) -> None:
    assert expected is is_loopback(host)
