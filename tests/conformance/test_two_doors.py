"""The same bytes with the front lane on and with it off: the answers agree, and nothing is left behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest
import uvloop

from tests.support.doors import CLOSED, HALF_CLOSE, Heard, apart, cut, left, routes_of, talk, through_both
from tests.support.fleet import ROUTES, Fleet, fleet, until
from tests.support.raw import BODY, head

PIECES = Sequence[bytes | float | str]
PLAIN = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
CHUNKED = "Transfer-Encoding: chunked"
SDK = (
    "Accept: application/json",
    "Content-Type: application/json",
    "User-Agent: OpenAI/Python 2.8.1",
    "X-Stainless-Lang: python",
    "X-Stainless-Package-Version: 2.8.1",
    "X-Stainless-OS: Linux",
    "X-Stainless-Arch: x64",
    "X-Stainless-Runtime: CPython",
    "X-Stainless-Runtime-Version: 3.12.3",
    "Authorization: Bearer sk-something",
    "X-Stainless-Async: false",
    "x-stainless-retry-count: 0",
    "x-stainless-read-timeout: 600",
    "Accept-Encoding: gzip, deflate",
    "Connection: keep-alive",
)
STREAM = json.dumps({"model": "chat", "stream": True, "messages": [{"role": "user", "content": "hi"}]}).encode()
USAGE = json.dumps({**json.loads(STREAM), "stream_options": {"include_usage": True}}).encode()
UNKNOWN = b'{"model":"nope","messages":[]}'
LIVEZ = head(0, path="/livez", method="GET")
NEXT = head() + BODY
"""A request after another one, which tells whether both doors see the same end of that."""


def length(value: bytes) -> bytes:
    """A request with a Content-Length of one's own."""
    return PLAIN + b"Content-Length: " + value + b"\r\n\r\n" + BODY


def with_line(line: bytes) -> bytes:
    """A request with a header line of one's own."""
    return PLAIN + b"Content-Length: %d\r\n%b\r\n\r\n" % (len(BODY), line) + BODY


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


