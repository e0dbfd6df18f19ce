"""The memory of a process that serves: its garbage collector, and what the C library keeps of what is freed.

Reference counts free nearly all that a request makes; the collector only looks for circles. By its defaults it looks
every 700 new objects, and from time to time through everything that the start has made: modules, settings, schemas.
That was a quarter of a request's CPU (benchmarks/README.md).

The C library gives large blocks back to the system as soon as they are free, and then each page of the next one is a
fault again: up to 236 for a body of a megabyte. glibc learns from the largest block that it has given back itself
(mallopt(3), M_MMAP_THRESHOLD): from then on blocks up to that size come from the heap, and twice that size is kept of
what is free at its end.
"""

from __future__ import annotations

import gc
from typing import Final

_YOUNG: Final = 20_000
"""New objects, less those that are gone, after which the youngest are looked through: a few megabytes at most."""
_MIDDLE, _OLD = 20, 100
_BLOCK: Final = 4 * 1024 * 1024
"""Bytes of the largest block whose pages are kept: a long prompt with its pictures."""


def settle() -> None:
    """To be called once, when everything is built: what is there now stays, and is not looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
    # Freed at once, so that glibc learns of it; the pages are never touched. Elsewhere it means nothing.
    bytes(_BLOCK)
