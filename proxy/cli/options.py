"""The options that several commands have, and what may be given with them.

Only click is imported here, so that help is quick; `loading.py` holds what needs the configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

USUAL_PORT = 8400
"""Where the proxy listens when nobody says otherwise."""

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
    """The `--url` option: where a running proxy listens, without a slash or /v1 at its end."""
    return click.option(
        "--url",
        default=f"http://127.0.0.1:{USUAL_PORT}",
        envvar="HOLDFAST_URL",
        show_default=True,
        show_envvar=True,
        callback=_address,
        help="The running proxy.",
    )(command)


def key_option(envvar: str, help_: str) -> Callable[[_Command], _Command]:
    """The `--key` option, also from the environment."""
    return click.option("--key", envvar=envvar, show_envvar=True, callback=_sendable, help=help_)


def json_option(command: _Command) -> _Command:
    """The `--json` option."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def control_options(command: _Command) -> _Command:
    """The options of a command to a running proxy's control plane: where it is, its key, and `--json`."""
    keyed = key_option("HOLDFAST_ADMIN_KEY", "The control plane's key, where it has one.")
    return url_option(keyed(json_option(command)))


def reason_option(command: _Command) -> _Command:
    """The `--reason` option."""
    return click.option("--reason", metavar="TEXT", help="Why, for the audit trail.")(command)


def for_option(command: _Command) -> _Command:
    """The `--for` option, in seconds."""
    help_ = "Take it back after this long, such as 10m; without it, it lasts."
    return click.option("--for", "duration", metavar="DURATION", callback=_duration, help=help_)(command)


def _address(_context: click.Context, _parameter: click.Parameter, given: str) -> str:
    # People paste the base URL that their SDK has, with /v1, or only host and port.
    url = given.strip()
    url = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:
        good = False
    if not good or " " in url:
        raise click.BadParameter(f"{given!r} is no address; write it like http://127.0.0.1:8400")
    return url.rstrip("/").removesuffix("/v1").rstrip("/")


def _duration(_context: click.Context, _parameter: click.Parameter, given: str | None) -> float | None:
    if given is None:
        return None
    from proxy.config.units import parse_duration

    try:
        seconds = parse_duration(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if seconds == 0:
        raise click.BadParameter("it must be above 0")
    return seconds


def _sendable(_context: click.Context, _parameter: click.Parameter, given: str | None) -> str | None:
    if given and not (given.isascii() and given.isprintable()):
        raise click.BadParameter("it holds a character that no key can have; is there a line break in it?")
    return given
