"""JSON that a strict decoder may refuse: with halves of surrogate pairs, which clients and upstreams cut texts into."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def decoded(decode: Callable[[bytes | str], T], data: bytes | str) -> T:
    """What `decode` makes of the JSON; halves of surrogate pairs become U+FFFD, or whole again where both are there.

    Raises ValueError or RecursionError.
    """
    try:
        return decode(data)
    except ValueError:
        if (b"\\u" if isinstance(data, bytes) else "\\u") not in data:  # type: ignore[operator]
            raise
    text = json.dumps(json.loads(data), ensure_ascii=False)
    return decode(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
