"""Items that we made ourselves, which a client sends back to an upstream that speaks the responses wire itself.

An upstream looks up the ids of items, and refuses a request for one that it has never given. Of ours it has given none:
they come from answers that were translated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw

from proxy.core.mentions import mentions
from proxy.dialects.raw_json import NULL
from proxy.dialects.responses.document import OWN

_OWN_ID: Final = re.compile(rb'"(?:msg|rs|fc|ctc)%b[0-9a-z]+"' % OWN.encode())
_REASONING: Final = Raw(b'"reasoning"')

_encode = msgspec.json.Encoder().encode
_decode_items = msgspec.json.Decoder(list[dict[str, Raw]]).decode


def without_own_items(fields: Mapping[str, Raw]) -> Mapping[str, Raw]:
    """A request in which nothing has an id of ours; the same object where nothing has, or it cannot be read.

    Thoughts of another model go altogether: without an id, or something encrypted, they are not taken.
    """
    given = fields.get("input", NULL)
    if not mentions(given, OWN.encode()) or _OWN_ID.search(given) is None:
        return fields
    try:
        items = _decode_items(given)
    except (ValueError, RecursionError):
        return fields
    kept = []
    for item in items:
        if _OWN_ID.fullmatch(bytes(item.get("id", NULL))) is None:
            kept.append(item)
        elif item.get("type") != _REASONING:
            kept.append({name: value for name, value in item.items() if name != "id"})
    return {**fields, "input": Raw(_encode(kept))}
