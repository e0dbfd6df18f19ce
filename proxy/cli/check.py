"""holdfast check."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from proxy.cli.common import config_option


@click.command(
    epilog="Examples:\n\n  holdfast check\n\n  holdfast check prod.yaml --format github --strict\n\n"
    "  holdfast check --live"
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@config_option
@click.option("--format", "form", type=click.Choice(["text", "json", "github"]), default="text", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--strict", is_flag=True, help="Warnings fail the check, too.")
@click.option("--live", is_flag=True, help="Send one real prompt to each deployment. This costs a few tokens.")
def check(file: Path | None, path: Path, form: str, as_json: bool, strict: bool, live: bool) -> None:
    """Check routes.yaml and print every finding at once: where, what, and the cure.

    Exits 0 when the file can be used, 1 when it cannot. Sends nothing anywhere unless --live is given.
    """
    from proxy.config.load import load_file

    loaded = load_file(file or path, os.environ)
    errors = [finding for finding in loaded.findings if finding.severity == "error"]
    warnings = [finding for finding in loaded.findings if finding.severity == "warning"]
    form = "json" if as_json else form
    click.echo(loaded.render(form), nl=False)
    if form == "text":
        click.echo(f"{file or path}: {_count(len(errors), 'error')}, {_count(len(warnings), 'warning')}")
    good = not errors and not (strict and warnings)
    if live and loaded.config is not None:
        from proxy.cli.live import check_live
        from proxy.config.resolve import resolve

        good = check_live(resolve(loaded.config, loaded.unconfigured), as_json=form == "json") and good
    sys.exit(0 if good else 1)


def _count(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"
