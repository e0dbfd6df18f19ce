"""`holdfast serve`, which at SIGUSR1 appends one line of JSON to the file in INSPECTED: what lives in the process.

    INSPECTED=seen.jsonl python -m benchmarks.support.inspected -c routes.yaml

`tasks` are the names of asyncio's tasks with their numbers taken off, `objects` the most numerous types that the
garbage collector follows. With TRACED=1, `traced` has the bytes that are held by the places that hold the most, which
takes half of the speed.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import signal
import sys
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

from proxy.cli.main import cli

_SHOWN = 40
_FRAMES = 6
_PLACES = 2000


def inspect(*_: Any) -> None:
    gc.collect()
    tasks = Counter(re.sub(r"\d+", "N", task.get_name()) for task in asyncio.all_tasks())
    objects = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
    seen: dict[str, object] = {"tasks": tasks, "objects": dict(objects.most_common(_SHOWN))}
    if tracemalloc.is_tracing():
        places = tracemalloc.take_snapshot().statistics("traceback")[:_PLACES]
        seen["traced"] = {" < ".join(str(frame) for frame in reversed(each.traceback)): each.size for each in places}
    with Path(os.environ["INSPECTED"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(seen) + "\n")


def main() -> None:
    if os.environ.get("TRACED"):
        tracemalloc.start(_FRAMES)
    # Run between two steps of the event loop's thread, where its tasks hold still.
    signal.signal(signal.SIGUSR1, inspect)
    cli(["serve", *sys.argv[1:]])


if __name__ == "__main__":
    main()
