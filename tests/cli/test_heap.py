"""The settings of memory, in a process of their own: they last as long as it."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import gc
from proxy.cli.heap import settle
kept = [[number] for number in range(1000)]
settle()
assert gc.get_freeze_count() > 1000, gc.get_freeze_count()
assert gc.isenabled()
circle = []; circle.append(circle); del circle
assert gc.collect() >= 1
print(gc.get_threshold()[0])
"""


def test_what_the_start_made_is_left_alone_and_circles_are_still_found() -> None:
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own

    assert 20_000 == int(done.stdout)


BLOCKS = """
from resource import RUSAGE_SELF, getrusage
from proxy.cli.heap import settle
settle()
def use_blocks():
    for _ in range(10):
        blocks = [bytearray(size) for size in (100_000, 256_000, 1_000_000, 1_000_000)]
        del blocks
use_blocks()
before = getrusage(RUSAGE_SELF).ru_minflt
use_blocks()
print(getrusage(RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that keeps them")
def test_the_pages_of_large_blocks_are_kept_for_the_next() -> None:
    command = [sys.executable, "-c", BLOCKS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own

    assert int(done.stdout) < 100
