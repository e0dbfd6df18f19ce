"""The simulated upstreams, as a process of their own: prints one line of JSON that says where they are.

    python -m benchmarks.support.upstreams --name a --name b --first-token 0.02 --pace 0.002 --words 8 --spread 0.3

`--spread` lets the time to the first word vary by itself (log-normal, this sigma), as it does with real models. Ends
with SIGTERM, and when its standard input is closed, so that it never outlives whoever started it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys

from proxy.simulator.server import Simulator

_NEW_DELAY_S = 0.004
"""How often the time to the first word is drawn anew; far below the time between two requests."""


async def play(options: argparse.Namespace) -> None:
    simulator = Simulator(options.name, first_token_delay=options.first_token, keep=1)
    for upstream in simulator.upstreams.values():
        upstream.voice.pace = options.pace
        upstream.voice.words_per_answer = options.words
    await simulator.start()
    urls = {name: simulator.base_url(name) for name in options.name}
    print(json.dumps({"upstreams": urls, "control": simulator.control_url}), flush=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_reader(sys.stdin.fileno(), stop.set)
    varying = asyncio.create_task(vary(simulator, options), name="vary")
    await stop.wait()
    varying.cancel()
    await simulator.close()


async def vary(simulator: Simulator, options: argparse.Namespace) -> None:
    luck = random.Random(1)
    while options.spread:
        for upstream in simulator.upstreams.values():
            upstream.voice.first_token_delay = options.first_token * luck.lognormvariate(0, options.spread)
        await asyncio.sleep(_NEW_DELAY_S)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", action="append", required=True)
    parser.add_argument("--first-token", type=float, default=0.02)
    parser.add_argument("--pace", type=float, default=0.002)
    parser.add_argument("--words", type=int, default=8)
    parser.add_argument("--spread", type=float, default=0.0)
    asyncio.run(play(parser.parse_args()))


if __name__ == "__main__":
    main()
