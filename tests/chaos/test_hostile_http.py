"""What is not HTTP, or is too much of it: one clear answer or a close, never two readings, never a hang."""

import asyncio
import json

import pytest

from tests.support.fleet import ROUTES, fleet, until
from tests.support.raw import BODY, hang_up, head, send, statuses
from tests.support.virtual_time import run_virtual

CHUNKED = "Transfer-Encoding: chunked"
PLAIN = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"

REFUSED = {
    "two lengths": head(len(BODY), f"Content-Length: {len(BODY) + 1}") + BODY,
    "length and chunked": head(len(BODY), CHUNKED) + BODY,
    "signed length": PLAIN + b"Content-Length: +60\r\n\r\n" + BODY,
    "negative length": PLAIN + b"Content-Length: -1\r\n\r\n" + BODY,
    "length with a space inside": PLAIN + b"Content-Length: 6 0\r\n\r\n" + BODY,
    "hexadecimal length": PLAIN + b"Content-Length: 0x3c\r\n\r\n" + BODY,
    "odd transfer encoding": PLAIN + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "unknown transfer encoding": PLAIN + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunk size overflow": PLAIN + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + BODY,
    "chunk size not a number": PLAIN + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY,
    "space before the colon": PLAIN + b"Content-Length : 60\r\n\r\n" + BODY,
    "header without a name": PLAIN + b": x\r\n\r\n",
    "null byte in a header": PLAIN + b"X-Evil: a\x00b\r\n\r\n",
    "obs-fold": PLAIN + b"X-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "bare CR in a header": PLAIN + b"X-Evil: a\rb\r\n\r\n",
    "unknown method": b"BREW /v1/chat/completions HTTP/1.1\r\nHost: x\r\n\r\n",
    "connect": b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "another version": b"POST /v1/chat/completions HTTP/9.9\r\nHost: x\r\n\r\n",
    "http 0.9": b"GET /livez\r\n\r\n",
    "no http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100 + b"\r\n\r\n",
    "a very long URL": b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a very long header": PLAIN + b"X-Long: " + b"x" * 100_000 + b"\r\n\r\n",
    "a flood of headers": PLAIN + b"".join(b"X-%d: x\r\n" % number for number in range(5000)) + b"\r\n",
    "wrong method for the path": head(0, path="/v1/chat/completions", method="GET"),
    "unknown path": head(0, path="/v2/nothing"),
    "unsupported expectation": head(len(BODY), "Expect: 200-ok") + BODY,
}


@pytest.mark.parametrize("name", REFUSED)
def test_one_answer_and_no_upstream_call(name: str) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            received = await send(running, REFUSED[name], patience=3)

            assert all(400 <= status < 506 for status in statuses(received)), received[:300]
            assert len(statuses(received)) <= 1
            assert 0 == running.received("primary")
            if received:
                assert "error" in json.loads(received.partition(b"\r\n\r\n")[2])
            assert 200 == (await running.request("GET", "/livez")).status

    run_virtual(scenario())


