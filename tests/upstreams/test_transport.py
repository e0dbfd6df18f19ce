"""Network errors, each mapped once to what it is."""

import asyncio

import pytest

from proxy.core.failure import FailureClass
from proxy.upstreams.transport import Exchange, Transport, TransportError
from tests.support.raw import Answer, serving


def answering(data: bytes, *, then: str = "close") -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        await writer.drain()
        if then == "abort":
            writer.transport.abort()

    return answer


async def post(url: str, *, connect: float = 1.0, patience: float = 2.0) -> Exchange:
    transport = Transport()
    until = asyncio.get_running_loop().time() + patience
    try:
        exchange = await transport.post(transport.target("u", url, {}), [b"{}"], connect=connect, until=until)
        while await exchange.read(until):
            pass
        return exchange
    finally:
        await transport.close()


async def failure_of(answer: Answer) -> tuple[FailureClass, str]:
    async with serving(answer) as place:
        with pytest.raises(TransportError) as caught:
            await post(f"http://{place}/v1")
    return caught.value.failure.kind, caught.value.failure.code


OK = b"HTTP/1.1 200 OK\r\n"

BROKEN = {
    "nothing": (b"", (FailureClass.RESET, "reset")),
    "half a head": (OK + b"Content-Type: app", (FailureClass.BAD_ANSWER, "bad_head")),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", (FailureClass.BAD_ANSWER, "bad_head")),
    "two lengths": (OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", (FailureClass.BAD_ANSWER, "bad_head")),
    "a huge head": (OK + b"X: " + b"x" * 1_000_000 + b"\r\n\r\n", (FailureClass.BAD_ANSWER, "bad_head")),
    "half a body": (OK + b"Content-Length: 100\r\n\r\nabc", (FailureClass.BAD_ANSWER, "cut")),
    "half a chunked body": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc", (FailureClass.BAD_ANSWER, "cut")),
    "bad chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc", (FailureClass.BAD_ANSWER, "bad_head")),
    "bad gzip": (
        OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
        (FailureClass.BAD_ANSWER, "bad_encoding"),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_broken_answers(name: str) -> None:
    data, expected = BROKEN[name]

    assert expected == await failure_of(answering(data))


async def test_an_abort_without_a_byte_is_a_reset() -> None:
    assert (FailureClass.RESET, "reset") == await failure_of(answering(b"", then="abort"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:9/v1", "connect_refused"),
        ("http://no-such-name.invalid/v1", "name_unknown"),
    ],
)
async def test_no_connection(url: str, expected: str) -> None:
    with pytest.raises(TransportError) as caught:
        await post(url, patience=20.0, connect=10.0)

    assert (FailureClass.CONNECT, expected) == (caught.value.failure.kind, caught.value.failure.code)


async def test_no_tls_where_tls_was_expected() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(plain) as place:
        with pytest.raises(TransportError) as caught:
            await post(f"https://{place}/v1")

    assert FailureClass.CONNECT is caught.value.failure.kind


async def test_redirects_are_not_followed() -> None:
    data = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"
    async with serving(answering(data)) as place:
        exchange = await post(f"http://{place}/v1")

    assert 307 == exchange.status


async def test_silence_ends_at_the_moment_given() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silent) as place:
        with pytest.raises(TimeoutError):
            await post(f"http://{place}/v1", patience=0.1)
