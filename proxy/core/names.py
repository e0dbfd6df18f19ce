"""The names of things that travel together: a deployment, an attempt's place in a request."""

from __future__ import annotations

from typing import NamedTuple


class DeploymentId(NamedTuple):
    """One upstream serving one model: the unit of health. Written `upstream/model`."""

    upstream: str
    model: str

    def __str__(self) -> str:
        return f"{self.upstream}/{self.model}"
