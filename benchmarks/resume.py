"""What it costs to be able to go on with broken streams, and how long that takes.

.venv/bin/python -m benchmarks.resume [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
import tracemalloc

import aiohttp

from benchmarks.support.figures import percentile
from benchmarks.support.table import Options, Report
from proxy.app import Holdfast
from proxy.config.load import load
from proxy.config.resolve import resolve
from proxy.core.event import Happening, ResumeEnded
from proxy.core.failure import Failure, FailureClass
from proxy.dialects.openai.chat import event_reader
from proxy.dialects.openai.said import condense
from proxy.dialects.registry import Quirks
from proxy.streams.resume import HoldBack
from proxy.streams.splice import Splice
from proxy.streams.transcript import BLOCK, Room, Transcript

_MOST_US = 2.0
_MOST_MS = 50.0
_STREAMS, _TOKENS = 1000, 2000
_ROUNDS = 7
_TEXT = "Nothing is lost and nothing is said twice, wherever the line is cut, and by whomever."
_ROUTES = """\
version: 1
server: {port: 0}
upstreams:
  first: {kind: simulated}
  second: {kind: simulated}
state: null
defaults: {breaker: {consecutive: 1000, error_rate: 100%, minimum_requests: 1000}}
routes:
  chat: {chain: [first/m, second/m]}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="What it costs to be able to go on with broken streams.")
    parser.add_argument("--quick", action="store_true")
    options, report = Options(quick=parser.parse_args().quick), Report()
    measure_event(report)
    measure_memory(report)
    asyncio.run(measure_seam(options, report))
    print(report.markdown())
    sys.exit(0 if report.good else 1)


def measure_event(report: Report) -> None:
    """CPU time of one event on its way through the stream machine, with what is kept of it and without."""
    events = [_event(number) for number in range(_TOKENS)]
    bare = min(_seconds(events, keep=False) for _ in range(_ROUNDS)) / _TOKENS * 1e6
    kept = min(_seconds(events, keep=True) for _ in range(_ROUNDS)) / _TOKENS * 1e6
    told = f"{kept - bare:.2f} us ({bare:.2f} us without, {kept:.2f} us with)"
    report.demand("event", f"keeping an event <= {_MOST_US:.0f} us", told, kept - bare <= _MOST_US)
    report.note("event", f"one event of {len(events[0])} bytes in each read; best of {_ROUNDS} x {_TOKENS:,} events")


def measure_memory(report: Report) -> None:
    """Memory of many long streams at once."""
    events = [_event(number) for number in range(_TOKENS)]
    said = sum(len(f" word{number}") for number in range(_TOKENS))
    most = _STREAMS * (3 * said + BLOCK)
    gc.collect()
    tracemalloc.start()
    room = Room()
    transcripts = [Transcript(condense, room) for _ in range(_STREAMS)]
    highest = 0
    for start in range(0, _TOKENS, 50):
        for transcript in transcripts:
            for event in events[start : start + 50]:
                # A copy, as reads from sockets are.
                transcript.add(bytes(bytearray(event)))
        highest = max(highest, room.used)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    lost = sum(transcript.lost for transcript in transcripts)
    told = f"{used / 2**20:.0f} MB in use, {highest / 2**20:.0f} MB set aside at most, {lost} lost"
    demand = f"{_STREAMS:,} streams of {_TOKENS:,} tokens <= {most / 2**20:.0f} MB (three times the text, and a block)"
    report.demand("memory", demand, told, used <= most and highest <= most and not lost)


async def measure_seam(options: Options, report: Report) -> None:
    """From a cut to the first new text for the client, over sockets, with upstreams that answer at once."""
    times: list[float] = []

    def listen(event: Happening) -> None:
        if isinstance(event, ResumeEnded) and event.outcome == "continued":
            times.append(event.duration * 1000)

    loaded = load(_ROUTES, filename="(benchmark)", environ={}, read_file=_no_files)
    assert loaded.config is not None
    proxy = Holdfast(resolve(loaded.config, loaded.unconfigured), listeners=(listen,))
    await proxy.start()
    assert proxy.simulator is not None
    for upstream in proxy.simulator.upstreams.values():
        upstream.voice.answer = _TEXT
        upstream.voice.pace = upstream.voice.first_token_delay = 0.0
    await proxy.simulator.inject("first", "cut:after=7")
    answers = 40 if options.quick else 400
    whole = 0
    async with aiohttp.ClientSession() as session:
        for _ in range(answers):
            whole += await _ask(session, proxy.port)
    await proxy.stop()
    told = f"p50 {percentile(times, 0.5):.1f} ms, p99 {percentile(times, 0.99):.1f} ms"
    report.demand("seam", f"a cut to the next text <= {_MOST_MS:.0f} ms", told, percentile(times, 0.99) <= _MOST_MS)
    report.demand("seam", "all answers whole", f"{whole} of {answers}", whole == answers)
    report.note("seam", "upstreams, proxy and client in one process, so a part of the time is the upstreams'")


async def _ask(session: aiohttp.ClientSession, port: int) -> bool:
    body = {"model": "chat", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    async with session.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body) as response:
        events = (await response.read()).decode().split("\n\n")
    chunks = [json.loads(event[6:]) for event in events if event.startswith("data: {")]
    text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ()))
    return text == _TEXT and "data: [DONE]" in events


def _seconds(events: list[bytes], *, keep: bool) -> float:
    def error(data: bytes) -> Failure:
        return Failure(FailureClass.UNKNOWN, data.decode())

    splice = Splice(event_reader(Quirks()), error, show_usage=False, hold=HoldBack.TOOLS)
    transcript = Transcript(condense, Room())
    started = time.process_time()
    for event in events:
        out = splice.feed(event)
        if keep and out:
            transcript.add(out)
    return time.process_time() - started


def _event(number: int) -> bytes:
    choice = {"index": 0, "delta": {"content": f" word{number}"}, "logprobs": None, "finish_reason": None}
    identity = {"id": "chatcmpl-123456789012345678901234", "object": "chat.completion.chunk", "created": 1_800_000_000}
    chunk = {**identity, "model": "model-2026-01-01", "system_fingerprint": "fp_123456", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _no_files(path: str) -> str:
    raise FileNotFoundError(path)


if __name__ == "__main__":
    main()
