"""Loading routes.yaml for a command that uses it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click

from proxy.cli.phrases import fail, me
from proxy.config.finding import Finding
from proxy.config.load import Loaded, load_file
from proxy.config.resolve import resolve
from proxy.config.settings import Settings


def load_or_exit(path: Path, load: Callable[[], Loaded] | None = None) -> tuple[Loaded, Settings]:
    """Load a configuration that is to be used. Errors are printed and end the command; warnings do neither.

    `load` reads the file in place of the usual way.
    """
    loaded = load_file(path, os.environ) if load is None else load()
    if loaded.config is None:
        _fail(path, loaded)
    return loaded, resolve(loaded.config, loaded.unconfigured, loaded.folder)


def mention_warnings(path: Path, loaded: Loaded) -> None:
    """One line on standard error that tells how to see the warnings, if there are any."""
    if loaded.findings:
        number = count(len(loaded.findings), "warning")
        click.echo(f"{path}: {number}; see {me()} check {shlex.quote(str(path))}", err=True)


def count(number: int, word: str) -> str:
    """A number with its noun."""
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"


def place(finding: Finding) -> str:
    """Where a finding is, on one line."""
    return f"{finding.file}:{finding.line}:{finding.column}" if finding.line else finding.file


def _fail(path: Path, loaded: Loaded) -> NoReturn:
    errors = [finding for finding in loaded.findings if finding.severity == "error"]
    if len(errors) == 1 and not errors[0].line:
        # About the file as a whole, such as that it does not exist: there is no line to show.
        fail(f"{path}: {errors[0].message}".replace("`holdfast ", f"`{me()} "))
    for finding in errors:
        click.echo(loaded.as_text(finding), err=True)
    fail(f"{path} cannot be used: {count(len(errors), 'error')}")
