"""What clients make of answers, however they are cut into reads."""

from __future__ import annotations

import json

import pytest

from benchmarks.cost.client import Client, Job
from tests.benchmarks.cost.transport import Remembered

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
FIRST = b'data: {"choices":[{"delta":{"content":" 0000000000000000001"}}]}\n\n'
SECOND = b'data: {"choices":[{"delta":{"content":" 0000000000000000002"}}]}\n\n'
DONE = b"data: [DONE]\n\n"


def framed(*events: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events) + b"0\r\n\r\n"


def told(job: Job, *reads: bytes) -> tuple[int, int, int]:
    """Answers, events and errors, once it has heard all of it."""
    client = Client(job, job.request(), lambda _: None)
    client.connection_made(Remembered())
    client.ask()
    for read in reads:
        client.data_received(read)
    return job.answers, job.events, job.errors


async def test_a_json_answer() -> None:
    assert (1, 0, 0) == told(Job(1), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", b"}")


async def test_an_error_is_one() -> None:
    assert (0, 0, 1) == told(Job(1), b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\n{}")


async def test_a_stream_read_at_once() -> None:
    assert (1, 2, 0) == told(Job(1, chunks=2), HEAD + framed(FIRST, SECOND, DONE))


async def test_a_stream_read_byte_by_byte() -> None:
    answer = HEAD + framed(FIRST, SECOND, DONE)

    assert (1, 2, 0) == told(Job(1, chunks=2), *(answer[at : at + 1] for at in range(len(answer))))


async def test_a_proxy_may_cut_a_stream_into_chunks_of_its_own() -> None:
    whole = FIRST + SECOND + DONE
    place = whole.index(b"00001")

    assert (1, 2, 0) == told(Job(1, chunks=2), HEAD + framed(whole[:place], whole[place:]))


@pytest.mark.parametrize("events", [(FIRST, DONE), (FIRST, SECOND), (FIRST, SECOND, SECOND, DONE)])
async def test_a_stream_that_is_not_as_ordered_is_an_error(events: tuple[bytes, ...]) -> None:
    answers, _, errors = told(Job(1, chunks=2), HEAD + framed(*events))

    assert (0, 1) == (answers, errors)


async def test_a_stream_that_is_refused_is_an_error_and_no_wait() -> None:
    assert (0, 0, 1) == told(Job(1, chunks=2), b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}")


async def test_a_connection_that_is_lost_while_asked_is_an_error() -> None:
    job = Job(1)
    lost: list[Client] = []
    client = Client(job, job.request(), lost.append)
    client.connection_made(Remembered())
    client.ask()
    client.connection_lost(None)

    assert (1, [client], True) == (job.errors, lost, client.lost)


async def test_a_connection_that_is_lost_while_idle_is_none() -> None:
    job = Job(1)
    client = Client(job, job.request(), lambda _: None)
    client.connection_made(Remembered())
    client.connection_lost(None)

    assert 0 == job.errors


def test_the_request_says_how_it_is_to_be_answered() -> None:
    request = Job(1, model="after-503", prompt=1000, chunks=5, pace=0.01, headers={"x-config": "{}"}).request()
    head, _, body = request.partition(b"\r\n\r\n")
    asked = json.loads(body)

    assert ("after-503", True, 5, 10_000) == tuple(asked[key] for key in ("model", "stream", "max_tokens", "seed"))
    assert b"x-config: {}" in head
    assert f"Content-Length: {len(body)}".encode() in head


def test_of_a_paced_stream_delays_are_told_and_of_others_whole_answers() -> None:
    paced = Job(1, chunks=2, pace=0.01, took=[1.0], delays=[0.001, 0.002])
    flood = Job(1, chunks=2, took=[1.0], delays=[0.001])

    assert (2000.0, 1_000_000.0) == (paced.result()["p99"], flood.result()["p50"])
