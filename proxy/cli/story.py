"""The demo's story: one fault after another, and what the client saw of each.

The client here is an HTTP client on the proxy's own port; what it is told comes from the reply's headers, and what is
printed is what happened.
"""

from __future__ import annotations

from typing import NamedTuple

import aiohttp
import click

from proxy.app import Holdfast
from proxy.cli.asking import Answer, chat


class Chapter(NamedTuple):
    """One fault, injected into the primary for one request."""

    title: str
    fault: str | None
    stream: bool
    hidden: bool
    """Whether this version promises that the client sees nothing of it."""


CHAPTERS = (
    Chapter("ask", None, stream=True, hidden=True),
    Chapter("break the primary (503)", "503", stream=True, hidden=True),
    Chapter("silence it", "hang", stream=True, hidden=True),
    Chapter("let it answer nothing", "empty", stream=False, hidden=True),
    Chapter("pull its plug", "refuse", stream=True, hidden=True),
    Chapter("cut it in mid-text", "cut:after=9", stream=True, hidden=False),
    Chapter("heal it", None, stream=True, hidden=True),
)


async def tell_story(proxy: Holdfast) -> bool:
    """Play every chapter; True if the client saw no failure that this version promises to hide."""
    simulator = proxy.simulator
    assert simulator is not None  # noqa: S101 - the demo's upstreams are simulated
    names = "   ".join(f"{name}: healthy" for name in simulator.upstreams)
    click.echo(f"demo upstreams  {names}   (simulated, no key needed)")
    url = f"http://127.0.0.1:{proxy.port}"
    click.echo(f"proxy           {url}/v1\n")
    seen = 0
    async with aiohttp.ClientSession() as session:
        for number, chapter in enumerate(CHAPTERS, 1):
            await simulator.inject("primary", chapter.fault)
            answer = await chat(session, url, "chat", "Tell me something.", stream=chapter.stream)
            click.echo(_line(number, chapter, answer))
            if answer.error is not None and chapter.hidden:
                seen += 1
    await simulator.inject("primary", None)
    hidden = sum(1 for chapter in CHAPTERS if chapter.fault and chapter.hidden)
    click.echo(f"\n{hidden} faults to hide, {seen} seen by the client.")
    return seen == 0


def _line(number: int, chapter: Chapter, answer: Answer) -> str:
    attempts = _spoken(answer.told.get("x-holdfast-trail", ""))
    if answer.error is None:
        outcome = f"client: {answer.status}, whole answer"
    elif answer.status == 200:
        attempts = f"{attempts.split()[0]} broke off after {len(answer.text.split())} words"
        outcome = "client: the text so far, then a clear error"
    else:
        outcome = f"client: {answer.status} {answer.error}"
    return f"  {number} {chapter.title:<24} {attempts:<52} {outcome}"


def _spoken(trail: str) -> str:
    """`primary/demo;o=http_503;ms=12, ...` in fewer words; attempts on one deployment with one outcome count as one."""
    said: list[tuple[str, int, int]] = []
    for item in trail.split(", "):
        parts = dict(part.partition("=")[::2] for part in item.split(";")[1:])
        what = f"{item.partition('/')[0]} {parts.get('o', '')}"
        ms = int(parts.get("ms", "0"))
        if said and said[-1][0] == what:
            said[-1] = (what, said[-1][1] + 1, said[-1][2] + ms)
        else:
            said.append((what, 1, ms))
    return " > ".join(f"{what}{f' x{times}' if times > 1 else ''} {ms} ms" for what, times, ms in said)