GOOD: dict[str, PIECES] = {
    "like an SDK": (head(len(BODY), *SDK) + BODY,),
    "like an SDK, stream": (head(len(STREAM), *SDK) + STREAM,),
    "a stream with usage": (head(len(USAGE)) + USAGE,),
    "head, then body": (head(), 0.01, BODY),
    "byte by byte": apart([bytes([byte]) for byte in head() + BODY]),
    "two at once": (NEXT + NEXT,),
    "three at once, of all kinds": (head(len(STREAM)) + STREAM + head(len(UNKNOWN)) + UNKNOWN + NEXT,),
    "one after the other": (NEXT, 0.5, head(len(STREAM)) + STREAM, 0.5, NEXT),
    "another path before": (LIVEZ + NEXT,),
    "another path behind": (NEXT + LIVEZ,),
    "another path before, apart": (LIVEZ, 0.2, NEXT),
    "another path between, apart": (NEXT, 0.2, LIVEZ, 0.2, NEXT),
    "half of the next head": (NEXT + NEXT[:30], 0.2, NEXT[30:]),
    "half of another head": (NEXT + LIVEZ[:9], 0.2, LIVEZ[9:]),
    "half of the next body": (NEXT + NEXT[:-5], 0.2, NEXT[-5:]),
    "empty lines before": (b"\r\n\r\n" + NEXT,),
    "empty line between": (NEXT + b"\r\n" + NEXT,),
    "a line end behind the body": (NEXT + b"\r\n", 0.1, NEXT),
    "chunked": (PLAIN + CHUNKED.encode() + b"\r\n\r\n" + chunked(BODY),),
    "chunked, then plain": (PLAIN + CHUNKED.encode() + b"\r\n\r\n" + chunked(BODY) + NEXT,),
    "plain, then chunked": (NEXT + PLAIN + CHUNKED.encode() + b"\r\n\r\n" + chunked(BODY) + NEXT,),
    "expect": (head(len(BODY), "Expect: 100-continue"), 0.1, BODY),
    "expect another thing": (head(len(BODY), "Expect: 200-ok") + BODY,),
    "upgrade": (head(len(BODY), "Connection: Upgrade", "Upgrade: h2c") + BODY,),
    "upgrade alone": (head(len(BODY), "Upgrade: h2c") + BODY,),
    "close": (head(len(BODY), "Connection: close") + BODY + NEXT,),
    "keep-alive in other letters": (head(len(BODY), "connection: Keep-Alive") + BODY + NEXT,),
    "connection of a list": (head(len(BODY), "Connection: keep-alive, close") + BODY + NEXT,),
    "connection twice": (head(len(BODY), "Connection: keep-alive", "Connection: close") + BODY + NEXT,),
    "http 1.0": ((head() + BODY).replace(b"HTTP/1.1", b"HTTP/1.0"),),
    "http 1.0, kept": (head(len(BODY), "Connection: keep-alive").replace(b"1.1", b"1.0", 1) + BODY + NEXT,),
    "http 1.2": ((head() + BODY).replace(b"HTTP/1.1", b"HTTP/1.2"),),
    "lower-case method": (head(method="post") + BODY,),
    "absolute target": (head(path="http://x/v1/chat/completions") + BODY,),
    "query": (head(path="/v1/chat/completions?a=b") + BODY + NEXT,),
    "trailing slash": (head(path="/v1/chat/completions/") + BODY + NEXT,),
    "without /v1": (head(path="/chat/completions") + BODY + NEXT,),
    "encoded path": (head(path="/v1/chat%2Fcompletions") + BODY + NEXT,),
    "two blanks in the line": (head().replace(b"POST ", b"POST  ") + BODY,),
    "get": (head(0, method="GET"),),
    "get with a body": (head(method="GET") + BODY + NEXT,),
    "a compressed body": (head(len(BODY), "Content-Encoding: gzip") + BODY,),
    "identity": (head(len(BODY), "Content-Encoding: identity") + BODY + NEXT,),
    "an id": (head(len(BODY), "X-Request-Id: abc-1") + BODY + NEXT,),
    "an insane id": (head(len(BODY), "X-Request-Id: " + "x" * 129) + BODY,),
    "an 8 KB head": (head(len(BODY), "X-Long: " + "x" * 8000) + BODY + NEXT,),
    "a 20 KB head": (head(len(BODY), *(f"X-{number}: {'x' * 1000}" for number in range(20))) + BODY + NEXT,),
    "a 20 KB header": (head(len(BODY), "X-Long: " + "x" * 20_000) + BODY,),
    "a 15 KB head in pieces": apart(cut(head(len(BODY), "X-Long: " + "x" * 15_000) + BODY, 5_000, 10_000, 15_050)),
    "99 headers": (head(len(BODY), *(f"X-{number}: x" for number in range(97))) + BODY,),
    "100 headers": (head(len(BODY), *(f"X-{number}: x" for number in range(98))) + BODY,),
    "101 headers": (head(len(BODY), *(f"X-{number}: x" for number in range(99))) + BODY,),
    "102 headers": (head(len(BODY), *(f"X-{number}: x" for number in range(100))) + BODY,),
    "an empty body": (head(0) + NEXT,),
    "no length": (PLAIN + b"\r\n" + NEXT,),
    "no host": (NEXT.replace(b"Host: x\r\n", b"") + NEXT,),
    "an empty host": (NEXT.replace(b"Host: x\r\n", b"Host: \r\n") + NEXT,),
    "two hosts": (with_line(b"Host: y"),),
    "an odd host": (NEXT.replace(b"Host: x\r\n", b"Host: x/y\r\n") + NEXT,),
    "no JSON": (head(5) + b"hello" + NEXT,),
    "a list": (head(2) + b"[]" + NEXT,),
    "no UTF-8": (head(11) + b'{"model":"\xff' + NEXT,),
    "an unknown model": (head(len(UNKNOWN)) + UNKNOWN + NEXT,),
    "a long name": (head(len(BODY) + 300) + BODY.replace(b'"chat"', b'"' + b"x" * 304 + b'"') + NEXT,),
    "a wish that makes no sense": (head(len(BODY), "x-holdfast-timeout: soon") + BODY + NEXT,),
    "such a wish, the body to come": (head(len(BODY), "x-holdfast-timeout: soon"), 0.3, BODY + NEXT),
    "a plan": (head(len(BODY), "x-holdfast-explain: on") + BODY + NEXT,),
    "another site": (head(len(BODY), "Origin: https://example.org") + BODY + NEXT,),
    "another site, the body to come": (head(len(BODY), "Origin: https://example.org"), 0.3, BODY + NEXT),
    "another site, half the body to come": (
        head(len(BODY), "Origin: https://example.org") + BODY[:9], 0.3, BODY[9:20], 0.3, BODY[20:] + NEXT
    ),
    "another site, the body never comes": (head(len(BODY), "Origin: https://example.org"), 5.0),
    "this site": (head(len(BODY), "Origin: http://localhost:3000") + BODY + NEXT,),
    "tags and a retry": (head(len(BODY), "x-holdfast-tags: a, b", "x-stainless-retry-count: 2") + BODY,),
    "pinned": (head(len(BODY), "x-holdfast-upstream: backup") + BODY,),
    "no fallback": (head(len(BODY), "x-holdfast-fallback: off") + BODY,),
    "half-close": (NEXT, HALF_CLOSE),
    "half-close within the body": (head() + BODY[:-1], HALF_CLOSE),
    "half-close within the head": (head()[:-1], HALF_CLOSE),
    "half-close at once": (HALF_CLOSE,),
    "a preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100 + b"\r\n\r\n",),
    "nothing but P": (b"P", 0.5, NEXT[1:]),
}  # fmt: skip
"""By name, what a client sends."""

