"""Opening connections: names, proxies, TLS, and how each of them fails."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

import pytest

from proxy.core.failure import Failure, FailureClass
from proxy.upstreams.connection import Connection
from proxy.upstreams.dial import Dialer, Names, RememberingContext, remembering_context
from proxy.upstreams.request import Origin
from proxy.upstreams.transport import TransportError
from tests.upstreams.scripted import OK, THREE, Script, ask, post, transport, upstream

trustme = pytest.importorskip("trustme", reason="trustme makes the certificates")

PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Without any proxies, to begin with."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.fixture
def authority() -> "trustme.CA":
    return trustme.CA()


def server_tls(authority: "trustme.CA", *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    authority.issue_cert(*names).configure_cert(context)
    return context


def client_tls(authority: "trustme.CA | None") -> RememberingContext:
    context = remembering_context()
    if authority is not None:
        authority.configure_trust(context)
    return context


def code_of(result: object) -> str:
    assert isinstance(result, Failure), result
    assert FailureClass.CONNECT is result.kind
    return result.code


# TLS


async def test_tls_with_a_certificate_that_is_trusted(authority: "trustme.CA") -> None:
    tls = server_tls(authority, "localhost")
    async with upstream(tls=tls) as running, transport(client_tls(authority)) as over:
        url = f"https://localhost:{running.port}/v1"
        assert (200, b"abc") == await ask(over, url)
        assert (200, b"abc") == await ask(over, url)
        assert 1 == running.connections
        state = running.writers[0].get_extra_info("ssl_object")
        assert "http/1.1" == state.selected_alpn_protocol()
        assert f"\r\nHost: localhost:{running.port}\r\n".encode() in running.requests[0][1]


UNTRUSTED = {"another authority": (False, "localhost"), "another name": (True, "elsewhere.example")}


@pytest.mark.parametrize("name", UNTRUSTED)
async def test_certificates_that_are_not_trusted(authority: "trustme.CA", name: str) -> None:
    known, issued_for = UNTRUSTED[name]
    tls = server_tls(authority, issued_for)
    async with upstream(tls=tls) as running, transport(client_tls(authority if known else None)) as over:
        assert "certificate_invalid" == code_of(await ask(over, f"https://localhost:{running.port}/v1"))
        assert [] == running.requests


async def test_certificates_for_addresses(authority: "trustme.CA") -> None:
    async with upstream(tls=server_tls(authority, "127.0.0.1")) as running, transport(client_tls(authority)) as over:
        assert (200, b"abc") == await ask(over, f"https://127.0.0.1:{running.port}/v1")


async def test_what_is_not_tls_fails_as_such() -> None:
    async with upstream([b"HTTP/1.1 400 Bad Request\r\n\r\n", "wait"]) as running, transport() as over:
        assert "tls_failed" == code_of(await ask(over, f"https://127.0.0.1:{running.port}/v1"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_the_second_connection_goes_on_with_the_first_ones_session(
    authority: "trustme.CA", version: ssl.TLSVersion
) -> None:
    tls = server_tls(authority, "localhost")
    tls.maximum_version = tls.minimum_version = version
    script: Script = ["read", THREE, 0.3, "close"]
    async with upstream(script, tls=tls) as running, transport(client_tls(authority)) as over:
        url = f"https://localhost:{running.port}/v1"
        assert (200, b"abc") == await ask(over, url)
        assert (200, b"abc") == await ask(over, url, name="another pool")
        assert [False, True] == running.tls_reused


async def test_a_session_is_for_its_own_name_only(authority: "trustme.CA") -> None:
    tls = server_tls(authority, "localhost", "127.0.0.1")
    async with upstream(tls=tls) as running, transport(client_tls(authority)) as over:
        assert (200, b"abc") == await ask(over, f"https://localhost:{running.port}/v1")
        assert (200, b"abc") == await ask(over, f"https://127.0.0.1:{running.port}/v1")
        assert [False, False] == running.tls_reused


async def test_large_bodies_over_tls(authority: "trustme.CA") -> None:
    body = bytes(range(256)) * 8000
    script: Script = ["read", OK + b"Content-Length: %d\r\n\r\n" % len(body), body, "wait"]
    tls = server_tls(authority, "localhost")
    async with upstream(script, tls=tls) as running, transport(client_tls(authority)) as over:
        assert (200, body) == await ask(over, f"https://localhost:{running.port}/v1", body)
        assert running.requests[0][1].endswith(body)


# Time


async def test_a_handshake_has_as_long_as_a_connection() -> None:
    async with upstream(["wait"]) as running, transport() as over:
        loop = asyncio.get_running_loop()
        target = over.target("u", f"https://127.0.0.1:{running.port}/", {})
        with pytest.raises(TransportError, match="connect_timeout") as caught:
            await over.post(target, [b""], connect=0.05, until=loop.time() + 5)
        assert FailureClass.TIMEOUT is caught.value.failure.kind
        with pytest.raises(TimeoutError):
            await over.post(target, [b""], connect=5, until=loop.time() + 0.05)


def hold_up(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """From here on the loop is held up for so long whenever a connection is opened."""
    loop, late = asyncio.get_running_loop(), [0.0]
    clock, opens = loop.time, loop.sock_connect

    async def connect(raw: socket.socket, address: tuple[str, int]) -> None:
        late[0] += seconds
        await opens(raw, address)

    monkeypatch.setattr(loop, "time", lambda: clock() + late[0])
    monkeypatch.setattr(loop, "sock_connect", connect)


@pytest.mark.parametrize("secure", [False, True])
async def test_a_connection_that_opened_while_the_loop_was_held_up_is_open(
    authority: "trustme.CA", environment: pytest.MonkeyPatch, *, secure: bool
) -> None:
    tls = server_tls(authority, "127.0.0.1") if secure else None
    async with upstream(tls=tls) as running, transport(client_tls(authority)) as over:
        hold_up(environment, 2.0)
        # The name is looked up for the first, and known to the second.
        for name in ("one", "two"):
            target = over.target(name, f"http{'s' if secure else ''}://127.0.0.1:{running.port}/", {})
            until = asyncio.get_running_loop().time() + 5
            assert 200 == (await over.post(target, [b""], connect=0.5, until=until)).status


async def test_a_connection_that_opened_after_the_last_moment_is_not_used(environment: pytest.MonkeyPatch) -> None:
    async with upstream() as running, transport() as over:
        hold_up(environment, 2.0)
        target = over.target("u", f"http://127.0.0.1:{running.port}/", {})
        with pytest.raises(TimeoutError):
            await over.post(target, [b""], connect=0.5, until=asyncio.get_running_loop().time() + 1)
        assert [] == running.requests


# Names


async def test_names_are_looked_up_once_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, asked, now = asyncio.get_running_loop(), [], [1000.0]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{number}", 80)) for number in (1, 2)]

    async def getaddrinfo(host: str, port: int, **_: object) -> list[object]:
        asked.append(host)
        await asyncio.sleep(0)
        return list(found)

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(loop, "time", lambda: now[0])
    names = Names()
    first, second = await asyncio.gather(names.addresses("a.example", 80), names.addresses("a.example", 80))

    assert ["a.example"] == asked
    assert sorted(found) == sorted(first)
    assert first[0] != second[0], "the load goes to each address in turn"
    now[0] += 29
    await names.addresses("a.example", 80)
    assert ["a.example"] == asked
    now[0] += 2
    await names.addresses("a.example", 80)
    names.forget("a.example", 80)
    await names.addresses("a.example", 80)
    assert ["a.example"] * 3 == asked


async def test_one_who_leaves_does_not_take_the_look_up_along(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, answer = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

    async def getaddrinfo(*_: object, **__: object) -> object:
        return await answer

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    names = Names()
    leaving, staying = (asyncio.ensure_future(names.addresses("a.example", 80)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    answer.set_result([(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))])

    assert ("192.0.2.1", 80) == (await staying)[0][4]
    assert leaving.cancelled()
    assert {} == names._asked


async def test_addresses_need_no_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", None)
    names = Names()

    assert ("127.0.0.1", 80) == (await names.addresses("127.0.0.1", 80))[0][4]
    assert ("::1", 80) == (await names.addresses("::1", 80))[0][4][:2]


async def test_a_name_that_is_too_long_is_unknown() -> None:
    async with transport() as over:
        assert "name_unknown" == code_of(await ask(over, f"http://{'x' * 70}.example/"))


async def test_one_address_that_refuses_does_not_hide_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async with upstream() as running, transport() as over:
        loop = asyncio.get_running_loop()
        port = running.port

        async def getaddrinfo(*_: object, **__: object) -> list[object]:
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.1", "127.0.0.2")
            ]

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
        assert (200, b"abc") == await ask(over, f"http://two.example:{port}/", name="1")
        assert (200, b"abc") == await ask(over, f"http://two.example:{port}/", name="2")


# Proxies


async def test_a_tunnel_carries_tls_to_the_upstream(
    authority: "trustme.CA", environment: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that opens the way: bytes are copied to the upstream, whatever its name."""
    seen: list[bytes] = []
    async with upstream(tls=server_tls(authority, "api.example")) as running:

        async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65536):
                writer.write(data)
            writer.close()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            there = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(ESTABLISHED)
            await asyncio.gather(copy(reader, there[1]), copy(there[0], writer), return_exceptions=True)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        environment.setenv("HTTPS_PROXY", f"http://me:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with server, transport(client_tls(authority)) as over:
            assert (200, b"abc") == await ask(over, "https://api.example/v1")
            assert (200, b"abc") == await ask(over, "https://api.example/v1")
        await asyncio.sleep(0.01)

    expected = b"CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n"
    assert [expected + b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n\r\n"] == seen
    assert 2 == len(running.requests)
    assert all(b"secret" not in request and b"Proxy-" not in request for _, request in running.requests)


REFUSED: dict[str, Script] = {
    "a password": ["read", b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "wait"],
    "not allowed": ["read", b"HTTP/1.1 403 Forbidden\r\n\r\n", "wait"],
    "no HTTP": ["read", b"hello\r\n\r\n", "wait"],
    "nothing": ["read", "close"],
    "half an answer": ["read", b"HTTP/1.1 200 OK\r\n", "close"],
    "too much": ["read", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, "wait"],
    "words of its own": ["read", ESTABLISHED + b"hello", "wait"],
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_tunnel_that_is_refused_is_no_connection(name: str, environment: pytest.MonkeyPatch) -> None:
    async with upstream(REFUSED[name]) as running:
        environment.setenv("HTTPS_PROXY", f"http://127.0.0.1:{running.port}")
        async with transport() as over:
            assert "connect_failed" == code_of(await ask(over, "https://api.example/v1"))


async def test_a_plain_request_goes_to_the_proxy(environment: pytest.MonkeyPatch) -> None:
    async with upstream() as running:
        environment.setenv("HTTP_PROXY", f"http://127.0.0.1:{running.port}")
        async with transport() as over:
            assert (200, b"abc") == await ask(over, "http://api.example/v1")

    assert running.requests[0][1].startswith(b"POST http://api.example/v1 HTTP/1.1\r\nHost: api.example\r\n")


async def test_no_proxy_is_there(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    async with transport() as over:
        assert "connect_refused" == code_of(await ask(over, "https://api.example/v1"))


async def test_sockets_send_at_once() -> None:
    async with upstream() as running, transport() as over:
        exchange = await post(over, running.url)
        raw = exchange._connection._transport
        assert raw is not None
        assert 0 != raw.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        exchange.close()


# Knocking


async def known(dialer: Dialer, origin: Origin) -> None:
    """Have the address of an origin looked up."""
    with contextlib.suppress(TransportError):
        connection = await dialer.dial(origin, lambda: Connection(asyncio.get_running_loop(), left=quiet, lost=quiet))
        connection.abort()


def quiet(_connection: Connection) -> None:
    """Nobody is told."""


async def test_who_refuses_is_known_at_once() -> None:
    dialer, origin = Dialer(), Origin(tls=False, host="127.0.0.1", port=9, via=None)
    assert dialer.knock(origin) is None
    await known(dialer, origin)

    with pytest.raises(TransportError, match="connect_refused"):
        dialer.knock(origin)


@pytest.mark.parametrize("step", ["setblocking", "connect_ex"])
async def test_a_knock_that_cannot_be_made_leaves_no_socket(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[socket.socket] = []

    class Unwilling(socket.socket):
        def __init__(self, *kind: int) -> None:
            super().__init__(*kind)
            made.append(self)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "not here")

    dialer, origin = Dialer(), Origin(tls=False, host="127.0.0.1", port=9, via=None)
    await known(dialer, origin)
    monkeypatch.setattr(Unwilling, step, refuse)
    monkeypatch.setattr("proxy.upstreams.dial.socket.socket", Unwilling)

    with pytest.raises(TransportError, match="connect_failed"):
        dialer.knock(origin)

    assert [-1] == [each.fileno() for each in made]


async def test_who_was_knocked_at_is_connected_to_once() -> None:
    async with upstream(["wait"]) as running:
        dialer, origin = Dialer(), Origin(tls=False, host="127.0.0.1", port=running.port, via=None)
        await known(dialer, origin)
        knock = dialer.knock(origin)
        assert knock is not None
        made: list[Connection] = []

        def protocol() -> Connection:
            made.append(Connection(asyncio.get_running_loop(), left=quiet, lost=quiet))
            return made[-1]

        connection = await dialer.dial(origin, protocol, knock)

        assert ([connection], None) == (made, await knock.answered())
        assert connection.usable
        connection.abort()
        await until_true(lambda: running.connections == 2)


async def test_a_knock_that_nobody_wants_any_more_leaves_no_socket() -> None:
    async with upstream(["wait"]) as running:
        dialer, origin = Dialer(), Origin(tls=False, host="127.0.0.1", port=running.port, via=None)
        await known(dialer, origin)
        knock = dialer.knock(origin)
        assert knock is not None

        knock.drop()
        knock.drop()

        assert await knock.answered() is None


async def until_true(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the server's own task changes it
            await asyncio.sleep(0)
