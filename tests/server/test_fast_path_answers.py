"""The fast path against the engine, as in test_fast_path.py: whatever comes from an upstream, in whatever pieces."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Sequence

import pytest

from proxy.server.fast_path import FastPath
from tests.server.test_fast_path import asking, seen
from tests.support.doors import talk
from tests.support.fleet import fleet
from tests.support.raw import serving
from tests.support.virtual_time import run_virtual

ROUTES = """\
version: 1
server: {port: 0}
upstreams:
  primary: {kind: KIND, base_url: "http://ADDRESS/v1", api_key: k}
  backup: {kind: simulated}
defaults:
  deadline: 20s
  timeout: {connect: 1s, first_token: 3s, answer: 4s, idle: 2s}
  retry: {attempts: 2, backoff: {initial: 100ms}}
routes:
  chat: {chain: [primary/m, backup/m]}
"""
BODY = json.dumps(
    {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5},
    }
).encode()
CLOSE = None
Script = Sequence[bytes | float | None]
"""One answer: bytes, seconds to pause, and the end of the connection."""


def whole(body: bytes = BODY, *lines: str, status: str = "200 OK") -> bytes:
    told = "\r\n".join([f"HTTP/1.1 {status}", f"content-length: {len(body)}", *lines])
    return told.encode() + b"\r\n\r\n" + body


def chunked(*parts: bytes) -> bytes:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b""))
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks


GOOD = whole()
ANSWERS: dict[str, Script] = {
    "in pieces": [GOOD[:20], 0.1, GOOD[20:90], 0.1, GOOD[90:]],
    "head, then body": [GOOD[: -len(BODY)], 0.1, BODY],
    "after an interim one": [b"HTTP/1.1 100 Continue\r\n\r\n", 0.1, GOOD],
    "with an interim one": [b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" + GOOD],
    "packed": [whole(gzip.compress(BODY), "content-encoding: gzip")],
    "said to be packed, and is not": [whole(BODY, "content-encoding: gzip")],
    "packed as nobody knows": [whole(BODY, "content-encoding: br")],
    "not packed, and says so": [whole(BODY, "content-encoding: identity")],
    "packed as nobody knows, in a broken chunk": [
        b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\n"
    ],
    "in a broken chunk": [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\n"],
    "in chunks": [chunked(BODY[:9], BODY[9:])],
    "in chunks that come late": [chunked(BODY)[:-5], 0.1, b"0\r\n\r\n"],
    "until the connection ends": [GOOD.replace(b"content-length", b"x"), CLOSE],
    "on a connection that is not kept": [whole(BODY, "connection: close"), CLOSE],
    "twice": [GOOD + GOOD],
    "and something later": [GOOD, 0.1, b"HTTP/1.1 408 Late\r\n\r\n"],
    "and the connection ends": [GOOD, 0.1, CLOSE],
    "none, the connection was dead": [CLOSE],
    "none, and after a while the end": [0.6, CLOSE],
    "half a head": [GOOD[:20], CLOSE],
    "half a body": [GOOD[:-9], CLOSE],
    "just in time": [3.9, GOOD],
    "too late": [4.1, GOOD],
    "silent within": [GOOD[:-9], 2.1, GOOD[-9:]],
    "long": [whole(BODY.replace(b"hello", b"h" * 40_000))],
    "very long": [whole(BODY.replace(b"hello", b"h" * 1_000_000))],
    "empty": [whole(b"")],
    "nothing said": [whole(BODY.replace(b'"hello"', b"null"))],
    "blank lines first": [whole(b"\n\n" + BODY)],
    "marked as Unicode": [whole(b"\xef\xbb\xbf" + BODY)],
    "no JSON": [whole(b"hello")],
    "an error in disguise": [whole(b'{"error":{"message":"no","code":429}}')],
    "without usage": [whole(BODY.replace(b'"usage"', b'"x"'))],
    "with limits": [whole(BODY, "x-ratelimit-remaining-requests: 7", "x-ratelimit-limit-requests: 10")],
    "with the last of its limits": [
        whole(BODY, "x-ratelimit-remaining-requests: 0", "x-ratelimit-reset-requests: 5s")
    ],
    "created": [whole(status="201 Created")],
    "refused": [whole(b"{}", "retry-after: 1", status="429 Too Many Requests")],
    "no HTTP": [b"SSH-2.0\r\n"],
}  # fmt: skip


def talked(kind: str, scripts: Sequence[Script], *, fast: bool) -> object:
    """What is seen of a request for each script, with the fast path or without it."""
    received: list[bytes] = []
    routes = ROUTES.replace("KIND", kind)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"POST"):
                # It is asked about its models, too; whatever comes next on that connection is not known.
                writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                return
            size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            received.append(head.partition(b"Host")[0] + await reader.readexactly(size))
            for piece in scripts[min(len(received), len(scripts)) - 1]:
                if piece is None:
                    return
                if isinstance(piece, float):
                    await asyncio.sleep(piece)
                else:
                    writer.write(piece)

    async def scenario() -> object:
        with pytest.MonkeyPatch.context() as patched:
            if not fast:
                patched.setattr(FastPath, "let_in", lambda *_: None)
                patched.setattr(FastPath, "take", lambda *_: False)
            async with (
                serving(answer) as address,
                fleet(routes.replace("ADDRESS", address)) as on,
            ):
                on.simulator.upstream("backup").voice.pace = 0.0
                asks = [asking(max_tokens=5, temperature=1)] * 6
                heard = await talk(on, *[each for ask in asks for each in (ask, 7.0)], patience=30.0)
                return await seen(on, [heard]), received

    return run_virtual(scenario())


@pytest.mark.parametrize("name", ANSWERS)
def test_whatever_it_answers(name: str) -> None:
    scripts = [[GOOD], [GOOD], ANSWERS[name], [GOOD]]

    assert talked("openai", scripts, fast=False) == talked("openai", scripts, fast=True)


@pytest.mark.parametrize("kind", ["deepseek", "groq", "mistral", "openrouter"])
@pytest.mark.parametrize("name", ["in pieces", "blank lines first", "nothing said", "with limits"])
def test_whoever_it_is(kind: str, name: str) -> None:
    scripts = [[GOOD], [GOOD], ANSWERS[name], [GOOD]]

    assert talked(kind, scripts, fast=False) == talked(kind, scripts, fast=True)
