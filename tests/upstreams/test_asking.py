"""Small questions to servers, over the network."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from proxy.config.settings import UpstreamSettings
from proxy.dialects.live.question import NOTHING_HEARD, Question, Reply
from proxy.upstreams.asking import ask
from proxy.upstreams.transport import Transport
from tests.support.fleet import settings_of
from tests.support.raw import serving
from tests.support.virtual_time import run_virtual

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
GET = Question("/models", lambda _: NOTHING_HEARD)


def upstream(place: str, more: str = "kind: vllm, api_key: secret") -> UpstreamSettings:
    return settings_of(f"""\
version: 1
upstreams: {{u: {{base_url: "http://{place}/v1", {more}}}}}
routes: {{r: {{chain: [u/m]}}}}
""").upstreams["u"]


def asked(question: Question, answer: bytes, **changes: Any) -> tuple[Reply | None, list[bytes], float]:
    """The reply, the requests that came, and how many seconds it took."""
    came: list[bytes] = []

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        came.append(head + await reader.readexactly(length))
        writer.write(answer)
        await writer.drain()
        await reader.read()

    async def scenario() -> tuple[Reply | None, list[bytes], float]:
        clock, transport = asyncio.get_running_loop().time, Transport()
        async with serving(respond) as place:
            started = clock()
            reply = await ask(transport, upstream(place, **changes), question)
            seconds = clock() - started
            await transport.close()
        return reply, came, seconds

    return run_virtual(scenario())


def test_a_get_below_the_address_with_the_key() -> None:
    reply, (request,), _ = asked(GET, OK)

    assert Reply(200, b"{}") == reply
    assert request.startswith(b"GET /v1/models HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer secret\r\n" in request and request.endswith(b"\r\nContent-Length: 0\r\n\r\n")


def test_a_post_beside_the_address() -> None:
    question = Question("/api/show", lambda _: NOTHING_HEARD, b'{"model":"m"}', at_root=True)
    _, (request,), _ = asked(question, OK)

    assert request.startswith(b"POST /api/show HTTP/1.1\r\n") and request.endswith(b'\r\n\r\n{"model":"m"}')


def test_headers_of_the_kind_and_of_its_options() -> None:
    _, (request,), _ = asked(GET, OK, more="kind: anthropic, api_key: secret, options: {beta: early}")

    for header in (b"x-api-key: secret", b"anthropic-version: 2023-06-01", b"anthropic-beta: early"):
        assert b"\r\n" + header + b"\r\n" in request


@pytest.mark.parametrize("status", [404, 500])
def test_an_error_is_an_answer(status: int) -> None:
    answer = b"HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\nno" % status

    assert Reply(status, b"no") == asked(GET, answer)[0]


def test_a_redirect_is_not_followed() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    reply, came, _ = asked(GET, answer)

    assert (Reply(302, b""), 1) == (reply, len(came))


NO_ANSWERS: Mapping[str, tuple[bytes, float]] = {
    "nothing": (b"", 10.0),
    "half a body": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", 10.0),
    "no HTTP": (b"SSH-2.0\r\n\r\n", 0.0),
    "too long": (b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 9_000_000, 0.0),
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_no_answer(name: str) -> None:
    answer, expected = NO_ANSWERS[name]
    reply, _, seconds = asked(GET, answer)

    assert reply is None
    assert expected == pytest.approx(seconds, abs=0.1)


async def test_nobody_is_there() -> None:
    transport = Transport()

    assert await ask(transport, upstream("127.0.0.1:9"), GET) is None
    await transport.close()
