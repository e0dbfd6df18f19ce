"""What deployments teach about lengths: how many tokens they count in a prompt, and how long a prompt they take.

An estimate by bytes is right within a third; what a model reports of real prompts makes it good, one ratio for each
deployment. A refusal that names numbers tells both at once. There is one writer, the executor; plans read.
"""

from __future__ import annotations

from typing import Final

from proxy.core.names import DeploymentId
from proxy.routing.eligibility import Known

_WEIGHT: Final = 0.2
"""Of the newest answer in a ratio."""
_FIRST, _EVERY = 5, 20
_LEAST, _MOST = 0.4, 3.0
"""A ratio beyond these is a misunderstanding, and would shut out requests or let all pass."""
_SMALLEST, _LARGEST = 256, 50_000_000
"""Tokens of a window that can be meant."""
_LASTS_S: Final = 3600.0
"""How long a learned window holds. Somebody may start the server anew with a larger one, and nobody would find out."""
_DEPLOYMENTS: Final = 1024
_UNKNOWN: Final = Known()


class Sizes:
    """What was learned, for at most 1024 deployments."""

    __slots__ = ("_heard", "_ratios", "_windows", "doubts", "largest_ratio", "smallest")

    def __init__(self) -> None:
        self._ratios: dict[DeploymentId, float] = {}
        self._heard: dict[DeploymentId, int] = {}
        self._windows: dict[DeploymentId, tuple[int, float]] = {}
        self.smallest: int | None = None
        """Of the learned windows, also of those whose time is over: where even that is large enough, all are."""
        self.largest_ratio = 1.0
        """Of the learned ratios, and of that of a deployment of which nothing is learned."""
        self.doubts: set[str] = set()
        """Upstreams that have refused a prompt as too long since somebody looked: their windows may have changed."""

    def of(self, deployment: DeploymentId, now: float) -> Known:
        """What is known of a deployment `now` (monotonic seconds)."""
        ratio, window = self._ratios.get(deployment), self._windows.get(deployment)
        if ratio is None and window is None:
            return _UNKNOWN
        fresh = window is not None and now - window[1] < _LASTS_S
        return Known(1.0 if ratio is None else ratio, window[0] if window is not None and fresh else None)

    def is_due(self, deployment: DeploymentId) -> bool:
        """Whether its next count should be heard: the first few, then one of twenty, since estimates take time."""
        heard = self._heard.get(deployment, 0)
        _put(self._heard, deployment, heard + 1)
        return heard < _FIRST or not heard % _EVERY

    def counted(self, deployment: DeploymentId, estimate: int, tokens: int) -> None:
        """A prompt was estimated at so many tokens, and really had so many."""
        if estimate <= 0 or tokens <= 0:
            return
        ratio = min(_MOST, max(_LEAST, tokens / estimate))
        before = self._ratios.get(deployment)
        _put(self._ratios, deployment, ratio if before is None else before + _WEIGHT * (ratio - before))
        self.largest_ratio = max(1.0, *self._ratios.values())

    def refused(
        self, deployment: DeploymentId, estimate: int | None, tokens: int | None, window: int | None, now: float
    ) -> None:
        """A prompt was too long; the refusal named its tokens, the window, both, or neither (None)."""
        if tokens is not None and window is not None and tokens < window // 2:
            # It is not the prompt's length that was refused.
            return
        self.doubts.add(deployment.upstream)
        if estimate is not None and tokens is not None and tokens != window:
            # "More than 8192 tokens" is no count.
            self.counted(deployment, estimate, tokens)
        if window is not None and _SMALLEST <= window <= _LARGEST:
            _put(self._windows, deployment, (window, now))
            self.smallest = min(tokens for tokens, _ in self._windows.values())

    def forget_window(self, deployment: DeploymentId) -> None:
        """The server itself tells another window than before, so what it refused once says nothing any more."""
        if self._windows.pop(deployment, None) is not None:
            self.smallest = min((tokens for tokens, _ in self._windows.values()), default=None)


def _put(known: dict, deployment: DeploymentId, value: object) -> None:  # type: ignore[type-arg] # of either kind
    known.pop(deployment, None)
    if len(known) >= _DEPLOYMENTS:
        del known[next(iter(known))]
    known[deployment] = value
