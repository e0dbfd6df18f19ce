"""Who may use the control plane: whoever has its key; without a key, only somebody on this machine.

"On this machine" is more than the peer's address: a page in a browser can be made to send requests to the loopback
(DNS rebinding), which the Host header gives away, and a reverse proxy in front of us forwards strangers, which its
headers give away.

Changes want more, since a browser that holds the operator's rights (by being on this machine) can be made to send them
by any page that it shows: their `Origin` has to be ours, and their body JSON, which a form of another site cannot send.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from proxy.core.errors import ClientError, forbidden

_LOCAL_NAMES = {"localhost", "127.0.0.1", "[::1]"}
_DEFAULT_PORTS = {"http": 80, "https": 443}
_FORM_TYPES = {"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}
"""What a page may send to another site without asking it first."""
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP")


def check_operator(admin_key: str | None, headers: Mapping[str, str], peer: str | None, *, http_1_1: bool) -> None:
    """Raises ClientError (401 or 403) unless the sender of these headers may operate the proxy.

    `http_1_1` says whether the request came in that version. Without a key no other is served: nginx, unless it is told
    otherwise, forwards as HTTP/1.0, with a loopback Host and no trace of who asked.
    """
    if admin_key is not None:
        scheme, _, key = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(
            key.strip().encode(errors="surrogateescape"), admin_key.encode()
        ):
            message = "Send the control plane's key (admin.key) as 'Authorization: Bearer <key>'."
            raise ClientError(401, "invalid_api_key", message, should_retry=False)
        return
    host = headers.get("Host", "").lower()
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    forwarded = any(header in headers for header in _FORWARDED)
    if not _is_loopback(peer) or name not in _LOCAL_NAMES or forwarded or not http_1_1:
        raise forbidden(
            "Without admin.key the control plane answers on the loopback only. Set admin.key in routes.yaml."
        )


def check_same_site(headers: Mapping[str, str]) -> None:
    """Raises ClientError (403) when a browser sends these headers for a page that is not ours."""
    origin, host = headers.get("Origin"), headers.get("Host", "")
    site = headers.get("Sec-Fetch-Site", "none").strip().lower()
    if site not in {"same-origin", "none"} or (origin is not None and not _is_same(origin, host)):
        raise forbidden("Pages of other sites may not operate this proxy.")


def is_json(headers: Mapping[str, str], *, empty: bool) -> bool:
    """Whether a body says that it is JSON; one that is `empty` need not, unless it says that it is a form."""
    content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return content_type not in _FORM_TYPES if empty else content_type == "application/json"


def _is_same(origin: str, host: str) -> bool:
    try:
        page = urlsplit(origin)
        ours = urlsplit(f"{page.scheme}://{host}")
        port = _DEFAULT_PORTS.get(page.scheme)
        same = page.hostname == ours.hostname and (page.port or port) == (ours.port or port)
    except ValueError:
        return False
    return page.scheme in _DEFAULT_PORTS and bool(page.hostname) and same


def _is_loopback(peer: str | None) -> bool:
    try:
        return peer is not None and ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False
