"""Names of tools and ids of calls, as Bedrock takes them: 1 to 64 letters, digits, underscores and hyphens.

What is allowed stays as it is. Everything else gets a digest of itself in place of what is not, so that two names never
become one, and the same name is spelled the same in every request: a prompt that changes is found in no cache.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final

_ALLOWED: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FORBIDDEN: Final = re.compile(r"[^A-Za-z0-9_-]")
_KEPT: Final = 53
"""Characters of a name that leave room for its digest."""


class Spelling:
    """The names of one kind in one request."""

    __slots__ = ("_sent", "_taken")

    def __init__(self) -> None:
        self._sent: dict[str, str] = {}
        self._taken: set[str] = set()

    def __call__(self, name: str) -> str:
        """The name as it is sent; the same each time, and another for every name."""
        known = self._sent.get(name)
        if known is not None:
            return known
        sent, round_ = name, 0
        while not _ALLOWED.fullmatch(sent) or sent in self._taken:
            digest = hashlib.sha256(f"{round_}:{name}".encode("utf-8", "replace")).hexdigest()[:10]
            sent, round_ = f"{_FORBIDDEN.sub('_', name)[:_KEPT]}_{digest}", round_ + 1
        self._sent[name] = sent
        self._taken.add(sent)
        return sent

    @property
    def changed(self) -> Mapping[str, str]:
        """Those that are spelled otherwise: as sent -> as the client knows them."""
        return {sent: name for name, sent in self._sent.items() if sent != name}
