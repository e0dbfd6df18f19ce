"""holdfast ask."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable

import click

from proxy.cli.asking import Answer, Question
from proxy.cli.common import examples, json_option, key_option, nobody_listens, url_option


@click.command(epilog=examples('holdfast ask "hello"', 'holdfast ask --model low-cost "Why is the sky blue?"'))
@click.argument("text")
@url_option
@click.option("--model", default="default", show_default=True, help="The route to ask.")
@key_option("HOLDFAST_API_KEY", "A client's key, where the proxy wants one.")
@click.option("--no-stream", is_flag=True, help="Wait for the whole answer.")
@json_option
def ask(text: str, url: str, model: str, key: str | None, no_stream: bool, as_json: bool) -> None:
    """Ask a running proxy something, and say who answered. Exits 1 when the answer is an error."""
    from proxy.cli.asking import Question

    question = Question(model, text, stream=not (no_stream or as_json), key=key)
    shown = _Shown()
    answer = asyncio.run(_ask(url, question, _ignore if as_json else shown.add))
    if isinstance(answer, str):
        shown.end_line()
        click.echo(f"holdfast: {answer}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps({"text": answer.text, "error": answer.error, **answer.told}, indent=2))
    else:
        shown.end_line()
        _say_who(answer)
    sys.exit(0 if answer.error is None else 1)


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
    import aiohttp

    from proxy.cli.asking import NotOurs, chat

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
    line = f"{answer.told.get('x-holdfast-trail', '')}  ({answer.told.get('x-holdfast-reason', '')})"
    # click strips the style where standard error is no terminal.
    click.echo(line if os.environ.get("NO_COLOR") else click.style(line, dim=True), err=True)
