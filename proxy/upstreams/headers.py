"""What is noticed of the headers of an upstream's good answer."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from proxy.dialects import headroom
from proxy.upstreams.answer import Answer

PASSED_HEADERS = ("openai-processing-ms", "openai-version", "x-ratelimit-limit-requests",
                   "x-ratelimit-limit-tokens", "x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens",
                   "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens")  # fmt: skip
"""The upstream's headers that a client may see, in OpenAI's spelling."""
_PASSED = {name.encode(): name for name in PASSED_HEADERS}
_TELLING = frozenset(name.encode() for name in headroom.NAMES)
"""The headers of a good answer that tell of limits; most upstreams send none of them."""
_NOTED = _PASSED.keys() | _TELLING
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


def notable(answer: Answer) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """What the client may see of an answer's headers; and all of them, if they tell of limits."""
    told = answer.fields.keys() & _NOTED
    if not told:
        return _NO_HEADERS, _NO_HEADERS
    passed = {_PASSED[name]: answer.field(name) for name in told & _PASSED.keys()}
    return passed, _NO_HEADERS if _TELLING.isdisjoint(told) else answer.headers
