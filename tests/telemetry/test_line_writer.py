"""Log lines never make anybody wait."""

import io
import os

from proxy.telemetry.line_writer import LineWriter


def test_writes_whole_lines_in_order() -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream)
    for number in range(100):
        writer.write(b"%d" % number)
    writer.close()

    assert b"".join(b"%d\n" % number for number in range(100)) == stream.getvalue()


def test_a_blocked_reader_costs_lines_and_no_time() -> None:
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "wb", buffering=0)
    writer = LineWriter(stream)
    for _ in range(30_000):
        writer.write(b"x" * 100)

    assert writer.dropped >= 9_000
    os.close(reading)  # which also ends the write that is blocked
    writer.close()
    stream.close()


def test_a_closed_pipe_stops_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "wb", buffering=0)
    writer = LineWriter(stream)
    writer.write(b"nobody reads this")
    writer.close()
    writer.write(b"nor this")
    stream.close()


def test_long_lines_are_cut() -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream)
    writer.write(b"x" * 100_000)
    writer.close()

    assert 16 * 1024 + 1 == len(stream.getvalue())
