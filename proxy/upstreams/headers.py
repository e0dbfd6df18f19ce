"""What is noticed of the headers of an upstream's good answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from proxy.dialects import headroom
from proxy.upstreams.answer import Answer

PASSED_HEADERS: Final = frozenset(
    {
        "openai-processing-ms", "openai-version", "x-ratelimit-limit-requests", "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-requests",
        "x-ratelimit-reset-tokens",
    }
)  # fmt: skip
"""The upstream's headers that a client may see, in OpenAI's spelling."""
_NOTED: Final = re.compile(r"\n((?i:openai-|x-ratelimit-|anthropic-ratelimit-|ratelimit)[A-Za-z-]*): ([^\r]*)").findall
"""All of those, and all that tell of limits, among them; most upstreams send none."""
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def media_type(answer: Answer) -> str:
    """What an answer says that its body is, in lower case and without parameters."""
    return answer.field("content-type").partition(";")[0].strip().lower()


def notable(answer: Answer) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """What the client may see of an answer's headers; and what they tell of limits."""
    noted = _NOTED(answer.head)
    if not noted:
        return _NOTHING, _NOTHING
    passed: dict[str, str] = {}
    limits: dict[str, str] = {}
    for written, said in noted:
        name, value = written.lower(), said.rstrip(" \t")
        # Of several of one name the first counts.
        if name in PASSED_HEADERS:
            passed.setdefault(name, value)
        if name in headroom.NAMES:
            limits.setdefault(name, value)
    return passed, limits or _NOTHING
