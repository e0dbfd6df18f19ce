"""Plain requests to a running proxy's control plane, for commands that ask once and print. Quick to import."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Collection
from typing import Any, NoReturn
from urllib.parse import quote

from proxy.cli.phrases import fail, me, nobody_listens
from proxy.config.finding import printable

_PATIENCE_S = 10.0


class NobodyError(Exception):
    """Nothing listens there."""


class ControlPlane:
    """The control plane at a URL. What it refuses ends the command with its words."""

    def __init__(self, url: str, key: str | None, start_with: str = "serve") -> None:
        """`start_with` is the command that would start a proxy where there is none."""
        self.url = url
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._start_with = start_with

    def get(self, path: str) -> dict[str, Any]:
        """What a URL below /admin/v1 answers."""
        return self._ask("GET", path, None, _PATIENCE_S)

    def post(
        self, path: str, body: dict[str, Any], patience: float = _PATIENCE_S, also: Collection[int] = ()
    ) -> dict[str, Any]:
        """What a change answers; `also` are error statuses whose answers are wanted, too."""
        return self._ask("POST", path, body, patience, also)

    def deployments(self) -> dict[str, dict[str, Any]]:
        """Every deployment that the proxy knows, by name."""
        listed = self.get("/deployments").get("deployments")
        if not isinstance(listed, list) or not all(isinstance(each, dict) and "deployment" in each for each in listed):
            self._not_ours()
        return {str(each["deployment"]): each for each in listed}

    def _ask(
        self, method: str, path: str, body: dict[str, Any] | None, patience: float, also: Collection[int] = ()
    ) -> dict[str, Any]:
        try:
            answer = call(method, f"{self.url}/admin/v1{path}", self._headers, body, patience, also)
        except NobodyError:
            fail(nobody_listens(self.url, self._start_with))
        if not isinstance(answer, dict):
            self._not_ours()
        return answer

    def _not_ours(self) -> NoReturn:
        fail(f"{self.url} does not answer as Holdfast does; say where it is with --url")


def path_of(deployment: str) -> str:
    """The path of a deployment below /admin/v1."""
    upstream, _, model = deployment.partition("/")
    return f"/deployments/{quote(upstream, safe='')}/{quote(model, safe='')}"


def find(name: str, known: list[str]) -> str:
    """The deployment that a name means: the whole name, an upstream with one deployment, or a prefix of one name."""
    if name in known:
        return name
    of_upstream = [each for each in known if each.partition("/")[0] == name]
    found = of_upstream or [each for each in known if each.startswith(name)]
    if len(found) != 1:
        fail(_no_such(name, found, known))
    return found[0]


def _no_such(name: str, found: list[str], known: list[str]) -> str:
    if found:
        return f"{printable(name)} can mean {_listed(found)}"
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {printable(near[0])!r}?" if near else f"there are {_listed(known)}"
    return f"no deployment is named {name!r}; {hint}"


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(printable, names[:12])) or f"none yet; see {me()} status"
    return f"{shown}, and {len(names) - 12} more" if len(names) > 12 else shown


def call(
    method: str,
    url: str,
    headers: dict[str, str],
    body: dict[str, Any] | None,
    patience: float = 5.0,
    also: Collection[int] = (),
) -> Any:
    """The JSON that a URL answers, None for what is no JSON. An error answer ends the command with its message, unless
    its status is one of `also`."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {**headers, "content-type": "application/json"}, method=method)  # noqa: S310 - url_option takes http and https only
    # Without the proxies of the environment: what we call is nearly always on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=patience) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        if error.code in also:
            return _json_of(error.read())
        cure = "; here: --key or HOLDFAST_ADMIN_KEY" if error.code == 401 else ""
        fail(f"{_message(error.read(), error.code)}{cure}")
    except (ValueError, http.client.HTTPException):
        return None
    except TimeoutError:
        fail(f"{url} did not answer within {patience:g} s")
    except OSError as error:
        if isinstance(getattr(error, "reason", None), TimeoutError):
            fail(f"{url} did not answer within {patience:g} s")
        raise NobodyError from None


def _json_of(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _message(body: bytes, status: int) -> str:
    try:
        return printable(str(json.loads(body)["error"]["message"])).rstrip(".")
    except (ValueError, KeyError, TypeError):
        return f"it answers with HTTP {status}, not as Holdfast does; say where Holdfast is with --url"
