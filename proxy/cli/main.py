"""The command line. Each command lives in its own file and is imported only when it is used.

Exit codes: 0 good, 1 findings or a failure, 2 wrong usage, 130 interrupted. Whatever fails says so in one line.
"""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from proxy import __version__
from proxy.cli.phrases import fail, me

_COMMANDS = {
    "serve": "Run the proxy.",
    "demo": "Watch failures being survived, on simulated upstreams.",
    "ask": "Ask a running proxy something.",
    "status": "Show a running proxy's routes and deployments at a glance.",
    "watch": "Follow what a running proxy does, as it does it.",
    "breaker": "Open, close or reset a deployment's breaker.",
    "drain": "Let no new request to a deployment; those under way finish.",
    "disable": "The same, and do not even probe it.",
    "enable": "Take back a drain or a disable.",
    "weight": "Set a deployment's weight on weighted routes.",
    "reload": "Have a running proxy read its routes.yaml again.",
    "probe": "Have a deployment asked a test prompt now.",
    "check": "Check routes.yaml: every finding at once.",
    "explain": "Say which deployment would serve a model, and why.",
    "routes": "List the routes and their chains.",
    "init": "Write a routes.yaml from the keys and servers found here.",
    "schema": "Print the JSON Schema of routes.yaml.",
    "simulate": "Run simulated upstreams with faults to inject.",
    "fault": "Inject a fault into a simulated upstream, or heal it.",
    "version": "Print the version.",
}


class _LazyGroup(click.Group):
    """Knows the commands' names and one-line helps without importing them."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line as click does, but let each failure end in one line."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, **extra)
        _tolerate_odd_characters()
        try:
            code = super().main(args, me(), complete_var, False, **extra)
        except click.UsageError as error:
            _fail_usage(error)
        except click.ClickException as error:
            fail(error.format_message(), error.exit_code)
        except click.Abort:
            sys.exit(130)
        except OSError as error:
            # A full disk below a redirected output, for example. (click has dealt with closed pipes: exit 1, no word.)
            fail(f"cannot go on: {error.strerror or error}")
        sys.exit(code if isinstance(code, int) else 0)

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"proxy.cli.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        import difflib

        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], _COMMANDS, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"no command is named {args[0]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


def _tolerate_odd_characters() -> None:
    """A file name or an answer that the terminal's encoding lacks is shown escaped; by default it would be a crash."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail_usage(error: click.UsageError) -> NoReturn:
    path = error.ctx.command_path if error.ctx else me()
    message = " ".join(error.format_message().split()).rstrip(".")
    # Messages of ours bring their own cure, and so do click's suggestions.
    cure = "" if ";" in message or message.endswith("?") else f"; see {path} -h"
    click.echo(f"{path}: {message}{cure}", err=True)
    sys.exit(error.exit_code)


@click.command(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"\b\nFirst time here:    {me()} demo\nWith keys at hand:  {me()} init && {me()} serve",
    no_args_is_help=False,
    invoke_without_command=True,
)
@click.version_option(__version__, "--version", prog_name="holdfast", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Holdfast: an OpenAI-compatible reverse proxy that keeps answering."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(2)
