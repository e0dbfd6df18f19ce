"""Deployments that begin, break and continue one text in every way that models and networks know, without a network.

A `Speaker` is a deployment: it knows the whole text and answers a request to go on in its own manner. `deliver` plays a
chain of them through the same parts that a running proxy uses, and returns what a client would have got.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from proxy.core.failure import Failure, FailureClass
from proxy.dialects.failures import classify_in_band
from proxy.dialects.openai.chat import event_reader
from proxy.dialects.openai.graft import ChatGraft, Resumption
from proxy.dialects.openai.said import condense
from proxy.dialects.registry import Quirks
from proxy.streams.resume import (
    Continuation,
    Obstacle,
    ResumeMode,
    ResumeSettings,
    Wanted,
    continuation,
    modes_for,
    next_mode,
    refused,
)
from proxy.streams.seam import MARK, Echo
from proxy.streams.splice import Splice, StreamState
from proxy.streams.transcript import Room, Transcript

BREAKS = ("cut", "half", "stall", "malformed", "error", "clean", "done")
PREFILLS = ("exact", "echo", "tail", "over", "refuse", "none")
INSTRUCTS = ("mark", "direct", "echo", "tail", "over", "refuse")
RESTARTS = ("same", "other")


@dataclass(frozen=True)
class Speaker:
    """A deployment, and its manners."""

    prefill: str = "none"
    """`exact`: goes on; `echo`, `tail`: says the beginning or the last part again first; `over`: starts over with other
    words; `refuse`: a 400; `none`: not known to do it."""
    told: bool = False
    """Whether it is known if it says the beginning again."""
    instruct: str = "refuse"
    """As `prefill`; `mark`: as it is asked to; `direct`: goes on without a word."""
    restart: str = "other"
    """`same`: the same answer every time."""
    breaks: str | None = None
    """How its stream ends before its time."""
    after: int = 0
    """After how many characters."""

    @property
    def echo(self) -> Echo:
        """What is known of it."""
        if not self.told or self.prefill not in {"exact", "echo"}:
            return Echo.UNKNOWN
        return Echo.ALWAYS if self.prefill == "echo" else Echo.NEVER


@dataclass(frozen=True)
class Got:
    """What a client got."""

    text: str
    whole: bool
    """It ended as answers do; else with an error."""
    events: list[Any]
    modes: list[ResumeMode]
    """How it was gone on with, in order."""
    places: list[int]
    """After how many characters."""


def deliver(text: str, chain: list[Speaker], luck: random.Random, settings: ResumeSettings | None = None) -> Got:
    """Play a chain; the first speaker gets the request, the others are asked to go on where one breaks off."""
    settings = settings or ResumeSettings()
    transcript = Transcript(condense, Room())
    out = [_play(_splice(), text, chain[0], luck, transcript, "stop")]
    modes: list[ResumeMode] = []
    places: list[int] = []
    state = out[0][1]
    for number, speaker in enumerate(chain[1:], 1):
        tried: set[str] = set()
        while state is StreamState.BROKEN:
            said = transcript.said()
            allowed = modes_for(said, Wanted(), settings, holding=False)
            if isinstance(allowed, Obstacle):
                break
            mode = next_mode(allowed, tried, prefill=speaker.prefill != "none")
            if mode is None:
                break
            assert said is not None
            asked = continuation(mode, said, said.text, settings)
            reply = _reply(speaker, asked, text, luck)
            if reply is None:
                failure: Failure | None = Failure(FailureClass.CALLER_FAULT, "http_400")
            else:
                echo = speaker.echo if mode is ResumeMode.PREFILL else Echo.UNKNOWN
                splice = _splice(Resumption(asked, said.text, "", said.identity, echo))
                sent, state = _play(splice, reply, speaker, luck, transcript, f"stop-{number}")
                out.append((sent, state))
                if sent or state is StreamState.DONE:
                    modes.append(mode)
                    places.append(len(said.text))
                failure = splice.failure
                if sent:
                    break
            if failure is None or refused(failure, mode).kind is not FailureClass.PARAMETER_UNSUPPORTED:
                break
            tried.add(mode.value)
    transcript.close()
    return _got(b"".join(sent for sent, _ in out), state, modes, places)


def _splice(resumption: Resumption | None = None) -> Splice:
    graft = None if resumption is None else ChatGraft(resumption)
    return Splice(
        event_reader(Quirks()), lambda data: classify_in_band("", data, 0.0), show_usage=False, choices=1, graft=graft
    )


def _reply(speaker: Speaker, asked: Continuation, text: str, luck: random.Random) -> str | None:
    """What a speaker says when it is asked; None when it refuses."""
    if asked.mode is ResumeMode.RESTART:
        # Where nothing was said yet, any answer is as good, and there is but one text here.
        return text if speaker.restart == "same" or not asked.text else "\N{BLACK HEART SUIT}" + text
    manner = speaker.prefill if asked.mode is ResumeMode.PREFILL else speaker.instruct
    rest = text[len(asked.text) :]
    if manner == "refuse":
        return None
    if manner == "mark":
        return MARK + asked.tail + rest
    if manner == "echo":
        return asked.text + rest
    if manner == "tail":
        return asked.text[-luck.randint(64, 200) :] + rest
    return _other(text) if manner == "over" else rest


def _other(text: str) -> str:
    """An answer that begins like the text and leaves it soon."""
    return text.lstrip()[:16] + " \N{BLACK HEART SUIT} something else"


def _play(
    splice: Splice, text: str, speaker: Speaker, luck: random.Random, transcript: Transcript, id_: str
) -> tuple[bytes, StreamState]:
    """One stream through a splice; returns what the client gets of it, and how it ended."""
    spoken = text if speaker.breaks is None else text[: speaker.after]
    wire = _event(id_, {"role": "assistant", "content": ""})
    wire += b"".join(_event(id_, {"content": piece}) for piece in _pieces(spoken, luck))
    wire += _ending(speaker.breaks, id_)
    sent = b""
    for piece in _cut(wire, luck):
        out = splice.feed(piece)
        if out:
            transcript.add(out)
        sent += out
        if splice.state in {StreamState.DONE, StreamState.BROKEN}:
            break
    if splice.state not in {StreamState.DONE, StreamState.BROKEN}:
        if speaker.breaks in {"cut", "half"}:
            splice.fail(Failure(FailureClass.BAD_ANSWER, "cut"))
        elif speaker.breaks == "stall":
            splice.fail(Failure(FailureClass.TIMEOUT, "idle_timeout"))
        else:
            sent += splice.end()
    return sent, splice.state


def _ending(breaks: str | None, id_: str) -> bytes:
    return {
        None: _event(id_, {}, "stop") + b"data: [DONE]\n\n",
        "cut": b"",
        "stall": b"",
        "clean": b"",
        "half": _event(id_, {"content": "never to be seen"})[:-9],
        "malformed": b'data: {"id": "x", "choices": [{"index": 0, "delta": {"content": "never\n\n',
        "error": b'data: {"error": {"message": "The server is overloaded", "type": "server_error"}}\n\n',
        "done": b"data: [DONE]\n\n",
    }[breaks]


def _event(id_: str, delta: dict[str, object], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    chunk = {"id": id_, "object": "chat.completion.chunk", "created": len(id_), "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def _pieces(text: str, luck: random.Random) -> list[str]:
    """A text as the tokens in which it arrives."""
    most = luck.choice([1, 4, 12, 80])
    pieces, start = [], 0
    while start < len(text):
        size = luck.randint(1, most)
        pieces.append(text[start : start + size])
        start += size
    return pieces


def _cut(wire: bytes, luck: random.Random) -> list[bytes]:
    """Bytes as the reads in which they arrive."""
    most = luck.choice([31, 100, 5000, 10**6])
    pieces, start = [], 0
    while start < len(wire):
        size = luck.randint(1, most)
        pieces.append(wire[start : start + size])
        start += size
    return pieces


def _got(sent: bytes, state: StreamState, modes: list[ResumeMode], places: list[int]) -> Got:
    events = []
    for block in sent.decode().split("\n\n"):
        if block.startswith("data: "):
            data = block.removeprefix("data: ")
            events.append(data if data == "[DONE]" else json.loads(data))
    chunks = [event for event in events if isinstance(event, dict)]
    text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    return Got(text, state is StreamState.DONE, events, modes, places)


# Texts.


def any_text(luck: random.Random) -> str:
    """A text of any kind: prose, code, a table, other scripts, pictures, and what repeats itself."""
    kind = luck.choice([_prose, _code, _table, _han, _pictures, _repeated, _refrain, _noise])
    return kind(luck)


_WORDS = [
    *["the", "a", "of", "one", "quick", "brown", "fox", "jumps", "over", "lazy", "dog", "and", "then", "it", "was"],
    *["night", "42", "3.14159", "1,000,000", "don't", "\xe9", "na\xefve"],
]
_HAN = "\u5929\u5730\u7384\u9ec4\u5b87\u5b99\u6d2a\u8352\u65e5\u6708\u3002\uff0c\u3053\u306e\u306f\ud55c\uad6d\uc5b4"
_PICTURES = [
    "\N{PARTY POPPER}",
    "\U0001f469\u200d\U0001f467",
    "\U0001f1f0\U0001f1f7",
    "\U0001f645\U0001f3fd",
    "e\u0301",
    " ",
    "a",
]


def _prose(luck: random.Random) -> str:
    text = ""
    for _ in range(luck.randint(1, 120)):
        text += luck.choice(_WORDS) + luck.choice([" ", " ", " ", " ", ", ", ". ", ".\n\n", "  "])
    return text + "The end."


def _code(luck: random.Random) -> str:
    lines = ["def f(x):", "    return x", "    if x > 1:", "        x = x + 1", "", "}", "    }", "# a comment", "```"]
    return "```python\n" + "\n".join(luck.choice(lines) for _ in range(luck.randint(1, 60))) + "\n```"


def _table(luck: random.Random) -> str:
    rows = [f"| {luck.choice(_WORDS)} | {luck.randint(0, 9)} | |" for _ in range(luck.randint(1, 40))]
    return "| a | b | c |\n|---|---|---|\n" + "\n".join(rows) + "\n\nDone."


def _han(luck: random.Random) -> str:
    return "".join(luck.choice(_HAN) for _ in range(luck.randint(1, 400))) + "\u3002"


def _pictures(luck: random.Random) -> str:
    return "".join(luck.choice(_PICTURES) for _ in range(luck.randint(1, 120))) + "!"


def _repeated(luck: random.Random) -> str:
    unit = "".join(luck.choice("ab \n") for _ in range(luck.randint(1, 12)))
    return unit * luck.randint(2, 200)


def _refrain(luck: random.Random) -> str:
    refrain = " ".join(luck.choice(_WORDS) for _ in range(8))[:60] + "\n"
    verses = [refrain * luck.randint(1, 4) + luck.choice(_WORDS) + "\n" for _ in range(luck.randint(1, 8))]
    return "".join(verses) + refrain * luck.randint(1, 9)


def _noise(luck: random.Random) -> str:
    signs = [luck.choice([luck.randint(32, 126), luck.randint(160, 0x2FF), 10]) for _ in range(luck.randint(1, 300))]
    return "".join(map(chr, signs))
