"""Under what conditions the figures came about; without them no table means anything."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import time
from dataclasses import dataclass, field
from typing import Any

from benchmarks.cost.machine import Stolen, stolen
from benchmarks.cost.running import Running


@dataclass
class Conditions:
    """Of one run."""

    date: str
    load: float
    """When it began."""
    steal: Stolen
    cores: dict[int, str] = field(default_factory=dict)
    """Who runs where, by the number of workers."""
    starts: dict[str, dict[str, float]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @classmethod
    def now(cls) -> Conditions:
        """At the beginning of a run."""
        return cls(time.strftime("%Y-%m-%d"), os.getloadavg()[0], stolen())

    def started(self, name: str, proxy: Running) -> None:
        """A proxy runs."""
        if name != "direct" and name not in self.starts:
            self.starts[name] = {"first_answer_s": proxy.started_s, "pss_mib": proxy.memory().pss / 1024}
            self.versions[name] = proxy.version()

    def line(self, options: argparse.Namespace) -> str:
        """What goes above the table, and what each proxy was when it had just started."""
        cores = "; ".join(
            where if workers == 1 else f"with {workers} workers {where}" for workers, where in self.cores.items()
        )
        starts = ", ".join(
            f"{name} {told['first_answer_s']:.2f} s and {told['pss_mib']:.0f} MiB" for name, told in self.starts.items()
        )
        return (
            f"{self.date}: {os.cpu_count()} cores ({cores}), {self._software()}, load {self.load:.1f} at the start, "
            f"{stolen().share_since(self.steal):.1%} of CPU time stolen; medians of {options.rounds} interleaved "
            f"rounds of {options.seconds:g} s, ratios within a round, in brackets the least and the greatest.\n\n"
            f"First answer and memory after the start: {starts}."
        )

    def document(self, options: argparse.Namespace) -> dict[str, Any]:
        """For `--json`."""
        return {
            "date": self.date,
            "software": self._software(),
            "cores": self.cores,
            "load": self.load,
            "steal": stolen().share_since(self.steal),
            "rounds": options.rounds,
            "seconds": options.seconds,
            "starts": self.starts,
        }

    def _software(self) -> str:
        named = [f"Linux {platform.release().partition('-')[0]}", f"Python {platform.python_version()}"]
        for package in ("uvloop", "aiohttp"):
            try:
                named.append(f"{package} {importlib.metadata.version(package)}")
            except importlib.metadata.PackageNotFoundError:
                named.append(f"no {package}")
        named += [f"{name} {version}" for name, version in self.versions.items() if version]
        return ", ".join(named)
