"""Who may use the control plane."""

import pytest

from proxy.control.guard import check_operator
from proxy.core.errors import ClientError

LOCAL = "127.0.0.1"


@pytest.mark.parametrize("host", ["127.0.0.1:8400", "localhost:8400", "localhost", "[::1]:8400", "[::1]", "LOCALHOST"])
def test_without_a_key_this_machine_may(host: str) -> None:
    check_operator(None, {"Host": host}, LOCAL, http_1_1=True)
    check_operator(None, {"Host": host}, "::1", http_1_1=True)


@pytest.mark.parametrize(
    ("headers", "peer"),
    [
        ({"Host": "127.0.0.1:8400"}, "10.0.0.7"),
        ({"Host": "127.0.0.1:8400"}, None),
        ({"Host": "127.0.0.1:8400"}, "not an address"),
        ({"Host": "evil.example:8400"}, LOCAL),
        ({"Host": "127.0.0.1.evil.example"}, LOCAL),
        ({}, LOCAL),
        ({"Host": "localhost", "X-Forwarded-For": "8.8.8.8"}, LOCAL),
        ({"Host": "localhost", "Forwarded": "for=8.8.8.8"}, LOCAL),
    ],
)
def test_without_a_key_nobody_else_may(headers: dict[str, str], peer: str | None) -> None:
    with pytest.raises(ClientError) as caught:
        check_operator(None, headers, peer, http_1_1=True)

    assert 403 == caught.value.status


def test_the_key_opens_from_anywhere() -> None:
    check_operator("secret-key", {"Authorization": "Bearer secret-key", "Host": "x"}, "10.0.0.7", http_1_1=True)


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer wrong", "Basic secret-key", "secret-key", "Bearer sécret"])
def test_a_wrong_key_does_not(value: str) -> None:
    with pytest.raises(ClientError) as caught:
        check_operator("secret-key", {"Authorization": value, "Host": "localhost"}, LOCAL, http_1_1=True)

    assert 401 == caught.value.status


def test_without_a_key_an_old_version_gives_a_forwarding_proxy_away() -> None:
    with pytest.raises(ClientError):
        check_operator(None, {"Host": "127.0.0.1:8400"}, LOCAL, http_1_1=False)
    check_operator("secret-key", {"Authorization": "Bearer secret-key"}, LOCAL, http_1_1=False)
