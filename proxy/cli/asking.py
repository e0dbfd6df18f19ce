"""What `holdfast ask` does: ask, print the answer as it comes, and say who answered."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable

import aiohttp
import click

from proxy.cli.client import Answer, NotOurs, Question, chat
from proxy.cli.phrases import nobody_listens


def ask_and_print(url: str, question: Question, *, as_json: bool) -> int:
    """The exit code: 0 for a whole answer."""
    shown = _Shown()
    answer = asyncio.run(_ask(url, question, _ignore if as_json else shown.add))
    shown.end_line()
    if isinstance(answer, str):
        click.echo(f"holdfast: {answer}", err=True)
        return 1
    if as_json:
        click.echo(json.dumps({"text": answer.text, "error": answer.error, **answer.told}, indent=2))
    else:
        _say_who(answer)
    return 0 if answer.error is None else 1


class _Shown:
    """The answer as it is printed."""

    def __init__(self) -> None:
        self._in_line = False

    def add(self, piece: str) -> None:
        click.echo(piece, nl=False)
        self._in_line = not piece.endswith("\n") if piece else self._in_line

    def end_line(self) -> None:
        if self._in_line:
            click.echo()
            self._in_line = False


def _ignore(_piece: str) -> None:
    """With --json the whole is printed at the end."""


async def _ask(url: str, question: Question, on_text: Callable[[str], None]) -> Answer | str:
    """The answer, or why there is none."""
    timeout = aiohttp.ClientTimeout(total=None, connect=5)
    try:
        # The buffer bounds one line of a stream, and a line may hold a long tool call.
        async with aiohttp.ClientSession(timeout=timeout, read_bufsize=1 << 20) as session:
            return await chat(session, url, question, on_text=on_text)
    except aiohttp.ClientSSLError as error:
        return f"{url} cannot be trusted: {error}"
    except aiohttp.ClientConnectorError:
        return nobody_listens(url, "serve")
    except NotOurs as error:
        return f"{url} {error}; is it Holdfast?"
    except (aiohttp.ClientError, TimeoutError) as error:
        return f"{url} broke off: {str(error) or 'no answer in time'}"


def _say_who(answer: Answer) -> None:
    if answer.error is not None:
        cure = "; give a client's key with --key or HOLDFAST_API_KEY" if answer.status == 401 else ""
        click.echo(f"holdfast: {answer.error}{cure}", err=True)
        return
    lines = [f"{answer.told.get('x-holdfast-trail', '')}  ({answer.told.get('x-holdfast-reason', '')})"]
    lines += [
        f"{each.source} broke off after {each.at} characters ({each.cause}); "
        f"{each.target} went on {each.ms:.0f} ms later ({each.mode})"
        for each in answer.resumes
    ]
    for line in lines:
        # click strips the style where standard error is no terminal.
        click.echo(line if os.environ.get("NO_COLOR") else click.style(line, dim=True), err=True)
