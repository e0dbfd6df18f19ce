"""The credentials of Amazon Bedrock, as headers: an API key as it is, or a signature of the whole request.

A key of the form `ACCESS:SECRET` or `ACCESS:SECRET:SESSION` signs (Signature Version 4); anything else is a bearer's
key. The signature holds for a few minutes, and for one method, address and body.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_SERVICE: Final = "bedrock"
_SIGNING_KEY: Final = re.compile(r"(?P<access>\w{16,128}):(?P<secret>[A-Za-z0-9/+=]{16,})(?::(?P<session>\S*))?")
_USUAL_PORTS: Final = {"http": 80, "https": 443}


_REGION: Final = re.compile(r"\b[a-z]{2}(?:-[a-z]+)+-\d\b")
_USUAL_REGION: Final = "us-east-1"


def is_signing_key(credentials: str) -> bool:
    """Whether a key is one that signs, rather than one that is sent."""
    return _SIGNING_KEY.fullmatch(credentials) is not None


def secrets_of(credentials: str) -> tuple[str, ...]:
    """The parts of a key that signs which nobody may see; none of any other key."""
    key = _SIGNING_KEY.fullmatch(credentials)
    return () if key is None else tuple(part for part in (key["secret"], key["session"]) if part)


def region_of(url: str) -> str:
    """The region that an address of Amazon's names; `us-east-1` where it names none."""
    found = _REGION.search(urlsplit(url).hostname or "")
    return found[0] if found else _USUAL_REGION


def signed(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: Iterable[bytes | memoryview],
    credentials: str,
    region: str,
    now: float,
) -> dict[str, str]:
    """The headers that the request needs besides its own.

    `url` is the whole address, as it is sent. `headers` are the request's own: those that say what it is
    (`content-type`, `x-amz-...`) are signed, and must not be changed afterwards. `now` is in seconds since the epoch.
    """
    key = _SIGNING_KEY.fullmatch(credentials)
    if key is None:
        return {"authorization": f"Bearer {credentials}"}
    parts = urlsplit(url)
    time = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    added = {"x-amz-date": time} | ({"x-amz-security-token": key["session"]} if key["session"] else {})
    lowered = {name.lower(): value for name, value in headers.items()}
    own = {name: value for name, value in lowered.items() if name == "content-type" or name.startswith("x-amz-")}
    signed_headers = dict(sorted({"host": _host(parts), **own, **added}.items()))
    names = ";".join(signed_headers)
    request = "\n".join(
        (
            method.upper(),
            _path(parts.path),
            "&".join("=".join(pair) for pair in sorted(_pairs(parts.query))),
            *(f"{name}:{' '.join(value.split())}" for name, value in signed_headers.items()),
            "",
            names,
            _digest(body),
        )
    )
    scope = f"{time[:8]}/{region}/{_SERVICE}/aws4_request"
    text = "\n".join((_ALGORITHM, time, scope, _digest((request.encode(),))))
    signing = f"AWS4{key['secret']}".encode()
    for step in (*scope.split("/"), text):
        signing = hmac.digest(signing, step.encode(), "sha256")
    credential = f"Credential={key['access']}/{scope}"
    return {"authorization": f"{_ALGORITHM} {credential}, SignedHeaders={names}, Signature={signing.hex()}", **added}


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in {None, _USUAL_PORTS.get(parts.scheme)} else f"{host}:{parts.port}"


def _path(path: str) -> str:
    """The path in its canonical form, in which what is quoted already is quoted once more."""
    kept: list[str] = []
    for step in path.split("/"):
        if step == "..":
            del kept[-1:]
        elif step not in {"", "."}:
            kept.append(step)
    return quote("/" + "/".join(kept) + ("/" if kept and path.endswith("/") else ""), safe="/~")


def _pairs(query: str) -> list[tuple[str, str]]:
    return [(pair.partition("=")[0], pair.partition("=")[2]) for pair in query.split("&")] if query else []


def _digest(pieces: Iterable[bytes | memoryview]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