ODD: dict[str, bytes] = {
    "bare line feeds": (head() + BODY).replace(b"\r\n", b"\n"),
    "one bare line feed": with_line(b"X-A: b\nX-B: c"),
    "a bare carriage return": with_line(b"X-A: b\rX-B: c"),
    "a carriage return at the end": with_line(b"X-A: b\r"),
    "obs-fold": with_line(b"X-A: b\r\n c"),
    "obs-fold by a tab": with_line(b"X-A: b\r\n\tc"),
    "a folded length": PLAIN + b"Content-Length:\r\n %d\r\n\r\n" % len(BODY) + BODY,
    "null": with_line(b"X-A: b\x00c"),
    "a control character": with_line(b"X-A: b\x01c"),
    "delete": with_line(b"X-A: b\x7fc"),
    "high bytes": with_line(b"X-A: caf\xc3\xa9"),
    "high bytes in a name": with_line(b"X-\xc3: a"),
    "a blank before the colon": with_line(b"X-A : b"),
    "a blank before the colon of the length": PLAIN + b"Content-Length : %d\r\n\r\n" % len(BODY) + BODY,
    "a blank before the name": with_line(b" X-A: b"),
    "no blank behind the colon": with_line(b"X-A:b"),
    "two blanks behind the colon": with_line(b"X-A:  b"),
    "a blank at the end": with_line(b"X-A: b "),
    "a tab behind the colon": with_line(b"X-A:\tb"),
    "an empty value": with_line(b"X-A:"),
    "no name": with_line(b": b"),
    "no colon": with_line(b"X-A"),
    "braces in a name": with_line(b"X{A}: b"),
    "a header twice": with_line(b"X-A: b\r\nX-A: c"),
    "authorization twice": with_line(b"Authorization: a\r\nAuthorization: b"),
    "two lengths": with_line(b"Content-Length: %d" % (len(BODY) + 1)),
    "two equal lengths": with_line(b"Content-Length: %d" % len(BODY)),
    "two lengths, the other in small letters": with_line(b"content-length: 5"),
    "two lengths, the other in great letters": with_line(b"CONTENT-LENGTH: 5"),
    "two lengths in one": length(b"60, 60"),
    "a length in great letters": PLAIN + b"CONTENT-LENGTH: %d\r\n\r\n" % len(BODY) + BODY,
    "length and chunked": with_line(CHUNKED.encode()),
    "chunked and length": PLAIN + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n" + chunked(BODY),
    "length and another coding": with_line(b"Transfer-Encoding: identity"),
    "a plus": length(b"+60"),
    "a minus": length(b"-1"),
    "a blank inside": length(b"6 0"),
    "hexadecimal": length(b"0x3c"),
    "an exponent": length(b"6e1"),
    "an underscore": length(b"6_0"),
    "no digits": length(b""),
    "zeros before": length(b"00%d" % len(BODY)),
    "a tab before": length(b"\t%d" % len(BODY)),
    "huge": length(b"9" * 11),
    "huger": length(b"9" * 30),
    "just above 64 bits": length(b"18446744073709551676"),
    "other digits": length("٦٠".encode()),
    "keep-alive parameters": with_line(b"Keep-Alive: timeout=5"),
    "te": with_line(b"TE: trailers"),
    "proxy-connection": with_line(b"Proxy-Connection: keep-alive"),
    "http2-settings": with_line(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA"),
    "a trailer": with_line(b"Trailer: X-A"),
}


def agree(pieces: PIECES, routes: str = ROUTES, patience: float = 1.0) -> Heard:
    """Send to both; what was heard, if it is the same."""

    async def scenario(running: Fleet) -> tuple[Heard, list[bytes], tuple[int, int]]:
        heard = await talk(running, *pieces, patience=patience)
        await until(lambda: left(running) == (0, 0))
        heard.seconds = 0.0
        asked = [each.body for upstream in running.simulator.upstreams.values() for each in upstream.requests]
        assert 200 == (await running.request("GET", "/livez")).status
        return heard, asked, left(running)

    on, off = through_both(scenario, routes)
    assert off == on
    return on[0]


@pytest.mark.parametrize("name", GOOD)
def test_the_same_answers(name: str) -> None:
    agree(GOOD[name])


ASKED: dict[str, dict[str, object]] = {
    "/v1/completions": {"prompt": "hi"},
    "/v1/responses": {"input": "hi"},
    "/v1/embeddings": {"input": "hi"},
    "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 20},
    "/v1/messages/count_tokens": {"messages": [{"role": "user", "content": "hi"}]},
}


def put(path: str, *extra: str, **more: object) -> bytes:
    """A request in the language of a path."""
    body = json.dumps({"model": "chat", **ASKED[path], **more}).encode()
    return head(len(body), *extra, path=path) + body


@pytest.mark.parametrize("path", ASKED)
def test_the_same_answers_in_every_language(path: str) -> None:
    """Good answers, streams, refusals by us, and what each language's clients send besides."""
    good, unknown = put(path), put(path, model="nope")
    heard = agree((good, put(path, stream=True), unknown, head(2, path=path) + b"{}", head(path=path, method="GET")))
    answers = [200, 400 if "embeddings" in path else 200, 404, 400, 405]
    assert answers == heard.statuses

    beta = ("Anthropic-Version: 2023-06-01", "Anthropic-Beta: a,b", "X-Api-Key: k", "X-Holdfast-Explain: on")
    heard = agree((put(path, *beta), head(path=path.removeprefix("/v1")) + BODY, good[:30], 0.1, good[30:]))
    assert (3, 200, 200) == (len(heard.answers), heard.statuses[0], heard.statuses[-1])


@pytest.mark.parametrize("name", ODD)
def test_the_same_answers_to_what_is_odd(name: str) -> None:
    heard = agree((ODD[name] + NEXT,))

    assert len(heard.answers) <= 2


def test_bytes_split_at_every_place() -> None:
    """Also between a request and the next one, which is another path's."""
    sent = head(len(BODY), "Authorization: Bearer x") + BODY + LIVEZ

    async def scenario(running: Fleet) -> list[Heard]:
        places = [(a,) for a in range(1, len(sent))] + [(a, a + 1) for a in range(1, len(sent) - 1, 7)]
        heard = [await talk(running, *apart(cut(sent, *each)), patience=0.05) for each in places]
        for each in heard:
            each.seconds = 0.0
        await until(lambda: left(running) == (0, 0))
        return heard

    on, off = through_both(scenario)
    assert off == on
    assert [[200, 200]] * len(on) == [each.statuses for each in on]


SMALL = ROUTES.replace("server: {port: 0", "server: {port: 0, max_body: 1KB")
LARGE = BODY[:-1] + b" " * 964 + b"}"
assert 1024 == len(LARGE)
TOO_LARGE: dict[str, tuple[PIECES, list[int]]] = {
    "as much as is taken": ((head(1024) + LARGE + NEXT,), [200, 200]),
    "one more": ((head(1025) + LARGE + b" " + NEXT,), [413]),
    "one more, without it": ((head(1025),), [413]),
    "one more, in parts": ((head(1025), 0.1, LARGE, 0.1, b" " + NEXT), [413]),
    "one more, and it never comes": ((head(1025) + BODY, 10.0), [413]),
    "far more": ((head(5_000_000) + b"x" * 1_000_000, 0.1), [413]),
    "far more than can be": ((head(10**11), 0.1), [413]),
    "chunked": ((PLAIN + CHUNKED.encode() + b"\r\n\r\n" + chunked(LARGE + b" "),), [413]),
    "a plain one behind": ((NEXT + head(1025) + LARGE + b" " + NEXT,), [200, 413]),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_bodies_and_their_limit(name: str) -> None:
    pieces, statuses = TOO_LARGE[name]

    heard = agree(pieces, SMALL)
    assert (statuses, b"") == (heard.statuses, heard.rest)


@pytest.mark.parametrize("size", [60_000, 64 * 1024, 200_000, 1_000_000, 5_000_000])
@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_large_bodies(size: int, *, stream: bool) -> None:
    """What is received in place, too; with the next request in the same packets."""
    body = (STREAM if stream else BODY)[:-1] + b" " * size + b"}"

    heard = agree((head(len(body)) + body + NEXT, 0.2, head(len(body)), 0.2, body[:99], 0.2, body[99:] + NEXT))
    assert [200, 200, 200, 200] == heard.statuses


@pytest.mark.parametrize("place", [0, 1, 70_000, 199_999])
@pytest.mark.parametrize("how", [HALF_CLOSE, "hang up"])
def test_large_bodies_that_never_come(place: int, how: str) -> None:
    body = BODY[:-1] + b" " * 200_000 + b"}"
    rest: PIECES = (HALF_CLOSE,) if how == HALF_CLOSE else ()

    assert [] == agree((head(len(body)), 0.1, body[:place], 0.1, *rest)).statuses


IMPATIENT = ROUTES.replace(
    "server: {port: 0", "server: {port: 0, timeout: {header: 2s, body: 3s, keepalive: 20s, write: 5s}"
)
SLOW: dict[str, tuple[PIECES, list[int], str, float]] = {
    "nothing": ((), [], CLOSED, 2.0),
    "half a head": ((head()[:30],), [], CLOSED, 2.0),
    "a head by drops": (apart([bytes([byte]) for byte in head()[:40]], 0.5), [], CLOSED, 2.0),
    "half an odd head": ((head(path="/livez", method="GET")[:-2],), [], CLOSED, 2.0),
    "a head without a body": ((head(),), [408], CLOSED, 5.0),
    "half a body": ((head() + BODY[:-1],), [408], CLOSED, 5.0),
    "a body by drops": (
        (head(), *apart([bytes([byte]) for byte in BODY[:9]], 0.5)), [408], CLOSED, 5.0
    ),
    "a body that is in time": ((head(), 2.9, BODY), [200], CLOSED, 22.9),
    "a body behind its time": ((head(), 3.5, BODY), [408], CLOSED, 3.5),
    "half a large body": ((head(200_000) + b"x" * 100_000,), [408], CLOSED, 5.0),
    "a large body behind its time": ((head(200_000) + b"x" * 100_000, 3.5, b"x" * 100_000), [408], CLOSED, 3.5),
    "a head in time, and a body": ((head()[:30], 1.9, head()[30:], 2.9, BODY), [200], CLOSED, 24.8),
    "one request": ((NEXT,), [200], CLOSED, 20.0),
    "a second one after a while": ((NEXT, 15.0, NEXT), [200, 200], CLOSED, 35.0),
    "half a second one": ((NEXT, 15.0, NEXT[:30]), [200], CLOSED, 17.0),
    "a second one by drops": ((NEXT, 1.0, *apart([bytes([byte]) for byte in head()], 0.5)), [200], CLOSED, 3.0),
    "a second one without its body": ((NEXT, 1.0, head()), [200, 408], CLOSED, 6.0),
    "another path, then half a head": ((LIVEZ, 1.0, head()[:30]), [200], CLOSED, 3.0),
    "refused at once, the body too late": (
        (head(len(BODY), "Origin: https://example.org"), 3.0, BODY), [403], CLOSED, 2.0
    ),
}  # fmt: skip
"""What is sent, what is answered, and how and after how many seconds it ends."""


@pytest.mark.parametrize("name", SLOW)
def test_patience(name: str) -> None:
    pieces, statuses, end, seconds = SLOW[name]

    async def scenario(running: Fleet) -> Heard:
        heard = await talk(running, *pieces, patience=100.0)
        assert (0, 0) == left(running)
        return heard

    on, off = through_both(scenario, IMPATIENT)
    for heard in (on, off):
        assert (statuses, end) == (heard.statuses, heard.end)
        # aiohttp's timers are allowed to be a second late.
        assert seconds <= heard.seconds < seconds + 1.1
    assert off.answers == on.answers


def test_half_a_head_that_came_ahead_of_its_turn() -> None:
    """In the lane its time runs from the turn on. aiohttp does not say that it has one: there it is kept."""

    async def scenario(running: Fleet) -> Heard:
        return await talk(running, NEXT + NEXT[:30], patience=100.0)

    on, off = through_both(scenario, IMPATIENT)
    assert ([200], CLOSED) == (on.statuses, on.end)
    assert 2.0 <= on.seconds < 2.1
    assert ([200], CLOSED) == (off.statuses, off.end)
    assert 20.0 <= off.seconds < 21.1


def test_on_the_loop_of_production() -> None:
    """uvloop reads and writes in its own way: all of the above at the same time, and large bodies, in real time."""
    body = BODY[:-1] + b" " * 1_000_000 + b"}"
    large: PIECES = (head(len(body)) + body + NEXT, 0.2, head(len(body)), 0.1, body[:99], 0.1, body[99:] + NEXT)
    sent = {**GOOD, **{name: (odd + NEXT,) for name, odd in ODD.items()}, "a large body": large}
    # It tells what is known of the others by then, so it differs with their order; alone it is compared above.
    del sent["a plan"]

    async def scenario(*, front_lane: bool) -> dict[str, Heard]:
        async with fleet(routes_of(ROUTES, front_lane=front_lane)) as running:
            running.simulator.upstream("primary").voice.pace = 0.0
            heard = await asyncio.gather(*(talk(running, *pieces, patience=3.0) for pieces in sent.values()))
            await until(lambda: left(running) == (0, 0))
            for each in heard:
                each.seconds = 0.0
            return dict(zip(sent, heard, strict=True))

    told = []
    for front_lane in (True, False):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            told.append(runner.run(scenario(front_lane=front_lane)))
    on, off = told
    assert off == on
    assert [200, 200, 200, 200] == on["a large body"].statuses
