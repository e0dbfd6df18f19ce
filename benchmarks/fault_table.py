"""Prints, fault by fault, what a client with the official SDK sees and in what time.

    .venv/bin/python -m benchmarks.fault_table > table.md

Real sockets, real time. The chain is primary, backup; the primary has the fault, first_token is 400 ms and idle 1 s.
With `alone` the chain is the primary only.
"""

from __future__ import annotations

import threading
import time

import openai
from openai import OpenAI

from proxy.pool.operator import Operator
from tests.chaos.test_faults import AFTER_COMMIT, HARMLESS, HIDDEN, RETURNED
from tests.conformance.conftest import RunningFleet, run_fleet

ASKING = [{"role": "user", "content": "hi"}]


def ask(client: OpenAI, model: str, *, stream: bool) -> str:
    """One request in a few words: what came, and when."""
    started = time.perf_counter()
    text, first = "", None
    try:
        if stream:
            for chunk in client.chat.completions.create(model=model, messages=ASKING, stream=True, temperature=0.5):
                piece = chunk.choices[0].delta.content or ""
                if piece and first is None:
                    first = time.perf_counter() - started
                text += piece
        else:
            whole = client.chat.completions.create(model=model, messages=ASKING, temperature=0.5)
            text = whole.choices[0].message.content or ""
        outcome = f"whole, {len(text.split())} words"
    except openai.APIStatusError as error:
        outcome = f"{type(error).__name__} {error.status_code} `{error.code}`"
    except openai.APIError as error:
        outcome = f"{len(text.split())} words, then {type(error).__name__} `{error.code}`"
    took = (time.perf_counter() - started) * 1000
    return f"{outcome}; {took:.0f} ms" + (f" (first text {first * 1000:.0f} ms)" if first is not None else "")


def forget(running: RunningFleet) -> None:
    """Forget every rest and breaker, as an operator may."""
    done = threading.Event()

    def reset() -> None:
        Operator(running.fleet.proxy.pool).reset(None, None, running.loop.time())
        done.set()

    running.loop.call_soon_threadsafe(reset)
    done.wait(5)


def row(running: RunningFleet, client: OpenAI, fault: str) -> str:
    cells = []
    for model in ("chat", "alone"):
        for stream in (True, False):
            # A new fault each time, so that a rest of the last request does not hide it.
            forget(running)
            running.inject("primary", fault)
            cells.append(ask(client, model, stream=stream))
    return f"| `{fault}` | " + " | ".join(cells) + " |"


def main() -> None:
    running, stop = run_fleet()
    running.voice(answer="one two three four five six seven eight nine ten eleven twelve", pace=0.001)
    print("| fault | chain, SSE | chain, JSON | alone, SSE | alone, JSON |\n|---|---|---|---|---|")
    with OpenAI(base_url=running.base_url, api_key="unused", max_retries=0) as client:
        for fault in ("503:probability=0", *HIDDEN, *AFTER_COMMIT, *RETURNED, *HARMLESS):
            print(row(running, client, fault), flush=True)
    stop()


if __name__ == "__main__":
    main()
