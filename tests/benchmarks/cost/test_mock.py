"""The provider at the end of everything."""

from __future__ import annotations

import json
from itertools import pairwise

from benchmarks.cost.client import Job
from benchmarks.cost.mock import Provider
from benchmarks.cost.wire import length_of
from tests.benchmarks.cost.transport import Remembered


def asked(kind: str, *reads: bytes) -> Remembered:
    """The connection on which a provider has heard this."""
    transport = Remembered()
    provider = Provider(kind)
    provider.connection_made(transport)
    for read in reads:
        provider.data_received(read)
    return transport


def test_a_request_is_answered_when_it_is_whole() -> None:
    request = Job(1, prompt=100_000).request()
    pieces = [request[at : at + 1000] for at in range(0, len(request), 1000)]

    assert b"" == asked("good", *pieces[:-1]).written
    assert asked("good", *pieces).written.startswith(b"HTTP/1.1 200 OK\r\n")


def test_an_answer_is_one_kilobyte_of_json() -> None:
    written = asked("good", Job(1).request()).written
    body = written.partition(b"\r\n\r\n")[2]

    assert len(written) == length_of(written)
    assert "stop" == json.loads(body)["choices"][0]["finish_reason"]
    assert 900 < len(body) < 1100


def test_a_second_request_on_the_same_connection_is_answered_too() -> None:
    request = Job(1).request()

    assert 2 == asked("good", request, request).written.count(b"HTTP/1.1 200 OK")


def test_a_flood_has_as_many_chunks_as_were_ordered_and_no_two_alike_in_a_row() -> None:
    written = asked("good", Job(1, chunks=7).request()).written
    contents = [line for line in written.split(b"\r\n") if b'"content":" ' in line]

    assert 7 == len(contents)
    assert all(one != other for one, other in pairwise(contents))
    assert written.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def test_the_broken_one_answers_503() -> None:
    assert asked("broken", Job(1).request()).written.startswith(b"HTTP/1.1 503 ")


def test_the_cut_one_breaks_off_within_the_head() -> None:
    transport = asked("cut", Job(1).request())

    assert (True, False) == (transport.closed, b"\r\n\r\n" in transport.written)


def test_the_cut_one_breaks_off_a_stream_before_its_content() -> None:
    transport = asked("cut", Job(1, chunks=3).request())

    assert (True, 1, False) == (
        transport.closed,
        transport.written.count(b"data: "),
        transport.written.endswith(b"0\r\n\r\n"),
    )
