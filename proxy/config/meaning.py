"""What the values of routes.yaml mean together: the second pass, after every value has been found good by itself.

Pure. Each finding points at the key or value that should change; errors are what cannot work, warnings what works but
is hardly meant.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase

from proxy.config import meaning_policies, meaning_resume, meaning_routes, meaning_timers, meaning_upstreams
from proxy.config.interpolate import Interpolated
from proxy.config.notes import Notes
from proxy.config.resolve import client_digest, is_glob, unusable_upstreams
from proxy.config.schema import Client, Config
from proxy.config.wording import suggestion
from proxy.core.hosts import is_loopback


def check_meaning(
    config: Config, interpolated: Interpolated, notes: Notes, has_folder: Callable[[str], bool]
) -> dict[str, str]:
    """Note what does not fit together. Returns all upstreams that are to be skipped, and why."""
    unconfigured = meaning_upstreams.check(config, interpolated, notes)
    meaning_routes.check(config, notes)
    meaning_timers.check(config, notes)
    meaning_policies.check(config, notes)
    meaning_resume.check(config, notes)
    _check_places(config, notes)
    _check_state(config, notes, has_folder)
    _check_who_may_call(config, notes)
    if not notes.failed:
        meaning_routes.check_usable(config, unusable_upstreams(config, unconfigured), notes)
    return unconfigured


def _check_places(config: Config, notes: Notes) -> None:
    def shown(key: str) -> str:
        default = "" if notes.written(("server", key)) else " (the default)"
        return f"{key} {getattr(config.server, key)}{default}"

    if config.server.max_waiting > config.server.max_concurrent:
        place = "max_waiting" if notes.written(("server", "max_waiting")) else "max_concurrent"
        more = f"{shown('max_waiting')} is more than {shown('max_concurrent')}"
        notes.warning(("server", place), f"{more}; those that wait count among the requests in flight")


def _check_state(config: Config, notes: Notes, has_folder: Callable[[str], bool]) -> None:
    path = config.state.path if config.state is not None else "none"
    if path.endswith("/"):
        notes.error(("state", "path"), "this names a folder; add the name of a file, such as holdfast.db")
    elif not path.isprintable():
        notes.error(("state", "path"), "a line break or another character that no file name should have")
    elif config.state is not None and not has_folder(path):
        shown = notes.quote(("state", "path"), path)
        notes.warning(("state", "path"), f"the folder of {shown} does not exist; make it, or no state is kept")


def _check_who_may_call(config: Config, notes: Notes) -> None:
    host = config.server.host
    if config.clients is None and not is_loopback(host):
        cure = 'clients: [{name: me, key: "${HOLDFAST_CLIENT_KEY}"}]'
        shown = notes.quote(("server", "host"), host)
        notes.error(("server", "host"), f"{shown} lets anyone in who can reach this machine; say who may call: {cure}")
    names: dict[str, int] = {}
    digests: dict[str, str] = {}
    for index, client in enumerate(config.clients or ()):
        if client.name in names:
            notes.error(("clients", index, "name"), f"another client is called {client.name!r}; names tell them apart")
        names.setdefault(client.name, index)
        _check_key(index, client, digests, notes)
        for number, pattern in enumerate(client.routes or ()):
            _check_pattern(index, number, pattern, config, notes)


def _check_key(index: int, client: Client, digests: dict[str, str], notes: Notes) -> None:
    key = client.key.get_secret_value() if client.key is not None else ""
    if key and client.key_hash is not None:
        notes.error(("clients", index, "key_hash"), "both key and key_hash; keep one of them", key=True)
    elif not key and client.key_hash is None:
        if client.key is not None:
            notes.error(("clients", index, "key"), "the key is empty")
        else:
            cure = 'key: "${CLIENT_KEY}" or key_hash: "sha256:..."'
            notes.error(("clients", index), f"client {client.name!r} has no key; give it {cure}")
    else:
        digest = client_digest(client)
        if (other := digests.get(digest)) is not None:
            place = ("clients", index, "key" if key else "key_hash")
            notes.error(place, f"the same key as client {other!r}; calls could not be told apart")
        digests.setdefault(digest, client.name)


def _check_pattern(index: int, number: int, pattern: str, config: Config, notes: Notes) -> None:
    # A client may be allowed a route, or single model names that a glob route serves.
    if any(fnmatchcase(name, pattern) or (is_glob(name) and fnmatchcase(pattern, name)) for name in config.routes):
        return
    path = ("clients", index, "routes", number)
    shown = notes.quote(path, pattern)
    if is_glob(pattern):
        notes.warning(path, f"{shown} matches no route")
    else:
        notes.error(path, f"no route is called {shown}{suggestion(pattern, list(config.routes))}")
