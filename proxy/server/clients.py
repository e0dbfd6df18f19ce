"""Who calls, and what they may use."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from proxy.config.settings import ClientSettings
from proxy.core.errors import ClientError, forbidden, unauthorized

_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}


def bearer(headers: Mapping[str, str]) -> str:
    """The key that a request carries, or an empty string."""
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")


def identify(clients: Sequence[ClientSettings] | None, headers: Mapping[str, str]) -> ClientSettings | None:
    """The client that sent these headers; None where the configuration names no clients. Raises ClientError (401, 403).

    Where no client has a key, anybody on this machine may call, and a page in its browser could: browsers tell the
    origin of such a request, and only one of this machine is served. Every hash is compared, in constant time, so that
    the time taken tells nothing about which keys exist.
    """
    if clients is None:
        origin = headers.get("Origin")
        if origin is not None and not _is_here(origin):
            raise forbidden("Pages of other sites may not use this proxy. Give it client keys under `clients` first.")
        return None
    digest = hashlib.sha256(bearer(headers).encode(errors="surrogateescape")).hexdigest()
    found = None
    for client in clients:
        if hmac.compare_digest(client.key_sha256, digest):
            found = client
    if found is None:
        raise unauthorized()
    return found


def _is_here(origin: str) -> bool:
    try:
        return urlsplit(origin).hostname in _THIS_MACHINE
    except ValueError:
        return False


def may_use(client: ClientSettings | None, route: str, model: str) -> bool:
    """Whether a client may use a route, by the route's own name or by the model name that was asked for."""
    if client is None or client.routes is None:
        return True
    return any(fnmatchcase(name, pattern) for pattern in client.routes for name in (route, model))


def check_may_use(client: ClientSettings | None, route: str, model: str) -> None:
    """Raises ClientError (403) where `may_use` says no."""
    if client is not None and not may_use(client, route, model):
        message = f"The key of {client.name!r} may not use {model[:100]!r}; GET /v1/models lists what it may."
        raise ClientError(403, "model_not_allowed", message, param="model", should_retry=False)
