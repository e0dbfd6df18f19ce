"""holdfast init."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from proxy.cli.common import fail


class _Provider(NamedTuple):
    """A provider whose key may be in the environment. The first model is for quality, the second for price."""

    upstream: str
    kind: str
    variable: str
    models: tuple[str, str]


_PROVIDERS = (
    _Provider("openai", "openai", "OPENAI_API_KEY", ("gpt-5.1", "gpt-5-mini")),
    _Provider("claude", "anthropic", "ANTHROPIC_API_KEY", ("claude-sonnet-4-5", "claude-haiku-4-5")),
    _Provider("gemini", "gemini", "GEMINI_API_KEY", ("gemini-2.5-pro", "gemini-2.5-flash")),
    _Provider("deepseek", "deepseek", "DEEPSEEK_API_KEY", ("deepseek-chat", "deepseek-chat")),
    _Provider("grok", "xai", "XAI_API_KEY", ("grok-4", "grok-4-fast")),
    _Provider("mistral", "mistral", "MISTRAL_API_KEY", ("mistral-large-latest", "mistral-small-latest")),
    _Provider("groq", "groq", "GROQ_API_KEY", ("llama-3.3-70b-versatile", "llama-3.1-8b-instant")),
    _Provider("openrouter", "openrouter", "OPENROUTER_API_KEY", ("openrouter/auto", "openrouter/auto")),
)


@click.command(epilog="Examples:\n\n  OPENAI_API_KEY=... holdfast init\n\n  holdfast init -o my-routes.yaml")
@click.option("-o", "--output", default="routes.yaml", show_default=True, type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.option("--print", "show", is_flag=True, help="Print instead of writing.")
def init(output: Path, force: bool, show: bool) -> None:
    """Write a routes.yaml from the API keys in the environment and the models of a running Ollama.

    Keys themselves are never written: the file names their variables.
    """
    models = ollama_models(os.environ)
    found = [provider for provider in _PROVIDERS if os.environ.get(provider.variable)]
    text = write_routes(found, models, os.environ)
    for provider in found:
        click.echo(f"found {provider.variable}: upstream {provider.upstream}", err=True)
    if models:
        click.echo(f"found Ollama with {len(models)} model(s): upstream local", err=True)
    if not found and not models:
        click.echo("found no key and no Ollama: the file runs on the simulated upstream until you add one", err=True)
    if show:
        click.echo(text, nl=False)
        return
    if output.exists() and not force:
        fail(f"{output} exists; replace it with --force, or write elsewhere with -o")
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"cannot write {output}: {error.strerror}")
    click.echo(f"wrote {output}; next: holdfast check && holdfast serve", err=True)
    sys.exit(0)


def ollama_models(environ: Mapping[str, str]) -> list[str]:
    """The models that a running Ollama has, or an empty list."""
    try:
        with urllib.request.urlopen(f"{_ollama(environ)}/api/tags", timeout=1) as response:  # noqa: S310 - http, by the user's setting
            return [model["name"] for model in json.load(response)["models"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _ollama(environ: Mapping[str, str]) -> str:
    host = environ.get("OLLAMA_HOST") or "127.0.0.1:11434"
    return (host if "://" in host else f"http://{host}").rstrip("/")


def write_routes(found: Sequence[_Provider], models: Sequence[str], environ: Mapping[str, str]) -> str:
    """The text of a routes.yaml for what was found."""
    lines = ["# yaml-language-server: $schema=deploy/routes.schema.json", "version: 1", "", "upstreams:"]
    lines += [f"  {each.upstream}: {{kind: {each.kind}, api_key: '${{{each.variable}}}'}}" for each in found]
    if models:
        lines.append(f"  local: {{kind: ollama, base_url: {_quoted(_ollama(environ) + '/v1')}}}")
    if not found and not models:
        lines.append("  demo: {kind: simulated}")
    local = [f"local/{models[0]}"] if models else []
    best = [f"{each.upstream}/{each.models[0]}" for each in found]
    cheap = [f"{each.upstream}/{each.models[1]}" for each in found]
    nothing = ["demo/demo"] if not found and not models else []
    lines += ["", "routes:"]
    for name, chain in {
        "default": best + local,
        "low-cost": cheap + local,
        **({"local-first": local + best} if models else {}),
    }.items():
        steps = list(dict.fromkeys(chain or nothing))
        lines.append(f"  {name}: {{chain: [{', '.join(_quoted(step) for step in steps)}]}}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text)
