"""Paths that tell of an upstream without asking a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from proxy.simulator.answers import Voice
from proxy.simulator.refusals import Reply
from proxy.simulator.wires.wire import Call

Page: TypeAlias = "Callable[[Call, Voice, float], Reply]"
"""Answers a call, for an upstream of this voice, at this Unix time. Raises BadRequestError only in its own shape."""
