"""The garbage collector of a process that serves.

Reference counts free nearly all that a request makes; the collector only looks for circles. By its defaults it looks
every 700 new objects, and from time to time through everything that the start has made: modules, settings, schemas.
That was a quarter of a request's CPU (benchmarks/README.md).
"""

from __future__ import annotations

import gc
from typing import Final

_YOUNG: Final = 20_000
"""New objects, less those that are gone, after which the youngest are looked through: a few megabytes at most."""
_MIDDLE, _OLD = 20, 100


def settle() -> None:
    """To be called once, when everything is built: what is there now stays, and is not looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
