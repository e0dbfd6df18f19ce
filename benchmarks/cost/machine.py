"""What the machine says of processes and of itself: CPU time, memory, stolen time, cores."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_GONE = (FileNotFoundError, ProcessLookupError)
"""A thread or process that ends while one looks."""
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cpu:
    """CPU time of a process and all below it, in seconds.

    `total` is the scheduler's own count, in nanoseconds; the two parts are counted in ticks of 10 ms: fit for shares.
    """

    total: float = 0.0
    user: float = 0.0
    system: float = 0.0

    def since(self, before: Cpu) -> Cpu:
        """What was used between two readings."""
        return Cpu(self.total - before.total, self.user - before.user, self.system - before.system)


@dataclass(frozen=True)
class Memory:
    """Of a process and all below it, in KiB; pages that several of them share count once in `pss`."""

    pss: int
    rss: int


def tree(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    with contextlib.suppress(*_GONE):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from tree(int(child))


def cpu_of(pid: int) -> Cpu:
    """Of a process and all below it."""
    total = user = system = 0.0
    for each in tree(pid):
        with contextlib.suppress(*_GONE):
            for task in Path(f"/proc/{each}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0]) / 1e9
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            user += int(fields[11]) / _TICK
            system += int(fields[12]) / _TICK
    return Cpu(total, user, system)


def memory_of(pid: int) -> Memory:
    """Of a process and all below it."""
    sums = {"Pss:": 0, "Rss:": 0}
    for each in tree(pid):
        with contextlib.suppress(*_GONE):
            for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
                name, *rest = line.split()
                if name in sums:
                    sums[name] += int(rest[0])
    return Memory(sums["Pss:"], sums["Rss:"])


@dataclass(frozen=True)
class Stolen:
    """CPU time of the whole machine since it started, in ticks."""

    stolen: int
    whole: int

    def share_since(self, before: Stolen) -> float:
        """What the hypervisor took of it between two readings."""
        return (self.stolen - before.stolen) / max(1, self.whole - before.whole)


def stolen() -> Stolen:
    """As of now."""
    fields = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return Stolen(fields[7], sum(fields))


@dataclass(frozen=True)
class Cores:
    """Which cores the proxies run on, and which one the ends: clients and mock provider."""

    proxies: tuple[int, ...]
    ends: tuple[int, ...]

    @classmethod
    def shared_out(cls, workers: int) -> Cores:
        """One for each worker, another for the ends; where there are too few, proxies share the ends' one."""
        allowed = tuple(sorted(os.sched_getaffinity(0)))
        if len(allowed) < 2:
            return cls(allowed, allowed)
        return cls(allowed[:workers], allowed[-1:])

    def __str__(self) -> str:
        return f"proxies on {_listed(self.proxies)}, ends on {_listed(self.ends)}"


def pinned(cores: tuple[int, ...]) -> list[str]:
    """What to put before a command that is to run on these cores only."""
    return ["taskset", "-c", ",".join(map(str, cores))]


def _listed(cores: tuple[int, ...]) -> str:
    return ("core " if len(cores) == 1 else "cores ") + ", ".join(map(str, cores))


def allow_many_files() -> None:
    """Thousands of connections need as many descriptors; children inherit the limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
