"""Requests that refer to what one account keeps: an earlier response, a conversation. Only it can answer them.

Who made a response is remembered here, for the last ones. Of an id that is not among them (from before a restart, or
from another worker) the first upstream of the route that keeps responses is asked, and nobody else: another account
would say that there is no such response.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Final

from proxy.config.settings import RouteSettings, Settings
from proxy.core.errors import bad_request
from proxy.core.names import DeploymentId
from proxy.core.request import ModelRequest
from proxy.core.wire import Wire
from proxy.dialects.responses.document import OWN_RESPONSE
from proxy.dialects.responses.request import tie_of
from proxy.execution.run import JsonAnswer, StreamAnswer
from proxy.routing.plan import Wishes

_MOST: Final = 10_000
_HEAD: Final = 4096
"""Bytes of an answer in which its id stands."""
_ID: Final = re.compile(rb'"id"\s*:\s*"([A-Za-z0-9_-]{1,200})"')


class Ties:
    """Who made which response."""

    def __init__(self, most: int = _MOST) -> None:
        self._made: OrderedDict[str, str] = OrderedDict()
        self._most = most

    def note(self, answer: JsonAnswer | StreamAnswer, deployment: DeploymentId) -> None:
        """Remember who gave an answer that a later request may refer to; one that was translated says so by its id."""
        if answer.wire is not Wire.RESPONSES:
            return
        data = answer.body if isinstance(answer, JsonAnswer) else answer.first
        found = _ID.search(data[:_HEAD])
        if found is None:
            return
        self._made[found[1].decode()] = deployment.upstream
        if len(self._made) > self._most:
            self._made.popitem(last=False)

    def bound(self, request: ModelRequest, wishes: Wishes, route: RouteSettings, settings: Settings) -> Wishes:
        """The wishes of a request, pinned to whoever keeps what it refers to. Raises ClientError (400)."""
        tie = tie_of(request.fields) if request.wire is Wire.RESPONSES else None
        if tie is None:
            return wishes
        keepers = [
            step.upstream
            for step in route.steps
            if step.unusable is None and Wire.RESPONSES in settings.upstreams[step.upstream].kind.paths
        ]
        owner = self._made.get(tie.id) or next(iter(keepers), None)
        if owner is None or tie.id.startswith(OWN_RESPONSE):
            message = f"Nobody keeps what {tie.param!r} refers to: send the whole conversation as 'input' instead."
            raise bad_request(message, param=tie.param)
        if owner not in keepers:
            message = f"What {tie.param!r} refers to is kept by {owner}, which is not in the chain of {route.name!r}."
            raise bad_request(message, param=tie.param)
        return wishes._replace(upstream=owner)
