"""The demo's story: one fault after another, and what the client saw of each.

The client here is an HTTP client on the proxy's own port. What Holdfast did is read from the reply's headers, and from
the comment that it puts where a stream was gone on with elsewhere; what the client saw is what came. So what is printed
is what happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, zip_longest
from typing import NamedTuple

import aiohttp
import click

from proxy.app import Holdfast
from proxy.cli.client import Answer, Question, chat
from proxy.core.event import Happening, RequestEnded
from proxy.pool.operator import Operator

TEXT = (
    "Three simulated models stand behind this address. Should one fall silent in the middle of a sentence, "
    "another goes on from there, and the reader notices nothing."
)
"""What every upstream answers: where one of them is cut, the others know how the sentence goes on."""

_ACT, _DID, _WATCHED = 26, 52, 44
"""Widths of the columns, the last one for what is watched after the story; with the number and what the client saw a
line fits into 100."""
_WIDTH, _INDENT = 100, 6
_PACE_S = 0.01
"""Seconds from word to word: slow enough to be seen streaming, quick enough for a story of seven answers."""
_SPOKEN = {"first_token_timeout": "silent", "connect_refused": "refused", "empty_answer": "empty"}


class Chapter(NamedTuple):
    """One fault, injected into the primary for one request."""

    act: str
    fault: str | None
    stream: bool = True


CHAPTERS = (
    Chapter("just ask", None),
    Chapter("break the primary", "503"),
    Chapter("silence it", "hang"),
    Chapter("let it say nothing", "empty", stream=False),
    Chapter("pull its plug", "refuse"),
    Chapter("cut its text", "cut:after=9"),
    Chapter("heal it", None),
)


class Try(NamedTuple):
    """One attempt, in a few words."""

    upstream: str
    outcome: str
    ms: float


async def tell_story(proxy: Holdfast) -> bool:
    """Play every chapter; True if the client saw no failure in any of them."""
    simulator = proxy.simulator
    assert simulator is not None  # noqa: S101 - the demo's upstreams are simulated
    for upstream in simulator.upstreams.values():
        upstream.voice.pace, upstream.voice.answer = _PACE_S, TEXT
    url = f"http://127.0.0.1:{proxy.port}"
    click.echo(f"proxy      {url}/v1")
    names = ", ".join(simulator.upstreams)
    click.echo(f"upstreams  {names}: simulated, no key needed; all give the same answer\n")
    click.echo(dim(f"    {'what is done':<{_ACT}}  {'what Holdfast did':<{_DID}}  the client saw"))
    saw: list[tuple[Chapter, str | None]] = []
    async with aiohttp.ClientSession() as session:
        for number, chapter in enumerate(CHAPTERS, 1):
            # Each fault by itself: what was learnt from the one before would keep requests away from this one.
            Operator(proxy.pool).reset(None, None, asyncio.get_running_loop().time())
            await simulator.inject("primary", chapter.fault)
            act = f"{chapter.act} ({chapter.fault})" if chapter.fault else chapter.act
            # Said before it is done: silence takes a second, and the reader should know whose.
            click.echo(f"  {number} {act:<{_ACT}}  ", nl=False)
            answer = await chat(session, url, Question("chat", "Tell me something.", stream=chapter.stream))
            click.echo(f"{_did(answer):<{_DID}}  {_seen(answer)}")
            for line in _parts(answer):
                click.echo(line)
            saw.append((chapter, _failure(answer)))
    await simulator.inject("primary", None)
    click.echo(f"\n{_sum(saw)}")
    return not any(failure for _, failure in saw)


def dim(text: str) -> str:
    """Grey on a terminal, where colours are welcome; click strips the style elsewhere."""
    return text if os.environ.get("NO_COLOR") else click.style(text, dim=True)


class Watcher:
    """Prints a line for every request, once it is switched on: after the story, when people ask by themselves."""

    def __init__(self) -> None:
        self.on = False

    def __call__(self, event: Happening) -> None:
        """Listen to one event."""
        if self.on and isinstance(event, RequestEnded):
            # The one who watches may leave; the proxy goes on.
            with contextlib.suppress(OSError):
                click.echo(_told(event))


def _told(event: RequestEnded) -> str:
    tries = [Try(each.deployment.upstream, each.outcome, each.duration * 1000) for each in event.attempts]
    saw = "whole answer" if event.outcome == "ok" else f"{event.status} {event.outcome.replace('_', ' ')}"
    if event.resumes:
        saw += ", resumed"
    return f"    {event.model_asked[:_ACT]:<{_ACT}}  {spoken(tries):<{_WATCHED}}  {saw}"


def _failure(answer: Answer) -> str | None:
    """What is wrong with an answer in the eyes of a client; a word too few or too many is wrong, too."""
    return answer.error or (None if answer.text == TEXT else f"an answer of other words: {answer.text!r}")


def _did(answer: Answer) -> str:
    tries = list(_tries(answer.told.get("x-holdfast-trail", "")))
    if answer.status != 200 or not (answer.resumes or answer.error):
        return spoken(tries)
    # The trail was sent ahead of the text; what became of the text, only the text tells.
    parts = [spoken(tries[:-1])] if tries[:-1] else []
    for each in answer.resumes:
        words = len(answer.text[: each.at].split())
        parts.append(f"{_upstream(each.source)} {_outcome(each.cause)} after {words} words")
    if answer.error is None:
        parts.append(f"{_upstream(answer.resumes[-1].target)} went on ({answer.resumes[-1].mode})")
    else:
        last = answer.resumes[-1].target if answer.resumes else answer.told.get("x-holdfast-upstream", "")
        parts.append(f"{_upstream(last)} broke off after {len(answer.text.split())} words")
    return " > ".join(parts)


def _seen(answer: Answer) -> str:
    if answer.status != 200:
        return f"error {answer.status}"
    if answer.error is None:
        return "a whole answer" if answer.text == TEXT else "other words"
    return f"{len(answer.text.split())} of {len(TEXT.split())} words"


def _parts(answer: Answer) -> Iterator[str]:
    """Who said which part of an answer, as it came; nothing for an answer of one part."""
    if not answer.resumes:
        return
    names = [_upstream(name) for name in (answer.resumes[0].source, *(each.target for each in answer.resumes))]
    places = [0, *(each.at for each in answer.resumes), len(answer.text)]
    widest = max(map(len, names))
    for name, (begin, end) in zip(names, pairwise(places), strict=True):
        lines = textwrap.wrap(answer.text[begin:end].strip(), _WIDTH - _INDENT - widest - 2) or [""]
        for label, line in zip_longest([f"{name}:"], lines, fillvalue=""):
            yield f"{' ' * _INDENT}{dim(f'{label:<{widest + 1}}')} {line}"


def _upstream(deployment: str) -> str:
    return deployment.partition("/")[0]


def _sum(saw: Sequence[tuple[Chapter, str | None]]) -> str:
    faults = [failure for chapter, failure in saw if chapter.fault]
    shown = [failure for failure in faults if failure]
    hidden = f"{len(faults)} faults, {len(faults) - len(shown)} of them hidden from the client"
    if not shown:
        return f"{len(faults)} faults, all of them hidden from the client."
    return f"{hidden}. It was told of the other:\n" + "\n".join(f"  {failure}" for failure in shown)


def _tries(trail: str) -> Iterable[Try]:
    """Of `primary/demo;o=http_503;ms=12, backup/demo;o=ok;ms=51`."""
    for item in filter(None, trail.split(", ")):
        parts = dict(part.partition("=")[::2] for part in item.split(";")[1:])
        yield Try(_upstream(item), parts.get("o", ""), float(parts.get("ms", "0")))


def spoken(tries: Sequence[Try]) -> str:
    """Attempts in a few words; those on one upstream with one outcome count as one."""
    merged: list[tuple[Try, int]] = []
    for each in tries:
        if merged and merged[-1][0][:2] == each[:2]:
            last, times = merged.pop()
            merged.append((last._replace(ms=last.ms + each.ms), times + 1))
        else:
            merged.append((each, 1))
    return " > ".join(
        f"{each.upstream} {_outcome(each.outcome)}{f' x{times}' if times > 1 else ''}, {each.ms:.0f} ms"
        for each, times in merged
    )


def _outcome(code: str) -> str:
    return _SPOKEN.get(code) or code.removeprefix("http_").replace("_", " ")
