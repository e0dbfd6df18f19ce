"""What every command says alike: what to type, examples at the end of its help, and in one friendly line why it fails.

Only click is imported here, so that help is quick.
"""

from __future__ import annotations

import os
import shlex
import sys
from typing import NoReturn

import click


def me() -> str:
    """What people type to start this program, so that the lines that we print can be pasted."""
    return shlex.quote(os.environ.get("HOLDFAST_COMMAND") or "holdfast")


def examples(*lines: str) -> str:
    """The end of a help page: example lines, kept as they are."""
    shown = "\n".join(f"  {line}".replace("holdfast ", f"{me()} ") for line in lines)
    return f"\b\nExamples:\n{shown}"


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with one line on standard error."""
    click.echo(f"holdfast: {message}", err=True)
    sys.exit(code)


def nobody_listens(url: str, command: str) -> str:
    """The message for a proxy that is not there; `command` would start it."""
    return f"nobody listens at {url}; start it with: {me()} {command}, or say where it is with --url"
