"""Where requests go, and how their heads are spelled."""

import pytest

from proxy import __version__
from proxy.upstreams.request import HttpProxy, Origin, Request, Requests, http_proxy
from proxy.upstreams.transport import TransportError

PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Without any proxies, to begin with."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def request(url: str, **headers: str) -> Request:
    return Requests().request(url, {name.replace("_", "-"): value for name, value in headers.items()})


def test_a_head() -> None:
    made = request("https://api.example.com/v1/chat/completions", Authorization="Bearer k")

    assert Origin(True, "api.example.com", 443) == made.origin
    assert (
        "POST /v1/chat/completions HTTP/1.1\r\n"
        "Host: api.example.com\r\n"
        "Accept: */*\r\n"
        "Accept-Encoding: identity\r\n"
        f"User-Agent: holdfast/{__version__}\r\n"
        "Content-Type: application/json\r\n"
        "Authorization: Bearer k\r\n"
        "Content-Length: "
    ).encode() == made.head


@pytest.mark.parametrize(
    ("url", "origin", "host"),
    [
        ("http://a:80/", Origin(False, "a", 80), "a"),
        ("http://a:8080/", Origin(False, "a", 8080), "a:8080"),
        ("https://a:443/", Origin(True, "a", 443), "a"),
        ("https://a:80/", Origin(True, "a", 80), "a:80"),
        ("http://[::1]:9/", Origin(False, "::1", 9), "[::1]:9"),
        ("https://[2001:db8::1]/", Origin(True, "2001:db8::1", 443), "[2001:db8::1]"),
        ("https://bücher.example/", Origin(True, "xn--bcher-kva.example", 443), "xn--bcher-kva.example"),
    ],
)
def test_hosts(url: str, origin: Origin, host: str) -> None:
    made = request(url)

    assert origin == made.origin
    assert f"\r\nHost: {host}\r\n".encode() in made.head


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://a", b"/"),
        ("http://a/v1/x", b"/v1/x"),
        ("http://a/v1?b=c&d=e", b"/v1?b=c&d=e"),
        ("http://a/a b/ü", b"/a%20b/%C3%BC"),
        ("http://a/a%20b%2Fc", b"/a%20b%2Fc"),
        ("http://a/x\r\nY: z", None),
    ],
)
def test_targets(url: str, target: bytes | None) -> None:
    head = request(url).head

    assert 1 == head.count(b"POST ")
    assert b"\r\nY:" not in head
    assert target is None or head.startswith(b"POST " + target + b" HTTP/1.1\r\n")


def test_headers_replace_those_that_are_sent_anyway() -> None:
    made = request("http://a/", user_agent="x", Content_Length="5", host="evil", Transfer_Encoding="chunked")

    assert b"\r\nUser-Agent: x\r\n" in made.head or b"\r\nuser-agent: x\r\n" in made.head
    assert 1 == made.head.lower().count(b"user-agent:")
    assert (1, 1, 0) == tuple(made.head.lower().count(name) for name in (b"content-length", b"host:", b"transfer-enc"))
    assert b"evil" not in made.head


@pytest.mark.parametrize(("name", "value"), [
    ("X", "a\r\nY: b"), ("X", "a\nb"), ("X", "a\rb"), ("X", "a\0b"), ("X", "a\n"),
    ("X Y", "a"), ("X:", "a"), ("X\r\nY", "a"), ("", "a"), ("X\n", "a"), ("Ü", "a"),
])  # fmt: skip
def test_headers_that_would_be_read_as_others_are_not_sent(name: str, value: str) -> None:
    with pytest.raises(TransportError, match="transport_error"):
        Requests().request("http://a/", {name: value})


@pytest.mark.parametrize("url", ["ftp://a/", "a", "http://", "//a/", "http://a:99999/", "http://[a/"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(TransportError, match="transport_error"):
        request(url)


def test_heads_are_kept_by_address_and_headers() -> None:
    requests = Requests()
    first = requests.request("http://a/", {"A": "1"})

    assert first is requests.request("http://a/", {"A": "1"})
    assert first is not requests.request("http://a/", {"A": "2"})
    assert first is not requests.request("http://b/", {"A": "1"})


def test_no_more_heads_are_kept_than_make_sense() -> None:
    requests = Requests()
    for number in range(3000):
        requests.request("http://a/", {"A": str(number)})

    assert len(requests._kept) <= 1024


# Proxies


def via(url: str) -> HttpProxy | None:
    return request(url).origin.via


def test_proxies_of_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", "http://plain:3128")
    environment.setenv("https_proxy", "secure:8080")

    assert HttpProxy("plain", 3128) == via("http://a/")
    assert HttpProxy("secure", 8080) == via("https://a/")


@pytest.mark.parametrize(
    ("url", "direct"),
    [
        ("https://other.example/", False),
        ("https://in.example/", True),
        ("https://deep.in.example/", True),
        ("https://port.example:8443/", True),
        ("https://port.example/", False),
        ("http://10.0.0.1/", True),
        ("http://10.0.0.2/", False),
        ("http://localhost:1/", True),
        ("http://x.localhost/", True),
        ("http://127.0.0.1/", True),
        ("http://127.9.9.9/", True),
        ("http://[::1]/", True),
    ],
)
def test_what_is_asked_directly(environment: pytest.MonkeyPatch, url: str, direct: bool) -> None:
    environment.setenv("HTTP_PROXY", "http://p:3128")
    environment.setenv("HTTPS_PROXY", "http://p:3128")
    environment.setenv("NO_PROXY", "in.example, port.example:8443, 10.0.0.1")

    assert direct is (via(url) is None)


def test_no_proxy_for_anything(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", "http://p:3128")
    environment.setenv("NO_PROXY", "*")

    assert via("https://a/") is None


def test_a_plain_request_names_the_whole_address_to_the_proxy(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", "http://me:p%40ss@p:3128")
    head = request("http://a:8080/v1").head

    assert head.startswith(b"POST http://a:8080/v1 HTTP/1.1\r\nHost: a:8080\r\n")
    assert b"\r\nProxy-Authorization: Basic bWU6cEBzcw==\r\n" in head


def test_credentials_of_the_proxy_are_not_for_the_upstream(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", "http://me:secret@p:3128")

    assert b"Proxy-Authorization" not in request("https://a/v1").head


@pytest.mark.parametrize("address", ["https://p:3128", "socks5://p:1080", "http://", "http://p:99999"])
def test_proxies_that_are_not_spoken_to_are_not_gone_past(address: str) -> None:
    with pytest.raises(TransportError, match="connect_failed"):
        http_proxy(address)
