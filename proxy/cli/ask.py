"""holdfast ask."""

from __future__ import annotations

import sys

import click

from proxy.cli.options import json_option, key_option, url_option
from proxy.cli.phrases import examples


@click.command(epilog=examples('holdfast ask "hello"', 'holdfast ask --model low-cost "Why is the sky blue?"'))
@click.argument("text")
@url_option
@click.option("--model", default="default", show_default=True, help="The route to ask.")
@key_option("HOLDFAST_API_KEY", "A client's key, where the proxy wants one.")
@click.option("--no-stream", is_flag=True, help="Wait for the whole answer.")
@json_option
def ask(text: str, url: str, model: str, key: str | None, no_stream: bool, as_json: bool) -> None:
    """Ask a running proxy something, and say who answered. Exits 1 when the answer is an error."""
    from proxy.cli.asking import ask_and_print
    from proxy.cli.client import Question

    question = Question(model, text, stream=not (no_stream or as_json), key=key)
    sys.exit(ask_and_print(url, question, as_json=as_json))
