"""Where a broken answer and its continuation meet."""

from __future__ import annotations

from enum import Enum
from typing import Final

MARK: Final = "[…]"
"""What a model that was asked to repeat the last characters puts before them."""


class Echo(Enum):
    """Whether a model that is given the beginning of its answer says that beginning again."""

    NEVER = "never"
    ALWAYS = "always"
    UNKNOWN = "unknown"
