"""The most tokens of an answer that a client asks for, against those that a model can give.

Clients choose them for the model that they believe to ask: agents ask for 32,000 and more, which a model that gives
16,384 refuses. What it cannot give anyway is no loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Raw

from proxy.core.wire import Wire
from proxy.dialects.raw_json import NULL

CAPS: Final[Mapping[Wire, tuple[str, ...]]] = MappingProxyType(
    {
        Wire.CHAT: ("max_tokens", "max_completion_tokens"),
        Wire.MESSAGES: ("max_tokens",),
        Wire.RESPONSES: ("max_output_tokens",),
    }
)
_MOST_DIGITS: Final = 12


def within(fields: Mapping[str, Raw], wire: Wire, most: int | None) -> Mapping[str, Raw]:
    """A request whose cap is one that the model can reach; the same object where it is, or `most` is not known."""
    if most is None:
        return fields
    above = [name for name in CAPS.get(wire, ()) if _number(fields.get(name, NULL)) > most]
    # A budget for thinking has to be below the cap, and is none of ours.
    if not above or b'"budget_tokens"' in bytes(fields.get("thinking", NULL)):
        return fields
    return {**fields, **dict.fromkeys(above, Raw(b"%d" % most))}


def _number(raw: Raw) -> int:
    """A plain number; 0 for anything else, which the upstream may judge."""
    return int(bytes(raw)) if len(raw) < _MOST_DIGITS and bytes(raw).isdigit() else 0
