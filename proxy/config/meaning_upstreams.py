"""Upstreams: addresses that can be called, keys that can be sent, and which upstreams have to be skipped."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from proxy.config.document import Path
from proxy.config.interpolate import Interpolated
from proxy.config.notes import Notes
from proxy.config.resolve import upstream_keys
from proxy.config.schema import Config, ModelFacts, Upstream
from proxy.config.wording import suggestion
from proxy.core.hosts import is_this_machine
from proxy.dialects.registry import KINDS, Kind, address

_TYPES = {str: "a text", int: "a whole number", bool: "true or false"}
_EXAMPLES = {
    "bedrock": "https://bedrock-runtime.REGION.amazonaws.com, or options: {region: REGION}",
    "azure": "https://RESOURCE.openai.azure.com/openai/v1",
    "vllm": "http://127.0.0.1:8000/v1",
}

_CHEAPEST = 0.0005
"""USD per million tokens. The cheapest models cost some twenty times as much; a price per token is below it."""


def check(config: Config, interpolated: Interpolated, notes: Notes) -> dict[str, str]:
    """Note what is wrong with upstreams. Returns those to be skipped, and why."""
    unconfigured = dict(interpolated.unconfigured)
    for name, upstream in config.upstreams.items():
        kind = KINDS[upstream.kind]
        _check_keys(name, upstream, notes)
        _check_options(name, upstream, kind, notes)
        for model, facts in upstream.models.items():
            _check_facts(("upstreams", name, "models", model), facts, notes)
        if upstream.base_url is not None:
            _check_address(("upstreams", name, "base_url"), upstream, notes)
        if name not in unconfigured:
            reason = _lacks(name, upstream, kind, interpolated, notes)
            if reason is not None:
                unconfigured[name] = reason
    return unconfigured


def _check_keys(name: str, upstream: Upstream, notes: Notes) -> None:
    path: Path = ("upstreams", name)
    if upstream.only_without_keys and upstream.kind != "simulated":
        message = f"only_without_keys is for kind 'simulated'; {name} is of kind {upstream.kind!r}"
        notes.error((*path, "only_without_keys"), message, key=True)
    if notes.written((*path, "api_key")) and notes.written((*path, "api_keys")):
        notes.error((*path, "api_keys"), "both api_key and api_keys; keep one of them", key=True)
    if upstream.api_key is not None:
        _check_key((*path, "api_key"), upstream.api_key.get_secret_value(), notes)
    seen: set[str] = set()
    for index, secret in enumerate(upstream.api_keys or ()):
        key = secret.get_secret_value()
        _check_key((*path, "api_keys", index), key, notes)
        if key and key in seen:
            notes.warning((*path, "api_keys", index), "the same key stands above; a pool gains nothing by it")
        seen.add(key)


def _check_options(name: str, upstream: Upstream, kind: Kind, notes: Notes) -> None:
    for option, value in upstream.options.items():
        path: Path = ("upstreams", name, "options", option)
        wanted = kind.options.get(option)
        if wanted is None:
            known = f"; it knows {', '.join(kind.options)}" if kind.options else "; it knows none"
            hint = suggestion(option, tuple(kind.options), known)
            notes.error(path, f"kind {kind.name!r} has no option {option!r}{hint}", key=True)
        elif type(value) is not wanted:
            notes.error(path, f"{option} of kind {kind.name!r} is {_TYPES[wanted]}")


def _check_key(path: Path, key: str, notes: Notes) -> None:
    if not (key.isascii() and key.isprintable()) or key != key.strip():
        notes.error(path, "a line break, space or other character in the key that cannot be sent in a header")


def _check_facts(path: Path, facts: ModelFacts, notes: Notes) -> None:
    """Note numbers of one model that cannot all be true."""
    window, price = facts.context, facts.price
    for key, tokens in (("max_input", facts.max_input), ("max_output", facts.max_output)):
        if window is not None and tokens is not None and tokens > window:
            message = (
                f"{key} {tokens} is more than the whole window, context {window}; context counts prompt and answer"
            )
            notes.error((*path, key), message)
    if price is not None and price.input is None:
        notes.warning(
            (*path, "price"), "without price.input no cost is known; it is in USD per million tokens", key=True
        )
    elif price is not None and 0 < (price.input or 0) < _CHEAPEST:
        notes.warning((*path, "price", "input"), "prices are in USD per million tokens; this looks like one per token")


def _lacks(name: str, upstream: Upstream, kind: Kind, interpolated: Interpolated, notes: Notes) -> str | None:
    """What an upstream lacks to be called; an address is noted as an error, a key as a warning."""
    path: Path = ("upstreams", name)
    if upstream.base_url is None and address(kind, None, upstream.options) is None and kind.name != "simulated":
        example = _EXAMPLES.get(kind.name, "https://HOST/v1")
        notes.error(path, f"kind {kind.name!r} needs base_url, such as {example}", key=True)
        return None
    if upstream_keys(upstream) or not _needs_key(upstream, kind):
        return None
    why = interpolated.blank.get((*path, "api_key"))
    if why is not None:
        notes.warning((*path, "api_key"), f"{why}: upstream {name} is skipped")
        return why
    cure = f"usually `api_key: ${{{kind.key_variable}}}`"
    written = (*path, "api_key") if notes.written((*path, "api_key")) else path
    notes.warning(written, f"no api_key: upstream {name} is skipped; {cure}", key=True)
    return "it has no api_key"


def _needs_key(upstream: Upstream, kind: Kind) -> bool:
    """Whether a call without a key is bound to fail: a provider's own address wants one, a server of yours may not."""
    if kind.local or kind.key_variable is None:
        return False
    return upstream.base_url is None or kind.base_url is None or upstream.base_url.rstrip("/") == kind.base_url


def _check_address(path: Path, upstream: Upstream, notes: Notes) -> None:
    """Note what keeps an address from being called. The address is never repeated: it may hold a password."""
    given = upstream.base_url or ""
    parts = _split(given)
    if parts is None:
        notes.error(path, "this is not a URL that can be called; write one like https://HOST/v1")
    elif parts.scheme not in {"http", "https"}:
        notes.error(path, "base_url begins with http:// or https://")
    elif parts.username is not None:
        notes.error(path, "credentials in base_url; put them into api_key")
    elif "?" in given or "#" in given:
        notes.error(path, "base_url ends with its path; remove the query ('?') or fragment ('#')")
    elif parts.path.rstrip("/").endswith("/chat/completions"):
        notes.error(path, "base_url ends before /chat/completions, which is added to it")
    elif parts.scheme == "http" and upstream_keys(upstream) and not is_this_machine(parts.hostname or ""):
        notes.warning(path, "the api_key travels unencrypted over http; use https where the server has it")


def _split(address: str) -> SplitResult | None:
    if not address.isprintable() or " " in address:
        return None
    try:
        parts = urlsplit(address)
        good = parts.port != 0 and (parts.hostname or parts.scheme not in {"http", "https"})
    except ValueError:
        return None
    return parts if good else None
