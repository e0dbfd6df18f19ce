"""What an operator's request to change something says: read strictly from its body, since a slip costs traffic."""

from __future__ import annotations

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final, NamedTuple

import msgspec

from proxy.config.units import UnitError, parse_duration
from proxy.core.errors import ClientError, bad_request

ACTIONS: Final = ("open", "close", "reset", "drain", "enable", "disable", "weight", "probe")
_AT_ONCE: Final = ("reset", "enable", "probe", "reload")
"""What has no duration."""
_LONGEST_REASON = 200
_LONGEST_S = 30 * 86_400.0


class Command(NamedTuple):
    """A checked command's arguments."""

    reason: str | None = None
    duration: float | None = None
    """Seconds until it reverts; None for lasting."""
    value: float | None = None
    """Of `weight`: the weight; None takes the operator's weight back."""


def read_command(action: str, body: bytes) -> Command:
    """The arguments of an action. Raises ClientError (400) that names the member that is wrong."""
    members = _members(body)
    _check_names(action, members)
    duration = _duration(action, members.get("for"))
    value = _weight(members, duration) if action == "weight" else None
    return Command(_reason(members.get("reason")), duration, value)


def unknown_action(action: str) -> ClientError:
    """The URL ends in no action; the message has the nearest."""
    near = get_close_matches(action[:100], ACTIONS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(ACTIONS)}."
    return ClientError(404, "path_not_found", f"No action is named {action[:100]!r}; {hint}")


def _members(body: bytes) -> Mapping[str, object]:
    if not body.strip():
        return {}
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        said = str(error)[:200] if isinstance(error, msgspec.MsgspecError) else "it cannot be read"
        raise bad_request(f"The body is not JSON: {said}.") from None
    if not isinstance(document, dict):
        raise bad_request('The body must be a JSON object, such as {"reason": "maintenance", "for": "10m"}.')
    return document


def _check_names(action: str, members: Mapping[str, object]) -> None:
    known = ("reason", *(() if action in _AT_ONCE else ("for",)), *(("value",) if action == "weight" else ()))
    for name in members:
        if name in known:
            continue
        if name == "for":
            raise bad_request(f"'for' means nothing to {action}, which happens at once; leave it out.", param="for")
        near = get_close_matches(name[:100], known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"{action} takes {' and '.join(map(repr, known))}."
        raise bad_request(f"Unknown member {name[:100]!r}; {hint}", param=name[:100])


def _reason(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > _LONGEST_REASON or not value.isprintable():
        message = f"'reason' must be a text of at most {_LONGEST_REASON} printable characters."
        raise bad_request(message, param="reason")
    return value.strip() or None


def _duration(action: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            seconds = parse_duration(value)
        except UnitError as error:
            raise bad_request(f"'for': {error}.", param="for") from None
    else:
        seconds = _number(value)
    if not 0 < seconds <= _LONGEST_S:
        message = "'for' must be a duration such as \"10m\", or a number of seconds; above 0 and at most 30 days."
        raise bad_request(f"{message} Without it, {action} lasts until it is taken back.", param="for")
    return seconds


def _weight(members: Mapping[str, object], duration: float | None) -> float | None:
    if "value" not in members:
        raise bad_request('weight needs {"value": NUMBER}, or {"value": null} to take it back.', param="value")
    value = members["value"]
    if value is None:
        if duration is not None:
            raise bad_request("'for' means nothing when the weight is taken back; leave it out.", param="for")
        return None
    number = _number(value)
    if not 0 <= number < math.inf:
        raise bad_request("'value' must be a number from 0 on, or null to take the weight back.", param="value")
    return number


def _number(value: object) -> float:
    """A number as such; not-a-number for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf
