"""holdfast ask."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import click

from proxy.cli.common import url_option


@click.command(epilog='Examples:\n\n  holdfast ask "hello"\n\n  holdfast ask --model low-cost "Why is the sky blue?"')
@click.argument("text")
@url_option
@click.option("--model", default="default", show_default=True, help="The route to ask.")
@click.option("--key", envvar="HOLDFAST_API_KEY", help="A client key, where the proxy wants one.")
@click.option("--no-stream", is_flag=True, help="Wait for the whole answer.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer and what was told about it as JSON.")
def ask(text: str, url: str, model: str, key: str | None, no_stream: bool, as_json: bool) -> None:
    """Ask a running proxy something, and say who answered. Exits 1 when the answer is an error."""
    sys.exit(asyncio.run(_ask(url.rstrip("/"), model, text, key, stream=not (no_stream or as_json), as_json=as_json)))


async def _ask(url: str, model: str, text: str, key: str | None, *, stream: bool, as_json: bool) -> int:
    import aiohttp

    from proxy.cli.asking import chat

    shown = (lambda piece: click.echo(piece, nl=False)) if not as_json else (lambda _piece: None)
    timeout = aiohttp.ClientTimeout(total=None, connect=5)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            answer = await chat(session, url, model, text, stream=stream, key=key, on_text=shown)
    except aiohttp.ClientConnectorError:
        click.echo(f"holdfast: nobody listens at {url}; start it with: holdfast serve", err=True)
        return 1
    if as_json:
        click.echo(json.dumps({"text": answer.text, "error": answer.error, **answer.told}, indent=2))
    else:
        click.echo()
        line = (
            answer.error or f"{answer.told.get('x-holdfast-trail', '')}  ({answer.told.get('x-holdfast-reason', '')})"
        )
        click.echo(
            click.style(line, dim=True) if sys.stderr.isatty() and not os.environ.get("NO_COLOR") else line, err=True
        )
    return 0 if answer.error is None else 1