TAKEN = {
    "plain": (head() + BODY,),
    "byte by byte": tuple(bytes([byte]) for byte in head() + BODY),
    "chunked": (PLAIN + b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n" % len(BODY), BODY, b"\r\n0\r\n\r\n"),
    "expect continue": (head(len(BODY), "Expect: 100-continue"), 0.1, BODY),
    "absolute target": (head(path="http://x/v1/chat/completions") + BODY,),
    "upgrade is ignored": (head(len(BODY), "Connection: Upgrade", "Upgrade: h2c") + BODY,),
    "cookies and odd headers": (head(len(BODY), "Cookie: a=b", "X-Empty:", "X-Tab:\ta") + BODY,),
}


@pytest.mark.parametrize("name", TAKEN)
def test_unusual_but_right(name: str) -> None:
    async def scenario() -> None:
        async with fleet() as running:
            received = await send(running, *TAKEN[name], patience=5)

            assert 200 == next(status for status in statuses(received) if status != 100)
            assert 1 == running.received("primary")

    run_virtual(scenario())


def test_http_1_0() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            received = await send(running, (head() + BODY).replace(b"HTTP/1.1", b"HTTP/1.0"), patience=5)

            assert b" 200 OK" in received[:20]
            assert b"chunked" not in received

    run_virtual(scenario())


def test_pipelined_requests_are_answered_in_order() -> None:
    async def scenario() -> None:
        async with fleet() as running:
            wrong = b'{"model":"nope","messages":[]}'
            pipeline = head() + BODY + head(len(wrong)) + wrong + head() + BODY
            received = await send(running, pipeline, patience=5)

            assert [200, 404, 200] == statuses(received)

    run_virtual(scenario())


def test_slow_senders_are_let_go_while_good_clients_are_served() -> None:
    routes = ROUTES.replace("server: {port: 0}", "server: {port: 0, timeout: {header: 2s, body: 3s, keepalive: 20s}}")

    async def scenario() -> None:
        async with fleet(routes) as running:
            clock = asyncio.get_running_loop().time
            started = clock()

            async def slow(*pieces: bytes | float) -> tuple[bytes, float]:
                received = await send(running, *pieces, patience=100)
                return received, clock() - started

            slow_head = slow(*[piece for byte in head()[:40] for piece in (bytes([byte]), 0.5)])
            silent = slow()
            slow_body = slow(head(), BODY[:10])
            idle = slow(head(0, path="/livez", method="GET"))
            good = [running.chat(stream=False) for _ in range(20)]
            first, second, third, fourth, *served = await asyncio.gather(slow_head, silent, slow_body, idle, *good)

            assert b"" == first[0]
            assert b"" == second[0]
            assert 2.0 <= second[1] < 2.5
            assert [408] == statuses(third[0])
            assert 3.0 <= third[1] < 6.0
            assert [200] == statuses(fourth[0])
            assert 20.0 <= fourth[1] < 21.5
            assert all(seen.status == 200 for seen in served)  # type: ignore[union-attr]

    run_virtual(scenario())


def test_a_body_that_is_too_large_is_refused_before_it_is_read() -> None:
    routes = ROUTES.replace("server: {port: 0}", "server: {port: 0, max_body: 1KB}")

    async def scenario() -> None:
        async with fleet(routes) as running:
            announced = await send(running, head(10_000_000), patience=5)
            unannounced = PLAIN + b"Transfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b" " * 1024 + b"\r\n"
            chunked = await send(running, unannounced, b"400\r\n" + b" " * 1024 + b"\r\n", patience=5)

            for received in (announced, chunked):
                assert [413] == statuses(received)
                assert b'"request_too_large"' in received

    run_virtual(scenario())


def test_a_client_that_does_not_read_is_let_go() -> None:
    routes = ROUTES.replace("server: {port: 0}", "server: {port: 0, timeout: {write: 5s}}")

    async def scenario() -> None:
        async with fleet(routes) as running:
            voice = running.simulator.upstream("primary").voice
            voice.answer, voice.pace = "x" * 4000 + " " + " ".join(["y" * 4000] * 20_000), 0.0
            body = BODY.replace(b'"messages"', b'"stream":true,"messages"')
            reader, writer = await asyncio.open_connection("127.0.0.1", running.proxy.port, limit=1024)
            writer.write(head(len(body)) + body)
            await reader.read(100)
            started = asyncio.get_running_loop().time()
            await until(lambda: running.records)

            assert "client_left" == running.records[0].outcome
            assert asyncio.get_running_loop().time() - started < 15
            assert 0 == running.proxy.pool.deployments()[0].consecutive_failures
            await hang_up(writer)

    run_virtual(scenario())


def test_the_server_says_at_once_when_it_is_full() -> None:
    routes = ROUTES.replace("server: {port: 0}", "server: {port: 0, max_concurrent: 3}")

    async def scenario() -> None:
        async with fleet(routes) as running:
            await running.simulator.inject("primary", "slow_first_token:seconds=2")
            waiting = [asyncio.ensure_future(running.chat()) for _ in range(3)]
            await asyncio.sleep(0.5)
            refused = await running.chat()

            assert (503, "overloaded") == (refused.status, refused.error["code"])
            assert "1" == refused.headers["retry-after"]
            assert refused.seconds < 0.1
            assert 200 == (await running.request("GET", "/livez")).status
            assert all(seen.done for seen in await asyncio.gather(*waiting))

    run_virtual(scenario())
