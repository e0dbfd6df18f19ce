"""Two or three letters for the eye, in the log; docs/operations.md has the list."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

FLAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "client_left": "DC",
        "deadline_exceeded": "DE",
        "invalid_api_key": "NA",
        "model_not_found": "NR",
        "overloaded": "OL",
        "rate_limit_exceeded": "RL",
        "upstream_error": "UE",
        "no_healthy_upstream": "UH",
        "stream_interrupted": "US",
    }
)
"""By the outcome of a request."""
RESUMED: Final = "UR"
"""Of one that came to a good end on another deployment than it began on."""
