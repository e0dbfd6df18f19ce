"""holdfast init."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from proxy.cli.options import json_option
from proxy.cli.phrases import examples, fail, me


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


@click.command(epilog=examples("OPENAI_API_KEY=... holdfast init", "holdfast init -o my-routes.yaml"))
@click.option("-o", "--output", default="routes.yaml", show_default=True, type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.option("--print", "show", is_flag=True, help="Print instead of writing.")
@json_option
def init(output: Path, force: bool, show: bool, as_json: bool) -> None:
    """Write a routes.yaml from the API keys in the environment and the models of a running Ollama.

    Keys themselves are never written: the file names their variables.
    """
    if not show and output.is_dir():
        fail(f"{output} is a folder; name the file to write with -o")
    if not show and not force and output.exists():
        fail(f"{output} exists; replace it with --force, or write elsewhere with -o")
    from proxy.cli.ollama import ollama_models, ollama_url

    url = ollama_url(os.environ)
    models = ollama_models(url)
    found = [provider for provider in _PROVIDERS if os.environ.get(provider.variable)]
    text = write_routes(found, models, url)
    if not show:
        _write(output, text)
    if as_json:
        told = {"keys": {each.variable: each.upstream for each in found}, "ollama": {"url": url, "models": models}}
        click.echo(json.dumps({"file": None if show else str(output), "found": told, "text": text}, indent=2))
        return
    _say_found(found, models)
    if show:
        click.echo(text, nl=False)
    else:
        option = "" if output == Path("routes.yaml") else f" -c {shlex.quote(str(output))}"
        click.echo(f"wrote {output}; next: {me()} check{option} && {me()} serve{option}", err=True)


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"cannot write {output}: {error.strerror}; write elsewhere with -o, or see it with --print")


def _say_found(found: Sequence[_Provider], models: Sequence[str]) -> None:
    for provider in found:
        click.echo(f"found {provider.variable}: upstream {provider.upstream}", err=True)
    if models:
        click.echo(f"found Ollama with {', '.join(models)}: upstream local", err=True)
    if not found and not models:
        click.echo("found no key and no Ollama: the file runs on a simulated upstream until you add one", err=True)


def write_routes(found: Sequence[_Provider], models: Sequence[str], ollama: str) -> str:
    """The text of a routes.yaml for what was found."""
    lines = [
        f"# Written by `{me()} init`. Keys stay in the environment: ${{NAME}} is the variable NAME.",
        f"# `{me()} schema > routes.schema.json` is what an editor needs to check this file while you type.",
        "version: 1",
        "",
        "upstreams:",
    ]
    lines += [f"  {each.upstream}: {{kind: {each.kind}, api_key: '${{{each.variable}}}'}}" for each in found]
    if models:
        lines.append(f"  local: {{kind: ollama, base_url: {_quoted(ollama + '/v1')}}}")
    if not found and not models:
        lines.append("  demo: {kind: simulated}  # a real one: openai: {kind: openai, api_key: '${OPENAI_API_KEY}'}")
    lines += ["", "routes:  # what clients put in `model`, and who is asked for it, from left to right"]
    for name, chain in _chains(found, models).items():
        lines.append(f"  {name}: {{chain: [{', '.join(_quoted(step) for step in chain)}]}}")
    lines += ["", "# What survives a restart: beside this file, or where systemd or the container image says."]
    lines.append('state: {path: "${STATE_DIRECTORY:-.}/holdfast.db"}')
    return "\n".join(lines) + "\n"


def _chains(found: Sequence[_Provider], models: Sequence[str]) -> Mapping[str, list[str]]:
    local = [f"local/{models[0]}"] if models else []
    best = [f"{each.upstream}/{each.models[0]}" for each in found]
    cheap = [f"{each.upstream}/{each.models[1]}" for each in found]
    chains = {"default": best + local or ["demo/demo"], "low-cost": cheap + local or ["demo/demo"]}
    return {**chains, "local-first": local + best} if models else chains


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
