"""What it costs to speak another language: CPU time per text delta of a stream, and per long conversation.

.venv/bin/python -m benchmarks.translation [--quick]

The simulator's good answer to the request that was really written goes through the stream machine, a piece for each
event, as it would arrive; then, for clients of another language, through their encoder.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial

from multidict import CIMultiDict, CIMultiDictProxy

from benchmarks.support.table import Options, Report
from proxy.config.settings import UpstreamSettings
from proxy.core.chat import parse_chat
from proxy.core.request import ModelRequest
from proxy.core.wire import Wire
from proxy.dialects.client_wire import Speaking
from proxy.dialects.languages import CLIENT_WIRES
from proxy.dialects.registry import KINDS
from proxy.simulator.answers import Voice
from proxy.simulator.received import ReceivedRequest
from proxy.simulator.replies import reply
from proxy.simulator.steps import Send
from proxy.simulator.wires.table import place_of
from proxy.upstreams.ways import Ask, Letter, fields_for, way_of

_MOST_US = 8.0
_MOST_MS = 2.0
_ROUNDS = 20
_KINDS = {
    "openai": "gpt-4o",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-pro",
    "ollama": "qwen3:8b",
    "bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0",
}
"""Kinds of each language, and a model."""
_CLIENTS: dict[Wire, dict[str, object]] = {
    Wire.CHAT: {"messages": [{"role": "user", "content": "hi"}]},
    Wire.MESSAGES: {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 4096},
    Wire.RESPONSES: {"input": "hi"},
    Wire.COMPLETIONS: {"prompt": "hi", "max_tokens": 4096},
}


def main() -> None:
    """Measure, print, and fail if a demand is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer words: shows that it runs, says little")
    report = Report()
    measure(Options(parser.parse_args().quick), report)
    print(report.markdown())
    sys.exit(not report.good)


def measure(options: Options, report: Report) -> None:
    """Every pair of languages, then long conversations."""
    words = 200 if options.quick else 2000
    streams = {f"{client} from {kind}": stream(client, kind, words) for client in _CLIENTS for kind in _KINDS}
    letters = {f"to {kind}": letter_to(kind, conversation()) for kind in _KINDS}
    size = len(next(iter(letters.values())).fields["messages"]) // 1000
    took = best({**streams, **{name: partial(write, letter) for name, letter in letters.items()}})
    for name in streams:
        each = took[name] / words * 1e6
        report.demand(name, f"a text delta <= {_MOST_US:.0f} us", f"{each:.1f} us", each <= _MOST_US)
    for name in letters:
        whole = took[name] * 1e3
        report.demand(name, f"{size} KB of messages <= {_MOST_MS:.0f} ms", f"{whole:.2f} ms", whole <= _MOST_MS)
    report.note("all", f"one process, best of {_ROUNDS} rounds through all; {words} words, an event in each read")


def stream(client: Wire, kind: str, words: int) -> Callable[[], None]:
    """The reading of one stream, ready to be done."""
    letter = letter_to(kind, question(client))
    return partial(read, letter, streamed(letter, words))


def write(letter: Letter) -> None:
    """A request for an upstream."""
    way_of(letter.upstream.kind, letter.ask).write(letter)


def question(wire: Wire) -> ModelRequest:
    """A small one, streamed."""
    body = json.dumps({"model": "m", "stream": True, **_CLIENTS[wire]}).encode()
    return parse_chat(body) if wire is Wire.CHAT else CLIENT_WIRES[wire].parse(body)


def conversation() -> ModelRequest:
    """About 100 KB: turns, calls of tools and their results."""
    messages: list[dict[str, object]] = [{"role": "system", "content": "You are a helpful assistant."}]
    for turn in range(100):
        call = {"name": "search", "arguments": json.dumps({"query": f"what was said {turn} turns ago", "limit": 10})}
        messages += [
            {"role": "user", "content": f"Question {turn}: " + "what do you make of this? " * 12},
            {
                "role": "assistant",
                "content": "Let me look.",
                "tool_calls": [{"id": f"call_{turn:06}", "type": "function", "function": call}],
            },
            {"role": "tool", "tool_call_id": f"call_{turn:06}", "content": "A result of some length. " * 10},
            {"role": "assistant", "content": "This is what I make of it. " * 8},
        ]
    return parse_chat(json.dumps({"model": "m", "messages": messages}).encode())


def letter_to(kind: str, request: ModelRequest) -> Letter:
    """The request on its way to a model of a kind."""
    upstream = UpstreamSettings(kind, KINDS[kind], "http://127.0.0.1:9", ("k",), {})
    ask = Ask(request)
    return Letter(ask, fields_for(way_of(upstream.kind, ask), request), upstream, _KINDS[kind])


def streamed(letter: Letter, words: int) -> list[bytes]:
    """What a simulated upstream sends, piece by piece."""
    sent = way_of(letter.upstream.kind, letter.ask).write(letter)
    headers = CIMultiDictProxy(CIMultiDict({"content-type": "application/json"}))
    received = ReceivedRequest("POST", sent.path, headers, b"".join(map(bytes, sent.body)), 1, 0.0)
    voice = Voice("u", words_per_answer=words, answer="word ", pace=0.0, first_token_delay=0.0)
    return [step.data for step in reply(place_of(received), None, voice, 1, 0.0) if isinstance(step, Send)]


def read(letter: Letter, pieces: list[bytes]) -> None:
    """The stream's way from the upstream to its client's bytes."""
    way = way_of(letter.upstream.kind, letter.ask)
    splice = way.splice(letter, way.write(letter))
    request = letter.ask.request
    if way.wire is request.wire:
        for piece in pieces:
            splice.feed(piece)
        return
    encoder = CLIENT_WIRES[request.wire].encoder(Speaking(request, "x", 0))
    for piece in pieces:
        out = splice.feed(piece)
        if out:
            encoder.feed(out)


def best(what: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """The fewest seconds of CPU of each, of some rounds through all: a busy neighbour hits a round, not a row."""
    took = dict.fromkeys(what, float("inf"))
    for _ in range(_ROUNDS):
        for name, do in what.items():
            gc.collect()
            started = time.process_time()
            do()
            took[name] = min(took[name], time.process_time() - started)
    return took


if __name__ == "__main__":
    main()
