"""What breakers, windows, budgets and permits cost by themselves: CPU time per request, memory per deployment.

.venv/bin/python benchmarks/breaker_cost.py [--quick]
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import tracemalloc

from benchmarks.support.table import Options, Report
from proxy.config.settings import Rules
from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.policies.retry_budget import RetryBudgetSettings
from proxy.pool.budgets import Budgets
from proxy.pool.permit import SUCCEEDED, Permit
from proxy.pool.pool import Pool

UPSTREAMS = ("a", "b", "c")
RULES = Rules()
_MOST_US = 5.0
_MOST_KB = 40.0
_DEPLOYMENTS = 500
_ANSWERS = 100
_ROUNDS = 5


async def measure(options: Options, report: Report) -> None:
    """Both demands."""
    requests = 20_000 if options.quick else 200_000
    rounds = [cpu_per_request(requests) * 1e6 for _ in range(_ROUNDS)]
    told = f"{min(rounds):.2f} us (rounds: {', '.join(f'{each:.2f}' for each in rounds)})"
    report.demand(
        "cost", f"breakers, windows, budgets, permits <= {_MOST_US:.0f} us per request", told, min(rounds) <= _MOST_US
    )
    size = memory_per_deployment() / 1024
    report.demand("cost", f"<= {_MOST_KB:.0f} KB per deployment", f"{size:.1f} KB", size <= _MOST_KB)
    report.note("cost", f"chain of three, the first answers; best of {_ROUNDS} x {requests:,} requests in one process")


def cpu_per_request(requests: int) -> float:
    """Seconds of CPU for what the pool and the budgets do for one good request along a chain of three."""
    chain = [DeploymentId(name, "m") for name in UPSTREAMS]
    pool = Pool(dict.fromkeys(UPSTREAMS, 1), [(id_, RULES) for id_ in chain])
    per_upstream = dict.fromkeys(UPSTREAMS, RetryBudgetSettings())
    budgets = Budgets(RetryBudgetSettings(), per_upstream, {"chat": 0.05})
    first = chain[0]
    now = 1000.0
    gc.collect()
    started = time.process_time()
    for _ in range(requests):
        now += 0.002
        # As execution/executor.py, walk.py and attempt.py do it, in their order.
        budgets.request("chat", now)
        for id_ in chain:
            pool.standing(id_, RULES, now)
        permit = pool.admit(first, RULES, now)
        budgets.first_attempt("a", now)
        if isinstance(permit, Permit):
            pool.report(permit, SUCCEEDED, now + 0.05, 0.5)
    return (time.process_time() - started) / requests


def memory_per_deployment() -> float:
    """Bytes for one deployment that has answered a hundred times in each mode, and whose figures were asked for."""
    failure = Failure(FailureClass.OVERLOADED, "http_503")
    ids = [DeploymentId("a", f"m{number}") for number in range(_DEPLOYMENTS)]
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    pool = Pool({"a": 1}, [(id_, RULES) for id_ in ids])
    now = 1000.0
    for number in range(_ANSWERS * 2):
        for id_ in ids:
            now += 0.0001
            permit = pool.admit(id_, RULES, now)
            if isinstance(permit, Permit):
                permit.stream = number % 2 == 0
                pool.report(permit, failure if number % 20 == 0 else SUCCEEDED, now + 0.05 + number * 1e-5, 0.5)
    for deployment in pool.deployments():
        for share in (0.5, 0.95):
            deployment.recent.percentile(share, stream=True)
            deployment.recent.percentile(share, stream=False)
            deployment.recent.total_percentile(share)
    gc.collect()
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return used / _DEPLOYMENTS


def main() -> None:
    parser = argparse.ArgumentParser(description="What breakers, windows, budgets and permits cost by themselves.")
    parser.add_argument("--quick", action="store_true")
    report = Report()
    coroutine = measure(Options(quick=parser.parse_args().quick), report)
    try:
        coroutine.send(None)
    except StopIteration:
        print(report.markdown())
    sys.exit(0 if report.good else 1)


if __name__ == "__main__":
    main()
