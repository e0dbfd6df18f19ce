"""The command line. Each command lives in its own file and is imported only when it is used."""

from __future__ import annotations

import importlib

import click

_COMMANDS = {
    "serve": "Run the proxy.",
    "demo": "Run the proxy on simulated upstreams and show failures being survived.",
    "ask": "Ask a running proxy something.",
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
            hint = f"; did you mean {near[0]!r}?" if near else "; see holdfast -h"
            raise click.UsageError(f"no command is named {args[0]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="First time here: holdfast demo. With keys at hand: holdfast init, then holdfast serve.",
)
@click.version_option(None, "--version", package_name="holdfast", message="%(prog)s %(version)s")
def cli() -> None:
    """Holdfast: an OpenAI-compatible reverse proxy that keeps answering."""
