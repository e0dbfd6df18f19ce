"""Finding a running Ollama, and what can be asked of it."""

from __future__ import annotations

import http.client
import json
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_PORT = 11434
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - it is read, not listened on
"""OLLAMA_HOST is also where the server listens, so it may be an address that nobody can call."""


def ollama_url(environ: Mapping[str, str]) -> str:
    """Where Ollama listens, by its own rules for OLLAMA_HOST: the scheme and the port may be left out."""
    given = environ.get("OLLAMA_HOST", "").strip().strip("\"'")
    scheme, found, rest = given.partition("://")
    scheme, rest = (scheme, rest) if found else ("http", given)
    usual = {"http": 80, "https": 443}[scheme] if found and scheme in {"http", "https"} else _PORT
    scheme = scheme if scheme in {"http", "https"} else "http"
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname or "", parts.port or usual
    except ValueError:
        host, port, scheme = "", _PORT, "http"
    host = _EVERYWHERE.get(host, host)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def ollama_models(url: str) -> list[str]:
    """The models that can chat, or an empty list where no Ollama runs."""
    # Without the proxies of the environment, which do not know this machine's ports.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/api/tags", timeout=1) as response:
            return [str(model["name"]) for model in json.load(response)["models"] if _chats(model)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, http.client.HTTPException):
        return []


def _chats(model: Mapping[str, Any]) -> bool:
    """Whether it is more than an embedding model, as far as its name and family tell."""
    family = str((model.get("details") or {}).get("family", ""))
    return "embed" not in model["name"] and "bert" not in family
