"""What holds for all tests."""

import gc


def pytest_collection_finish() -> None:
    """What is there when all tests are collected stays until the end, so the collector need not look through it again.

    It is some 650,000 objects, and looking through them holds up every thread for half a second: long enough for timers
    of loops that run in threads of their own to go off.
    """
    gc.collect()
    gc.freeze()
