"""The demo's story: one fault after another, and what the client saw of each.

The client here is an HTTP client on the proxy's own port. What Holdfast did is read from the reply's headers, what the
client saw is what came; so what is printed is what happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import aiohttp
import click

from proxy.app import Holdfast
from proxy.cli.client import Answer, Question, chat
from proxy.core.event import Happening, RequestEnded
from proxy.pool.operator import Operator

_ACT, _DID = 26, 44
"""Widths of the columns; with the number and the last column a line fits into 100."""
_PACE_S = 0.01
"""Seconds from word to word: slow enough to be seen streaming, quick enough for a story of seven answers."""
_SPOKEN = {"first_token_timeout": "silent", "connect_refused": "refused", "empty_answer": "empty"}


class Chapter(NamedTuple):
    """One fault, injected into the primary for one request."""

    act: str
    fault: str | None
    stream: bool
    hidden: bool
    """Whether this version promises that the client sees nothing of it."""


CHAPTERS = (
    Chapter("just ask", None, stream=True, hidden=True),
    Chapter("break the primary", "503", stream=True, hidden=True),
    Chapter("silence it", "hang", stream=True, hidden=True),
    Chapter("let it say nothing", "empty", stream=False, hidden=True),
    Chapter("pull its plug", "refuse", stream=True, hidden=True),
    Chapter("cut its text", "cut:after=9", stream=True, hidden=False),
    Chapter("heal it", None, stream=True, hidden=True),
)


class Try(NamedTuple):
    """One attempt, in a few words."""

    upstream: str
    outcome: str
    ms: float


async def tell_story(proxy: Holdfast) -> bool:
    """Play every chapter; True if the client saw no failure that this version promises to hide."""
    simulator = proxy.simulator
    assert simulator is not None  # noqa: S101 - the demo's upstreams are simulated
    for upstream in simulator.upstreams.values():
        upstream.voice.pace = _PACE_S
    url = f"http://127.0.0.1:{proxy.port}"
    click.echo(f"proxy      {url}/v1")
    click.echo(f"upstreams  {', '.join(simulator.upstreams)}: simulated, no key needed\n")
    click.echo(dim(f"    {'what is done':<{_ACT}}  {'what Holdfast did':<{_DID}}  what the client saw"))
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
            saw.append((chapter, _failure(answer)))
    await simulator.inject("primary", None)
    click.echo(f"\n{_sum(saw)}")
    return not any(failure for chapter, failure in saw if chapter.hidden)


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
    return f"    {event.model_asked[:_ACT]:<{_ACT}}  {spoken(tries):<{_DID}}  {saw}"


def _failure(answer: Answer) -> str | None:
    """What is wrong with an answer in the eyes of a client; an answer without a word is wrong, too."""
    return answer.error or (None if answer.text else "an empty answer")


def _did(answer: Answer) -> str:
    tries = list(_tries(answer.told.get("x-holdfast-trail", "")))
    if answer.status == 200 and _failure(answer) is not None:
        # The trail was sent ahead of the text; what became of the text, only the text tells.
        upstream = answer.told.get("x-holdfast-upstream", "")
        return f"{spoken(tries[:-1]) + ' > ' if tries[:-1] else ''}{upstream} broke off after {_words(answer)} words"
    return spoken(tries)


def _seen(answer: Answer) -> str:
    if _failure(answer) is None:
        return "a whole answer"
    return f"{_words(answer)} words, then an error" if answer.status == 200 else f"error {answer.status}"


def _words(answer: Answer) -> int:
    return len(answer.text.split())


def _sum(saw: Sequence[tuple[Chapter, str | None]]) -> str:
    faults = [failure for chapter, failure in saw if chapter.fault]
    shown = [failure for failure in faults if failure]
    hidden = f"{len(faults)} faults, {len(faults) - len(shown)} of them hidden from the client"
    if not shown:
        return f"{len(faults)} faults, none seen by the client."
    return f"{hidden}. It was told of the other:\n" + "\n".join(f"  {failure}" for failure in shown)


def _tries(trail: str) -> Iterable[Try]:
    """Of `primary/demo;o=http_503;ms=12, backup/demo;o=ok;ms=51`."""
    for item in filter(None, trail.split(", ")):
        parts = dict(part.partition("=")[::2] for part in item.split(";")[1:])
        yield Try(item.partition("/")[0], parts.get("o", ""), float(parts.get("ms", "0")))


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
