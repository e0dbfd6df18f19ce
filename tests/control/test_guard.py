"""Who may use the control plane."""

import pytest

from proxy.control.guard import check_operator, check_same_site, is_json
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


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://127.0.0.1:8400"},
        {"Origin": "http://127.0.0.1:8400", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_page_of_ours_and_no_page_at_all_may_change(headers: dict[str, str]) -> None:
    check_same_site({"Host": "127.0.0.1:8400", **headers})


def test_the_usual_port_need_not_be_said() -> None:
    check_same_site({"Host": "proxy.example", "Origin": "https://proxy.example"})
    check_same_site({"Host": "proxy.example:443", "Origin": "https://PROXY.example"})
    with pytest.raises(ClientError):
        check_same_site({"Host": "proxy.example:8400", "Origin": "https://proxy.example"})


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://localhost:8400"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://[::1"},
        {"Origin": "http://127.0.0.1:99999"},
        {"Origin": "file://127.0.0.1:8400"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": ""},
        {"Origin": "http://127.0.0.1:8400", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_another_page_may_not_change(headers: dict[str, str]) -> None:
    with pytest.raises(ClientError) as caught:
        check_same_site({"Host": "127.0.0.1:8400", **headers})

    assert 403 == caught.value.status


@pytest.mark.parametrize(
    ("content_type", "with_body", "without"),
    [
        ("application/json", True, True),
        ("Application/JSON; charset=utf-8", True, True),
        ("", False, True),
        ("application/octet-stream", False, True),
        ("text/plain", False, False),
        ("text/plain; application/json", False, False),
        ("application/x-www-form-urlencoded", False, False),
        ("multipart/form-data; boundary=x", False, False),
    ],
)
def test_what_a_form_can_send_is_no_command(content_type: str, with_body: bool, without: bool) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    assert (with_body, without) == (is_json(headers, empty=False), is_json(headers, empty=True))
