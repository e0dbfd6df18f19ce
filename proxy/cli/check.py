"""holdfast check."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from proxy.cli.options import config_option
from proxy.cli.phrases import examples
from proxy.config.load import Loaded, load_file


@click.command(
    epilog=examples("holdfast check", "holdfast check prod.yaml --format github --strict", "holdfast check --live")
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
    loaded = load_file(file or path, os.environ)
    form = "json" if as_json else form
    good = loaded.config is not None and not (strict and loaded.findings)
    if form != "json":
        _print_findings(loaded, form, file or path)
    tested: list[dict[str, Any]] | None = None
    if live and loaded.config is not None:
        from proxy.cli.live import ask_all, print_tested
        from proxy.config.resolve import resolve

        results = ask_all(resolve(loaded.config, loaded.unconfigured, loaded.folder))
        good = good and all(each.good for each in results)
        tested = [each._asdict() for each in results]
        if form != "json":
            print_tested(results, form)
    if form == "json":
        click.echo(_as_json(loaded, tested))
    sys.exit(0 if good else 1)


def _print_findings(loaded: Loaded, form: str, path: Path) -> None:
    from proxy.cli.loading import count

    click.echo(loaded.render(form), nl=False)
    if form == "text":
        numbers = {kind: sum(each.severity == kind for each in loaded.findings) for kind in ("error", "warning")}
        click.echo(f"{path}: {', '.join(count(number, kind) for kind, number in numbers.items())}")


def _as_json(loaded: Loaded, tested: list[dict[str, Any]] | None) -> str:
    """A list of the findings; with --live an object, since there are two lists to tell."""
    findings = loaded.render("json").rstrip("\n")
    if tested is None:
        return findings
    return json.dumps({"findings": json.loads(findings), "live": tested}, indent=2)
