"""What OpenAI's reasoning models refuse, by their names, so that it need not be learned from a refusal.

Only rows that hold for certain: what depends on the effort, or on the version, is learned. A name that an operator has
chosen, such as that of a deployment on Azure, tells nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_SAMPLING: Final = frozenset(
    {
        "temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs",
    }
)  # fmt: skip
_NEW_CAP: Final = re.compile(r"o[134](-|$)|gpt-[56](\.\d+)?(-|$)")
"""They refuse `max_tokens` (litellm#13381)."""
_DRAWS_ALONE: Final = re.compile(r"o[134](-|$)|gpt-5(-mini|-nano)?(-\d{4}-\d\d-\d\d)?$")
"""They always think, and take no word on how tokens are drawn."""


_OLD_CAP: Final = frozenset({"max_tokens"})
_NOTHING: Final[frozenset[str]] = frozenset()


@lru_cache(maxsize=1024)
def refused_by(model: str) -> frozenset[str]:
    """The fields that a model refuses, by its name at OpenAI; none for all others."""
    name = model.lower().rpartition("/")[2]
    if not _NEW_CAP.match(name):
        return _NOTHING
    return _OLD_CAP | _SAMPLING if _DRAWS_ALONE.match(name) else _OLD_CAP
