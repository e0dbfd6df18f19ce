"""The collector's settings, in a process of their own: they last as long as it."""

import subprocess
import sys

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
