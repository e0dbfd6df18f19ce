"""Log lines never make anybody wait."""

import io
import os
import threading
import time

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


class Noting(io.BytesIO):
    """Notes each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: object) -> int:
        self.writes.append(bytes(data))  # type: ignore[call-overload]
        return len(self.writes[-1])


def test_lines_of_a_moment_are_written_together() -> None:
    stream = Noting()
    writer = LineWriter(stream)
    for number in range(1000):
        writer.write(b"%d" % number)
    writer.close()

    assert b"".join(b"%d\n" % number for number in range(1000)) == b"".join(stream.writes)
    assert len(stream.writes) < 50
    assert {b"\n"} == {each[-1:] for each in stream.writes}


def test_a_line_is_written_soon_although_no_other_comes() -> None:
    """Whenever it comes: while the thread sleeps, wakes, writes or goes to sleep."""
    stream = Noting()
    writer = LineWriter(stream)
    for number in range(60):
        writer.write(b"%d" % number)
        deadline = time.monotonic() + 5.0
        while not stream.writes or not stream.writes[-1].endswith(b"%d\n" % number):
            assert time.monotonic() < deadline, f"line {number} was forgotten"
            time.sleep(0.0003 * (number % 7))
    writer.close()


def test_lines_of_several_threads_are_all_there() -> None:
    stream = Noting()
    writer = LineWriter(stream)

    def write(name: int) -> None:
        for number in range(300):
            writer.write(b"%d-%d" % (name, number))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()

    lines = b"".join(stream.writes).split()
    assert sorted(b"%d-%d" % (name, number) for name in range(4) for number in range(300)) == sorted(lines)


def test_what_was_lost_is_told() -> None:
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "wb", buffering=0)
    writer = LineWriter(stream)
    for _ in range(30_000):
        writer.write(b"x" * 100)
    dropped = writer.dropped
    received = b""
    while b"were lost" not in received:
        received += os.read(reading, 1 << 20)
    writer.close()

    told = sum(int(each.split(b"}")[0]) for each in received.split(b'"lines":')[1:])
    assert 0 < told <= dropped
    stream.close()
    os.close(reading)
