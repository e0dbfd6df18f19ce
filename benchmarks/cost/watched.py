"""Holdfast under a profiler, in its own process.

    python -m benchmarks.cost.watched sample|calls OUTPUT serve -c routes.yaml

It watches from SIGUSR1 to SIGUSR2, and then writes OUTPUT: for each function the time spent in itself, and the time
spent in it and in what it called, in shares of the whole. `sample` looks every few milliseconds of CPU time which
functions run; what is done in C between two Python functions, as reading from sockets, counts for the next one. `calls`
is cProfile: it counts every call, and makes calls look dearer than they are.
"""

from __future__ import annotations

import cProfile
import json
import pstats
import signal
import sys
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from proxy.__main__ import main

_EVERY_S = 0.001


class Sampler:
    """Looks at the running functions whenever a little CPU time has gone by."""

    def __init__(self) -> None:
        self._own: Counter[CodeType] = Counter()
        self._whole: Counter[CodeType] = Counter()

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, _EVERY_S, _EVERY_S)

    def stop(self) -> list[dict[str, Any]]:
        signal.setitimer(signal.ITIMER_PROF, 0)
        samples = max(1, self._own.total())
        return [
            {"function": _name(code), "own": self._own[code] / samples, "whole": count / samples, "calls": None}
            for code, count in self._whole.items()
        ]

    def _look(self, _number: int, frame: FrameType | None) -> None:
        if frame is not None:
            self._own[frame.f_code] += 1
        seen = set[CodeType]()
        while frame is not None:
            seen.add(frame.f_code)
            frame = frame.f_back
        self._whole.update(seen)


class Calls:
    """Counts every call."""

    def __init__(self) -> None:
        self._profile = cProfile.Profile()

    def start(self) -> None:
        self._profile.enable()

    def stop(self) -> list[dict[str, Any]]:
        self._profile.disable()
        # Its type has no name for what it is made of.
        stats: dict[tuple[str, int, str], tuple[int, int, float, float, Any]]
        stats = pstats.Stats(self._profile).stats  # type: ignore[attr-defined]
        whole = sum(own for _, _, own, _, _ in stats.values()) or 1.0
        return [
            {
                "function": place(path, line, name),
                "own": own / whole,
                "whole": cumulative / whole,
                "calls": calls,
            }
            for (path, line, name), (_, calls, own, cumulative, _) in stats.items()
        ]


def _name(code: CodeType) -> str:
    return place(code.co_filename, code.co_firstlineno, code.co_qualname)


def place(path: str, line: int, name: str) -> str:
    """How a function is told: short, and still to be found."""
    if path.startswith(("~", "<")):
        return name
    parts = Path(path).parts
    roots = [place for place, part in enumerate(parts) if part in {"proxy", "site-packages", "asyncio"}]
    if not roots:
        return f"{parts[-1]}:{line} {name}"
    first = roots[-1] + (parts[roots[-1]] == "site-packages")
    return f"{'/'.join(parts[first:])}:{line} {name}"


def _watch(kind: str, output: Path) -> None:
    profiler = Sampler() if kind == "sample" else Calls()

    def stop(_number: int, _frame: FrameType | None) -> None:
        functions = profiler.stop()
        beside = output.with_suffix(".part")
        beside.write_text(json.dumps(functions))
        beside.rename(output)

    signal.signal(signal.SIGUSR1, lambda _number, _frame: profiler.start())
    signal.signal(signal.SIGUSR2, stop)


if __name__ == "__main__":
    _watch(sys.argv[1], Path(sys.argv[2]))
    sys.argv[1:] = sys.argv[3:]
    main()
