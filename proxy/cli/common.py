"""What several commands do alike: find and load routes.yaml, and fail in one friendly line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from proxy.config.load import Loaded, load_file
from proxy.config.resolve import Settings, resolve

_Command = TypeVar("_Command", bound=Callable[..., Any])


def config_option(command: _Command) -> _Command:
    """The `--config` option, also from the environment."""
    return click.option(
        "-c",
        "--config",
        "path",
        default="routes.yaml",
        envvar="HOLDFAST_CONFIG",
        show_default=True,
        show_envvar=True,
        type=click.Path(path_type=Path),
        help="The configuration file.",
    )(command)


def url_option(command: _Command) -> _Command:
    """The `--url` option: where a running proxy listens."""
    return click.option(
        "--url",
        default="http://127.0.0.1:8400",
        envvar="HOLDFAST_URL",
        show_default=True,
        show_envvar=True,
        help="The running proxy.",
    )(command)


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with one line on standard error."""
    click.echo(f"holdfast: {message}", err=True)
    sys.exit(code)


def load_or_exit(path: Path) -> tuple[Loaded, Settings]:
    """Load a configuration that is to be used: its findings go to standard error, and errors end the command."""
    loaded = load_file(path, os.environ)
    show_findings(loaded)
    if loaded.config is None:
        fail(f"{path} cannot be used; nothing was started")
    return loaded, resolve(loaded.config, loaded.unconfigured)


def show_findings(loaded: Loaded) -> None:
    """Print every finding as text on standard error."""
    for finding in loaded.findings:
        click.echo(loaded.as_text(finding), err=True)
