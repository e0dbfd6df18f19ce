"""Where a request goes, and its head as bytes.

An `Origin` is who is connected to: scheme, host and port of an upstream, and the HTTP proxy in between, if the
environment (`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`) names one. A loopback address is always asked directly. Heads are
built once for each address and set of headers and kept; only the length of the body is added each time.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import unquote
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from multidict import CIMultiDict
from yarl import URL

from proxy import __version__
from proxy.core.failure import Failure, FailureClass
from proxy.core.hosts import is_this_machine
from proxy.upstreams.errors import TransportError, no_connection

_BASE_HEADERS: Final = {
    "Accept": "*/*",
    # A compressed stream arrives in lumps and hides its usage from us.
    "Accept-Encoding": "identity",
    "User-Agent": f"holdfast/{__version__}",
    "Content-Type": "application/json",
}
_OURS = ("Host", "Content-Length", "Transfer-Encoding", "Connection", "Proxy-Authorization")
"""Headers that say how the request is framed and where it goes: not for anybody above to set."""
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_MAX_KEPT = 1024
"""Heads that are kept. More addresses and keys than that are in no file; a reload may bring others."""


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """An HTTP proxy on the way; `authorization` is the value of its header, without line ends."""

    host: str
    port: int
    authorization: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Who is connected to."""

    tls: bool
    host: str
    port: int
    via: HttpProxy | None = None

    @property
    def authority(self) -> str:
        """Host and port, as the target of CONNECT."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Request(NamedTuple):
    """What is the same in every request to one address with the same headers."""

    origin: Origin
    head: bytes
    """Everything before the number of the body's bytes."""


class Requests:
    """The requests that were made before, by address and headers."""

    def __init__(self) -> None:
        self._proxies = getproxies_environment()
        self._kept: dict[tuple[str, tuple[tuple[str, str], ...]], Request] = {}

    def request(self, url: str, headers: Mapping[str, str], *, keep: bool = True, method: str = "POST") -> Request:
        """The request for an address; `keep` it for the next one. Raises TransportError for what cannot be sent."""
        key = (url if method == "POST" else f"{method} {url}", tuple(headers.items()))
        found = self._kept.get(key)
        if found is None:
            try:
                # What is quoted stays as it is: a signature holds for exactly these characters.
                address = URL(url, encoded=True) if "%" in url else URL(url)
            except ValueError:
                raise _unsendable("the address is not valid") from None
            found = self._build(method, address, headers)
            if keep:
                if len(self._kept) >= _MAX_KEPT:
                    self._kept.clear()
                self._kept[key] = found
        return found

    def _build(self, method: str, url: URL, headers: Mapping[str, str]) -> Request:
        host, port = url.raw_host, url.port
        if url.scheme not in {"http", "https"} or not host or port is None:
            raise _unsendable("the address is not one of HTTP")
        origin = Origin(url.scheme == "https", host, port, self._via(url.scheme, host, port))
        target, proxied = url.raw_path_qs, origin.via is not None and not origin.tls
        lines: CIMultiDict[str] = CIMultiDict(_BASE_HEADERS)
        for name, value in headers.items():
            lines[name] = value
        for name in _OURS:
            lines.popall(name, None)
        named = url.host_port_subcomponent or host
        if proxied and origin.via is not None:
            target = f"http://{named}{target}"
            if origin.via.authorization is not None:
                lines["Proxy-Authorization"] = origin.via.authorization
        head = f"{method} {target} HTTP/1.1\r\nHost: {named}\r\n"
        for name, value in lines.items():
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
                raise _unsendable("a header has characters that cannot be sent")
            head += f"{name}: {value}\r\n"
        return Request(origin, (head + "Content-Length: ").encode())

    def _via(self, scheme: str, host: str, port: int) -> HttpProxy | None:
        address = self._proxies.get(scheme)
        if not address or is_this_machine(host) or proxy_bypass_environment(host, self._proxies):
            return None
        if ":" not in host and proxy_bypass_environment(f"{host}:{port}", self._proxies):
            return None
        return http_proxy(address)


def http_proxy(address: str) -> HttpProxy:
    """The proxy of an environment variable. Raises TransportError for one of another kind than `http://`."""
    try:
        url = URL(address if "://" in address else f"http://{address}")
        host, port = url.raw_host, url.explicit_port or 80
    except ValueError:
        raise no_connection("connect_failed", "the address of the HTTP proxy is not valid") from None
    if url.scheme != "http" or not host:
        # Going past it would leave the way that the environment prescribes.
        raise no_connection("connect_failed", "only proxies whose address begins with http:// are spoken to")
    authorization = None
    if url.raw_user is not None:
        pair = f"{unquote(url.raw_user)}:{unquote(url.raw_password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    return HttpProxy(host, port, authorization)


def _unsendable(message: str) -> TransportError:
    return TransportError(Failure(FailureClass.UNKNOWN, "transport_error", message))
