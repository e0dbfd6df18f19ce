"""What a worker has counted is told to the supervisor; what all have is shown by any."""

from __future__ import annotations

from typing import Any, cast

from proxy.core.event import Shed
from proxy.telemetry.metrics import Metrics
from proxy.worker.counts import CountsOfHost
from proxy.workers.link import Link


class Supervisor:
    """As a worker's link has it."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def tell_supervisor(self, *message: Any) -> None:
        self.told.append(message)

    async def ask_all(self, *question: Any) -> list[Any]:
        self.told.append(question)
        return []


def counting(metrics: Metrics, supervisor: Supervisor) -> CountsOfHost:
    def happens() -> None:
        metrics(Shed("chat"))

    return CountsOfHost(cast("Link", supervisor), metrics, happens)


def shed(page: bytes) -> list[str]:
    return [line for line in page.decode().splitlines() if line.startswith("holdfast_shed_total")]


def test_what_is_not_new_is_not_told_again() -> None:
    supervisor = Supervisor()
    counts = counting(Metrics(), supervisor)
    counts.tell_news()
    assert [] == supervisor.told

    counts.has_news = True
    counts.tell_news()
    counts.tell_news()
    assert 1 == len(supervisor.told)


async def test_a_page_shows_what_all_have_counted_up_to_now() -> None:
    supervisor, metrics, elsewhere = Supervisor(), Metrics(), Metrics()
    counts = counting(metrics, supervisor)
    counts.elsewhere = counting(elsewhere, Supervisor()).tell()
    own = await counts.ask()

    assert [("counts", own), ("counts",)] == supervisor.told
    assert ['holdfast_shed_total{route="chat"} 2.0'] == shed(counts.page(own))
