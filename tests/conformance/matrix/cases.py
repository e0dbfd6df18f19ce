"""The rows: what is tried in every pair of a client and an upstream."""

from __future__ import annotations

from tests.conformance.matrix import answers, errors, failovers  # noqa: F401 - each adds its own
from tests.conformance.matrix.cell import CASES, Case, Cell

__all__ = ["CASES", "Case", "Cell"]
