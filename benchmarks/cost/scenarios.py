"""What is asked of the proxies, and which figures are told of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One row of the table: a value of every round, and what it is called."""

    key: str
    """In what a round gives."""
    title: str
    unit: str = "us"


PER_REQUEST = Figure("cpu", "CPU per request")
PER_CHUNK = Figure("cpu", "CPU per chunk")
ADDED_P50 = Figure("added_p50", "added latency, p50")
ADDED_P99 = Figure("added_p99", "added latency, p99")
CHUNK_P50 = Figure("added_p50", "added delay of a chunk, p50")
CHUNK_P99 = Figure("added_p99", "added delay of a chunk, p99")
ON_THE_WAY = (ADDED_P50, ADDED_P99)
OF_CHUNKS = (PER_CHUNK, CHUNK_P50, CHUNK_P99)


@dataclass(frozen=True)
class Scenario:
    """One kind of load."""

    title: str
    job: dict[str, Any]
    """What `benchmarks.cost.load` is given."""
    figures: tuple[Figure, ...] = (PER_REQUEST,)
    unit: str = "answers"
    """What CPU time is divided by: `answers` or `events`."""
    way: str = "straight"
    memory: bool = False
    """What grows while all of it is held is measured, on a process started for it, and no CPU time."""
    workers: bool = False
    """Runs with several workers, too, where no scenarios are named."""

    @property
    def chunks(self) -> int:
        """Of each stream; 0 if it asks for none."""
        return int(self.job.get("chunks", 0))

    @property
    def latency(self) -> bool:
        """Whether it is compared with no proxy at all."""
        return any(figure.key.startswith("added") for figure in self.figures)


SCENARIOS = {
    "json": Scenario("JSON, 1 KB answers, 64 connections", {"connections": 64}, workers=True),
    "one": Scenario("JSON, one connection", {"connections": 1}, (PER_REQUEST, *ON_THE_WAY)),
    "open": Scenario(
        "JSON, 1,000 requests/s whatever comes back", {"connections": 256, "rate": 1000}, (PER_REQUEST, *ON_THE_WAY)
    ),
    "100k": Scenario("100 KB prompts, 8 connections", {"connections": 8, "prompt": 100_000}),
    "100k-one": Scenario(
        "100 KB prompts, one connection", {"connections": 1, "prompt": 100_000}, (PER_REQUEST, ADDED_P50)
    ),
    "1m": Scenario("1 MB prompts, 4 connections", {"connections": 4, "prompt": 1_000_000}),
    "1m-one": Scenario(
        "1 MB prompts, one connection", {"connections": 1, "prompt": 1_000_000}, (PER_REQUEST, ADDED_P50)
    ),
    "paced": Scenario(
        "streams, 2,000 chunks/s (20 streams)",
        {"connections": 20, "chunks": 100, "pace": 0.01, "ramp": 0.06},
        OF_CHUNKS,
        "events",
    ),
    "busy": Scenario(
        "streams, 10,000 chunks/s (100 streams)",
        {"connections": 100, "chunks": 200, "pace": 0.01, "ramp": 0.1},
        OF_CHUNKS,
        "events",
        workers=True,
    ),
    "flood": Scenario(
        "streams as fast as can be (16 streams of 200)", {"connections": 16, "chunks": 200}, (PER_CHUNK,), "events"
    ),
    "tokens": Scenario(
        "1,000 streams of 20 tokens/s",
        {"connections": 1000, "chunks": 120, "pace": 0.05, "ramp": 2.0},
        (
            PER_CHUNK,
            Figure("added_p50", "added delay of a token, p50"),
            Figure("added_p99", "added delay of a token, p99"),
        ),
        "events",
    ),
    "503": Scenario("failover after a 503, 16 connections", {"connections": 16}, way="503", workers=True),
    "503-one": Scenario(
        "failover after a 503, one connection", {"connections": 1}, (PER_REQUEST, *ON_THE_WAY), way="503"
    ),
    "refused": Scenario("failover after a refused connection, 16 connections", {"connections": 16}, way="refused"),
    "cut": Scenario("failover after a cut within the head, 16 connections", {"connections": 16}, way="cut"),
    "cut-stream": Scenario(
        "failover of a stream cut before its content, 16 streams of 20", {"connections": 16, "chunks": 20}, way="cut"
    ),
    "streams": Scenario(
        "2,000 live streams, a chunk each five seconds",
        {"connections": 2000, "chunks": 10_000, "pace": 5.0, "hold": True},
        (Figure("pss", "memory per stream (PSS)", "KiB"), Figure("rss", "memory per stream (RSS)", "KiB")),
        memory=True,
    ),
    "idle": Scenario(
        "2,000 idle keep-alive connections",
        {"connections": 2000, "hold": True},
        (Figure("pss", "memory per connection (PSS)", "KiB"), Figure("rss", "memory per connection (RSS)", "KiB")),
        memory=True,
    ),
}
