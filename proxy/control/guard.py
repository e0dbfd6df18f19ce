"""Who may use the control plane: whoever has its key; without a key, only somebody on this machine.

"On this machine" is more than the peer's address: a page in a browser can be made to send requests to the loopback
(DNS rebinding), which the Host header gives away, and a reverse proxy in front of us forwards strangers, which its
headers give away.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping

from proxy.core.errors import ClientError, forbidden

_LOCAL_NAMES = {"localhost", "127.0.0.1", "[::1]"}
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


def _is_loopback(peer: str | None) -> bool:
    try:
        return peer is not None and ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False
